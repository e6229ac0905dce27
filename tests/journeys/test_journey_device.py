"""A program without a browser: its owner confirms for it on another device, and nobody else can."""

import re

import wire
from running_demo import RunningDemo
from test_journey_kept import Browser

TARGET = "/api/demandeurs/{}"


def code_for(challenge: wire.Answer) -> str:
    found = re.search(
        r'step_up_uri="[^"]*/\.gateway/step-up\?code=([A-Z]{4}-[A-Z]{4})"', challenge.one("www-authenticate") or ""
    )
    assert found is not None
    assert f"?code={found[1]}".encode() in challenge.body
    return found[1]


def test_the_owner_confirms_for_the_token_and_nobody_else(running: RunningDemo) -> None:
    caller, number = running.caller(), running.ids[600]
    code = code_for(running.ask(caller, TARGET.format(number)))
    assert code_for(running.ask(caller, TARGET.format(number))) == code

    stranger = Browser(running, running.caller())
    assert stranger.send(f"/.gateway/step-up?code={code}").status == 404
    theirs = f"challenge={code}&code={running.code(stranger.caller)}".encode()
    assert stranger.post("/.gateway/step-up/totp", theirs).status == 404

    owner = Browser(running, caller)
    page = owner.send(f"/.gateway/step-up?code={code}")
    assert page.status == 200 and b"journey" in page.body
    typed = f"challenge={code}&code={running.code(caller)}".encode()
    assert owner.post("/.gateway/step-up/totp", typed, site="cross-site").status == 403
    assert owner.post("/.gateway/step-up/totp", f"challenge={code}&code=12".encode()).status == 403
    assert owner.post("/.gateway/step-up/totp", typed).status == 200

    opened = running.ask(caller, TARGET.format(number))
    assert opened.status == 200 and running.seen(opened.raw) == {number}
    # The proof is the token's alone, and the code is over.
    assert owner.send(TARGET.format(number)).status == 401
    assert owner.send(f"/.gateway/step-up?code={code}").status == 404
