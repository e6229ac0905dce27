"""token, budget, freeze, user: what they change, what they refuse, and that the ledger has it before it happens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands.conftest import Gateway, records, run, user_id, write_records

from gateway.config import load
from gateway.initialise import DEMO_MARK
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions

WHO = ("--partner", "relais-emploi", "--sub", "4711", "--login", "camille", "--name", "desk")


def issue(gateway: Gateway, live: Path, *more: object) -> dict[str, str]:
    return gateway("token", "issue", *WHO, *more, "--config", live, "--json").json


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def test_a_token_is_shown_once_and_never_written_down(gateway: Gateway, live: Path) -> None:
    made = issue(gateway, live)
    assert made["token"].startswith("gwt_")
    listed = gateway("token", "list", "--config", live)
    assert made["id"] in listed.out
    assert made["token"] not in listed.out
    assert all(
        made["token"] not in path.read_text("latin-1") for path in (live / "ledger").rglob("*") if path.is_file()
    )


def test_issuing_and_revoking_are_recorded_with_who_did_it(gateway: Gateway, live: Path) -> None:
    made = issue(gateway, live, "--by", "officer")
    assert gateway("token", "revoke", made["id"], "--by", "chief", "--config", live).status == 0
    events = [(one["event"], one["by"], one["token"]) for one in records(live) if one["kind"] == "token"]
    assert events == [("issued", "officer", made["id"]), ("revoked", "chief", made["id"])]
    (row,) = gateway("token", "list", "--config", live, "--json").json
    assert row["state"] == "revoked"
    assert gateway("token", "revoke", "t_nobody", "--config", live).status == 1


def test_a_token_is_of_the_agency_that_it_was_issued_for(gateway: Gateway, live: Path) -> None:
    made = issue(gateway, live, "--agency", " 75001 ")
    (row,) = gateway("token", "list", "--config", live, "--json").json
    assert (row["id"], row["agency"]) == (made["id"], "75001")
    assert [one["agency"] for one in records(live) if one.get("event") == "issued"] == ["75001"]


def test_a_partner_that_nobody_declared_gets_no_token(gateway: Gateway, live: Path) -> None:
    refused = gateway("token", "issue", *WHO[2:], "--partner", "nobody", "--config", live)
    assert refused.status == 2
    assert "relais-emploi" in refused.err


def test_a_mandate_is_for_a_machine_at_most_90_days_by_somebody(gateway: Gateway, live: Path) -> None:
    machine = issue(gateway, live, "--machine")["id"]
    given = ("--persons", 200, "--per", "day", "--config", live)

    def mandate(*arguments: object) -> int:
        return gateway("token", "mandate", *arguments, *given).status

    assert mandate(machine, "--until", in_days(30)) == 2
    assert mandate(machine, "--until", in_days(91), "--by", "officer") == 1
    assert mandate(machine, "--until", in_days(-2), "--by", "officer") == 1
    assert mandate(machine, "--until", in_days(30), "--by", "officer", "--class", "internal") == 1
    assert mandate(issue(gateway, live)["id"], "--until", in_days(30), "--by", "officer") == 1
    assert mandate(machine, "--until", in_days(30), "--by", "officer") == 0
    rows = gateway("token", "list", "--config", live, "--json").json
    (said,) = [row["mandate"] for row in rows if row["id"] == machine]
    assert (said["class"], said["persons"], said["window_s"], said["by"]) == ("sensitive", 200, 86_400, "officer")
    assert [one["mandate"] for one in records(live) if one.get("event") == "mandated"] == [said]


def test_a_grant_raises_the_limit_at_most_once_again_in_a_day(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    given = ("--for", "2h", "--reason", "case 17", "--by", "officer", "--config", live)
    assert gateway("budget", "grant", "camille", "--persons", 40, *given).status == 0
    refused = gateway("budget", "grant", "camille", "--persons", 21, *given)
    assert refused.status == 1
    assert "at most 60 persons" in refused.err
    (shown,) = gateway("budget", "show", "camille", "--config", live, "--json").json
    limits = {one["name"]: one["limit"] for one in shown["budgets"]}
    assert (limits["sensitive-hour"], limits["personal-hour"]) == (100, 100)
    events = [one["event"] for one in records(live) if one["kind"] == "grant"]
    assert events == ["asked", "given", "asked", "refused"]


def test_a_login_that_nobody_has_is_said_so(gateway: Gateway, live: Path) -> None:
    refused = gateway("budget", "show", "nobody", "--config", live)
    assert refused.status == 2
    assert "nobody known has the login" in refused.err


def test_a_login_of_two_partners_must_say_whose(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    gateway("token", "issue", *WHO[2:], "--partner", "cap-insertion", "--config", live)
    assert "say which with --partner" in gateway("budget", "show", "camille", "--config", live).err
    shown = gateway("budget", "show", "camille", "--partner", "cap-insertion", "--config", live, "--json").json
    assert [one["user"] for one in shown] == [user_id(live, "4711", "cap-insertion")]


def test_freezing_is_recorded_and_lifted(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    frozen = gateway("freeze", "user", "camille", "--reason", "not them", "--config", live, "--json").json
    assert frozen["id"] == user_id(live, "4711")
    assert gateway("unfreeze", "user", "camille", "--config", live).status == 0
    assert gateway("unfreeze", "user", "camille", "--config", live).status == 1
    events = [(one["event"], one["name"]) for one in records(live) if one["kind"] == "operator"]
    assert events == [(event, frozen["id"]) for event in ("freeze", "unfreeze", "unfreeze")]
    assert gateway("freeze", "partner", "nobody", "--config", live).status == 1


def test_a_secret_is_shown_in_a_demo_only(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    refused = gateway("user", "enrol", "camille", "--config", live)
    assert refused.status == 1
    assert "demo only" in refused.err
    (live / DEMO_MARK).touch()
    shown = gateway("user", "enrol", "camille", "--config", live, "--json").json
    assert shown["user"] == user_id(live, "4711")
    assert len(shown["totp_secret"]) == 32
    assert shown["totp_secret"] not in str(records(live))


@pytest.mark.parametrize("arguments", [("token", "list"), ("budget", "show"), ("freeze", "partner", "relais-emploi")])
def test_without_a_store_it_is_one_line(gateway: Gateway, config: Path, arguments: tuple[str, ...]) -> None:
    text = (config / "gateway.toml").read_text()
    (config / "gateway.toml").write_text(text.replace("127.0.0.1:6379", "127.0.0.1:1"))
    refused = gateway(*arguments, "--config", config)
    assert refused.status == 2
    assert refused.err.startswith("gateway: the store does not answer")


def test_how_a_user_stands_is_shown_without_a_secret(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    (live / DEMO_MARK).touch()
    made = gateway("user", "enrol", "camille", "--config", live, "--json").json
    state = gateway("user", "show", "camille", "--config", live, "--json").json
    (factor,) = state["factors"]
    assert (factor["id"], factor["kind"], factor["bound"]) == (made["factor"], "totp", "own")
    assert factor["cooling_until"] is None
    assert (state["closed_from"], state["recovery_codes"], state["refusals"]) == (None, 0, [])
    assert {one["name"] for one in state["budgets"]} >= {"sensitive-hour", "personal-day"}
    told = gateway("user", "show", "camille", "--config", live).out
    assert made["factor"] in told and made["totp_secret"] not in told + str(state)


def test_what_is_not_closed_is_not_opened(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    refused = gateway("user", "reopen", "camille", "--config", live)
    assert refused.status == 1 and "nothing is closed" in refused.err


def test_a_login_is_known_once_its_person_has_signed_in(gateway: Gateway, live: Path) -> None:
    settings = load(live)

    async def sign_in(partner: str, sub: str) -> None:
        store = await Store.connect(settings.gateway.store.url, timeout_s=20)
        issuer = settings.partners[partner].issuer
        sessions = Sessions(store, KeyRing.load(live / "keys"))
        await sessions.open(issuer=issuer, sub=sub, partner=partner, name="Zoé", login="zoe")
        await store.close()

    assert gateway("freeze", "user", "zoe", "--config", live).status == 2
    run(sign_in("relais-emploi", "z-1"))
    frozen = gateway("freeze", "user", "zoe", "--config", live, "--json").json
    assert frozen["id"] == user_id(live, "z-1")
    state = gateway("user", "show", "zoe", "--config", live, "--json").json
    assert (state["user"], state["frozen"], state["sessions"], state["roles"]) == (frozen["id"], True, 1, [])
    run(sign_in("cap-insertion", "z-2"))
    assert "say which with --partner" in gateway("user", "show", "zoe", "--config", live).err
    other = gateway("user", "show", "zoe", "--partner", "cap-insertion", "--config", live, "--json").json
    assert other["user"] == user_id(live, "z-2", "cap-insertion")


@pytest.mark.parametrize(
    "command",
    [
        ("freeze", "user", "camille"),
        ("unfreeze", "user", "camille"),
        ("budget", "grant", "camille", "--persons", 10, "--reason", "case 17", "--partner", "relais-emploi"),
        ("budget", "show", "camille"),
        ("user", "show", "camille"),
        ("user", "reopen", "camille"),
        ("user", "enrol", "camille"),
        ("user", "tokens", "assign", "1000133508267", "camille"),
        ("report", "caller", "camille"),
        ("partner", "seats", "relais-emploi", "--free", "camille"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_login_that_two_have_said_is_nobody_s_and_both_are_told(
    gateway: Gateway, live: Path, command: tuple[object, ...]
) -> None:
    settings = load(live)
    (live / DEMO_MARK).touch()

    async def sign_in(*people: tuple[str, str]) -> None:
        store = await Store.connect(settings.gateway.store.url, timeout_s=20)
        who = {"issuer": settings.partners["relais-emploi"].issuer, "partner": "relais-emploi", "login": "camille"}
        for sub, name in people:
            await Sessions(store, KeyRing.load(live / "keys")).open(**who, sub=sub, name=name)
        await store.close()

    write_records(live)
    run(sign_in(("sub-camille", "Camille Roy"), ("sub-mallory", "\x1b[2JCamille Roy")))
    refused = gateway(*command, "--config", live)
    assert [one for one in records(live) if one["kind"] not in ("start", "stop")] == []
    assert refused.status == 2 and "2 users have the login 'camille'" in refused.err and "\x1b" not in refused.err
    for sub in ("sub-camille", "sub-mallory"):
        (line,) = [line for line in refused.err.splitlines() if user_id(live, sub) in line]
        assert f"subject '{sub}'" in line and "Camille Roy" in line
        assert ", since 20" in line and ", last sign-in 20" in line
        state = gateway("user", "show", user_id(live, sub), "--config", live, "--json").json
        assert not state["frozen"] and state["factors"] == []


def test_the_roles_of_a_user_are_shown(gateway: Gateway, live: Path) -> None:
    issue(gateway, live)
    shown = gateway("user", "show", user_id(live, "re-4712"), "--config", live)
    assert "help_desk" in shown.out
    state = gateway("user", "show", user_id(live, "ci-0815", "cap-insertion"), "--config", live, "--json").json
    assert (state["roles"], state["invited"], state["letter"]) == (["officer"], None, False)


def test_a_seat_is_shown_and_freed_with_its_sessions(gateway: Gateway, live: Path) -> None:
    settings = load(live)

    async def sit_down() -> str:
        store = await Store.connect(settings.gateway.store.url, timeout_s=20)
        keyring = KeyRing.load(live / "keys")
        await Sessions(store, keyring).open(issuer="i", sub="1", partner="relais-emploi", name="n", login="camille")
        user = keyring.user_id("i", "1")
        await Seats(store).take("relais-emploi", user)
        await store.close()
        return user

    user = run(sit_down())
    shown = gateway("partner", "seats", "relais-emploi", "--config", live, "--json").json
    assert (shown["seats"], [one["user"] for one in shown["taken"]]) == (24, [user])
    assert "1 seats taken of 24" in gateway("partner", "seats", "relais-emploi", "--config", live).out
    free = ("partner", "seats", "relais-emploi", "--free", "camille", "--by", "officer", "--config", live)
    assert gateway(*free, "--json").json["taken"] == []
    assert gateway("user", "show", user, "--config", live, "--json").json["sessions"] == 0
    assert gateway(*free).status == 1
    assert gateway("partner", "seats", "nobody", "--config", live).status == 1
    (freed, _) = [one for one in records(live) if one.get("event") == "seat_freed"]
    assert (freed["by"], freed["user"], freed["partner"]) == ("officer", user, "relais-emploi")


STRICTER = """
[[partners.relais-emploi.budgets]]
name = "relais-user-hour"
scope = "user"
class = "sensitive"
persons = 25
per = "1h"
"""


@pytest.mark.parametrize("by_login", [True, False], ids=["by login", "by id"])
def test_a_grant_is_at_most_the_partner_s_own_stricter_limit_once_again(
    gateway: Gateway, live: Path, by_login: bool
) -> None:
    with (live / "policy.toml").open("a") as policy:
        policy.write(STRICTER)
    issue(gateway, live)
    who = "camille" if by_login else user_id(live, "4711")
    given = ("--reason", "case 17", "--by", "officer", "--config", live)
    refused = gateway("budget", "grant", who, "--persons", 26, *given)
    assert refused.status == 1 and "at most 25 persons" in refused.err
    assert gateway("budget", "grant", who, "--persons", 25, *given).status == 0
    (shown,) = gateway("budget", "show", who, "--config", live, "--json").json
    assert {one["name"]: one["limit"] for one in shown["budgets"]}["relais-user-hour"] == 50


def test_of_whom_nothing_is_known_the_strictest_limit_of_all_holds(gateway: Gateway, live: Path) -> None:
    with (live / "policy.toml").open("a") as policy:
        policy.write(STRICTER)
    refused = gateway("budget", "grant", "u_unknown", "--persons", 26, "--reason", "case 17", "--config", live)
    assert refused.status == 1 and "at most 25 persons" in refused.err
