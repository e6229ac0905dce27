"""user invite: a letter for each person of a file, or none; and a code that no store, ledger or screen has."""

import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from commands.conftest import Gateway, records, run, user_id

from gateway.commands.letters_pdf import Letter, Sender, letters_pdf
from gateway.config import load
from gateway.keyring import KeyRing
from gateway.ledger import LedgerUnavailable
from gateway.stores.connection import Store
from gateway.stores.letters import Letters

CSV = "partner,sub,login,name\nrelais-emploi,l-1,lea,Léa Roy\ncap-insertion,l-2,max,Max Œuvré\n"


def printed(content: bytes) -> list[str]:
    """The words on each page."""
    streams = [zlib.decompress(one) for one in re.findall(rb"stream\n(.*?)\nendstream", content, re.DOTALL)]
    pages = [b" ".join(re.findall(rb"\((.*?)\) Tj", one)) for one in streams if b" Tj" in one]
    return [page.decode("cp1252").replace("\\", "") for page in pages]


@pytest.fixture
def invite(gateway: Gateway, live: Path, tmp_path: Path) -> Any:
    """`gateway user invite` of a file with this content."""

    def invited(content: str, *more: object) -> Any:
        (tmp_path / "people.csv").write_text(content)
        files = ("--from", tmp_path / "people.csv", "--letters", tmp_path / "letters.pdf")
        return gateway("user", "invite", *files, *more, "--config", live)

    return invited


def burn(live: Path, user: str, code: str) -> Any:
    async def work() -> Any:
        store = await Store.connect(load(live).gateway.store.url, timeout_s=20)
        rejected = await Letters(store, KeyRing.load(live / "keys")).burn(user, code)
        await store.close()
        return rejected

    return run(work())


def test_each_person_gets_a_page_with_a_code_that_is_theirs(invite: Any, live: Path, tmp_path: Path) -> None:
    said = invite(CSV, "--by", "officer", "--json").json
    users = [user_id(live, "l-1"), user_id(live, "l-2", "cap-insertion")]
    assert (said["letters"], said["users"], said["already"]) == (2, users, [])
    lea, max_ = printed((tmp_path / "letters.pdf").read_bytes())
    assert "Bonjour Léa Roy" in lea and "Dear Léa Roy" in lea and "(lea)" in lea
    assert (
        "Max Œuvré" in max_ and "/.gateway/enrol" in max_ and load(live).gateway.help_desk in max_.replace("\xa0", " ")
    )
    (code,) = re.findall(r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", lea)
    assert burn(live, users[1], code) is not None and burn(live, users[0], code) is None
    events = [(one["event"], one["by"], one["user"]) for one in records(live) if one["kind"] == "factor"]
    assert sorted(events) == sorted(("letter_made", "officer", user) for user in users)


def test_no_code_name_or_login_is_shown_or_written_down(invite: Any, live: Path, tmp_path: Path) -> None:
    said = [invite(CSV), invite(CSV, "--json")]
    (tmp_path / "letters.pdf").rename(tmp_path / "first.pdf")
    said.append(invite(CSV, "--json"))
    pages = printed((tmp_path / "first.pdf").read_bytes()) + printed((tmp_path / "letters.pdf").read_bytes())
    codes = [code for page in pages for code in re.findall(r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", page)]
    assert len(set(codes)) == 4
    told = "".join(one.out + one.err for one in said) + str(records(live))
    assert not [one for one in (*codes, "Léa", "Œuvré", "l-1") if one in told]


def test_the_letters_are_for_this_account_alone_and_never_overwritten(invite: Any, tmp_path: Path, live: Path) -> None:
    invite(CSV)
    file = tmp_path / "letters.pdf"
    before = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    again = invite(CSV)
    assert (again.status, "never overwritten" in again.err, file.read_bytes()) == (1, True, before)
    assert len([one for one in records(live) if one.get("event") == "letter_made"]) == 2


def test_every_mistake_is_told_with_its_line_and_no_letter_is_made(invite: Any, live: Path, tmp_path: Path) -> None:
    refused = invite(f"{CSV}nowhere,l-3,eve,Eve\nrelais-emploi,l-1,lea,Léa\n")
    assert refused.status == 1
    assert "people.csv:4: there is no such partner" in refused.out and "people.csv:5: this person" in refused.out
    assert [one["line"] for one in invite(f"{CSV}a\n", "--json").json["mistakes"]] == [4]
    assert not (tmp_path / "letters.pdf").exists() and not (live / "ledger").exists()


def test_who_has_a_factor_gets_no_letter(gateway: Gateway, invite: Any, live: Path, tmp_path: Path) -> None:
    secret = "31323334353637383930" * 2
    (tmp_path / "tokens.csv").write_text(f"serial,secret\nA-1,{secret}\n")
    gateway("user", "tokens", "import", tmp_path / "tokens.csv", "--config", live)
    gateway("user", "tokens", "assign", "A-1", user_id(live, "l-1"), "--config", live)
    said = invite(CSV, "--json").json
    assert (said["letters"], said["already"]) == (1, [user_id(live, "l-1")])
    (tmp_path / "letters.pdf").unlink()
    nobody = invite("".join(CSV.splitlines(keepends=True)[:2]))
    assert (nobody.status, "no letter" in nobody.err, (tmp_path / "letters.pdf").exists()) == (1, True, False)


def test_without_a_record_there_is_no_letter(
    invite: Any, live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the disk is full")

    monkeypatch.setattr("gateway.ledger.Ledger.append", full)
    refused = invite(CSV)
    assert refused.status == 2 and "nothing was done" in refused.err
    assert not (tmp_path / "letters.pdf").exists()
    monkeypatch.undo()


def test_a_file_that_is_not_there_too_large_or_nowhere_is_one_line(
    gateway: Gateway, invite: Any, live: Path, tmp_path: Path
) -> None:
    absent = gateway("user", "invite", "--from", tmp_path / "no.csv", "--letters", tmp_path / "l.pdf", "--config", live)
    assert absent.status == 2 and absent.err.count("\n") == 1
    (tmp_path / "people.csv").write_text(CSV)
    files = ("--from", tmp_path / "people.csv", "--letters", tmp_path / "no" / "l.pdf")
    nowhere = gateway("user", "invite", *files, "--config", live)
    assert nowhere.status == 2 and nowhere.err.count("\n") == 1
    assert "split it" in invite(CSV + " " * 4 * 1024 * 1024).err


@pytest.mark.parametrize("observing", [True, False])
def test_a_letter_says_how_far_the_factor_reaches_at_first(observing: bool) -> None:
    sender = Sender("https://gate.example", "", 0.0, observing)
    (page,) = printed(letters_pdf([Letter("Léa", "lea", "Agency", "ABCD-EFGH-IJKL-MN23")], sender))
    assert ("10 dossiers" in page, "10 files" in page) == (not observing, not observing)
    assert "help desk." in page and "01/01/1970" in page and "01 January 1970" in page
