"""``gateway partner migrate``: what would happen, what is wrong by its line, and who may start it."""

import asyncio
from pathlib import Path

from commands.conftest import Gateway, records, write_records

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.core.identity import Pair
from gateway.stores.identities import Identities
from gateway.stores.migrations import Migrations
from gateway.stores.seats import Seats


async def _seated(live: Path, *subs: str) -> list[str]:
    settings = load(live)
    issuer = settings.partners["relais-emploi"].issuer
    async with desk(settings, writes=False) as at_desk:
        users = [at_desk.keys.user_id(issuer, sub) for sub in subs]
        for user in users:
            await Seats(at_desk.store).take("relais-emploi", user, ripe=True)
        return users


async def _waiting(live: Path) -> tuple[int, list[str]]:
    async with desk(load(live), writes=False) as at_desk:
        migrations = Migrations(at_desk.store)
        found = await migrations.waiting()
        pairs = await migrations.pairs(found[0].id) if found else ()
        known = await Identities(at_desk.store, at_desk.keys).all_of([one.new for one in pairs])
        return len(found), [str(one.state) for one in known]


def test_an_officer_starts_it_and_nobody_is_carried_before_another_has_signed(
    gateway: Gateway, live: Path, tmp_path: Path
) -> None:
    asyncio.run(_seated(live, "1", "2"))
    settings = load(live)

    async def officer() -> str:
        async with desk(settings, writes=False) as at_desk:
            return at_desk.keys.user_id(settings.partners["cap-insertion"].issuer, "ci-0815")

    (file := tmp_path / "pairs.csv").write_text("old_sub,new_sub\n1,a\n2,b\n")
    arguments = ("partner", "migrate", "relais-emploi", "relais-emploi", "--map", file, "--config", live, "--json")
    dry = gateway(*arguments, "--dry-run")
    assert (dry.status, dry.json["to_carry"], dry.json["no_way_to_confirm"]) == (0, 2, [2, 3])
    assert asyncio.run(_waiting(live)) == (0, [])
    refused = gateway(*arguments, "--by", "u_nobody")
    assert refused.status == 1 and "is no officer" in refused.err
    for _ in range(2):
        started = gateway(*arguments, "--by", asyncio.run(officer()))
        assert started.status == 0 and started.json["fingerprint"] == dry.json["fingerprint"]
        assert asyncio.run(_waiting(live)) == (1, ["own", "own"])
    assert [one["event"] for one in records(live) if one["kind"] == "identity"] == ["started"] * 2


def test_who_moves_and_has_a_role_is_told_since_no_role_follows(gateway: Gateway, live: Path, tmp_path: Path) -> None:
    asyncio.run(_seated(live, "re-4712", "1"))
    (file := tmp_path / "pairs.csv").write_text("old_sub,new_sub\n1,a\nre-4712,b\n")
    arguments = ("partner", "migrate", "relais-emploi", "relais-emploi", "--map", file, "--dry-run", "--config", live)
    assert gateway(*arguments, "--json").json["roles"] == [{"role": "help_desk", "line": 3}]
    told = gateway(*arguments).out
    assert "help_desk (line 3)" in told and "Roles do not follow" in told and "re-4712" not in told
    file.write_text("old_sub,new_sub\n1,re-4712\n")
    assert gateway(*arguments, "--json").json["roles"] == []
    assert "Roles do not follow" not in gateway(*arguments).out


def test_what_is_wrong_is_told_with_its_line_and_nothing_is_started(
    gateway: Gateway, live: Path, tmp_path: Path
) -> None:
    asyncio.run(_seated(live, "1"))
    (file := tmp_path / "pairs.csv").write_text("old_sub,new_sub\n1,a\n7,b\n")
    told = gateway("partner", "migrate", "relais-emploi", "relais-emploi", "--map", file, "--dry-run", "--config", live)
    assert told.status == 1 and ":3: nobody was ever here by this old_sub" in told.out
    nobody = gateway("partner", "migrate", "relais-emploi", "nobody", "--map", file, "--dry-run", "--config", live)
    assert nobody.status == 1 and "no partner 'nobody'" in nobody.err


