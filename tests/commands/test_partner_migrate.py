"""``gateway partner migrate``: what would happen, what is wrong by its line, and who may start it."""

import asyncio
from pathlib import Path

from commands.conftest import Gateway, records

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