def test_whoever_is_stopped_by_their_new_id_is_stopped_as_who_they_are(gateway: Gateway, live: Path) -> None:
    async def carried() -> str:
        async with desk(load(live), writes=False) as at_desk:
            return await Identities(at_desk.store, at_desk.keys).carry(Pair("u_a", "u_b", "u_a"), partners=("p", "p"))

    assert asyncio.run(carried()) == "carried"
    assert gateway("freeze", "user", "u_b", "--config", live, "--json").json["id"] == "u_a"


ISSUED = ("token", "issue", "--partner", "cap-insertion", "--login", "ines", "--name", "desk", "--json")


def _carried(live: Path, old: str, *, confirmed: bool) -> tuple[str, str]:
    """``old`` of the second partner is ``new`` there now; ids of both."""

    async def work() -> tuple[str, str]:
        settings = load(live)
        async with desk(settings, writes=False) as at_desk:
            issuer = settings.partners["cap-insertion"].issuer
            before, after = (at_desk.keys.user_id(issuer, sub) for sub in (old, "new"))
            identities = Identities(at_desk.store, at_desk.keys)
            await identities.carry(Pair(before, after, before), partners=("cap-insertion", "cap-insertion"))
            if confirmed:
                await identities.confirm(after)
            return before, after

    return asyncio.run(work())


def test_a_token_by_a_new_sub_is_its_users_and_none_is_made_by_one_that_opens_nothing(
    gateway: Gateway, live: Path
) -> None:
    user, new = _carried(live, "old", confirmed=False)
    waits = gateway(*ISSUED, "--sub", "new", "--config", live)
    assert waits.status == 1 and "confirms first" in waits.err
    assert gateway(*ISSUED, "--sub", "old", "--config", live).status == 0
    _carried(live, "old", confirmed=True)
    over = gateway(*ISSUED, "--sub", "old", "--config", live)
    assert over.status == 1 and "another one took its place" in over.err
    made = gateway(*ISSUED, "--sub", "new", "--config", live).json["id"]
    issued = [one["user"] for one in records(live) if one.get("event") == "issued"]
    assert (issued, new in issued) == ([user, user], False)
    listed = gateway("token", "list", "--config", live, "--json").json
    assert {one["user"] for one in listed if one["id"] == made} == {user}


def test_a_letter_by_a_new_sub_is_its_users_and_a_sub_that_opens_nothing_is_told_with_its_line(
    gateway: Gateway, live: Path, tmp_path: Path
) -> None:
    user, _ = _carried(live, "old", confirmed=True)
    (file := tmp_path / "people.csv").write_text("partner,sub,login,name\ncap-insertion,new,ines,Ines\n")
    arguments = ("user", "invite", "--from", file, "--letters", tmp_path / "letters.pdf", "--config", live)
    assert gateway(*arguments, "--json").json["users"] == [user]
    file.write_text("partner,sub,login,name\ncap-insertion,new,ines,Ines\ncap-insertion,old,ines,Ines\n")
    told = gateway(*arguments)
    assert told.status == 1 and ":3: this sub is over" in told.out


def test_a_role_is_shown_as_whose_it_is_and_as_nobodys_once_its_sub_is_over(gateway: Gateway, live: Path) -> None:
    write_records(live)
    shown = ("user", "show", "--config", live, "--json")
    user, _ = _carried(live, "ci-0815", confirmed=False)
    assert gateway(*shown, user).json["roles"] == ["officer"]
    _carried(live, "ci-0815", confirmed=True)
    assert gateway(*shown, user).json["roles"] == []
    policy = live / "policy.toml"
    policy.write_text(policy.read_text().replace('"ci-0815"', '"new"'))
    assert gateway(*shown, user).json["roles"] == ["officer"]
