"""user tokens: from the maker's file to the person, recorded, and no secret on the way."""

import io
from pathlib import Path
from typing import Any

import pytest
from commands.conftest import Gateway, records, run, user_id

from gateway.config import load
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.factors import Factors
from gateway.stores.notices import Notices

SECRETS = ("31323334353637383930" * 2, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA")
HEADING = "serial,secret,algorithm,digits,period\n"
CSV = f"{HEADING}A-1,{SECRETS[0]},SHA1,6,30\nA-2,{SECRETS[1]},SHA256,8,60\n"
WHO = ("--partner", "relais-emploi", "--sub", "4711", "--login", "camille", "--name", "desk")


@pytest.fixture
def tokens(gateway: Gateway, live: Path, tmp_path: Path) -> Any:
    """`gateway user tokens import` of a file with this content."""
    gateway("token", "issue", *WHO, "--config", live)

    def imported(content: str, *more: object) -> Any:
        (tmp_path / "tokens.csv").write_text(content)
        return gateway("user", "tokens", "import", tmp_path / "tokens.csv", *more, "--config", live)

    return imported


def test_tokens_are_imported_listed_and_assigned_and_the_ledger_has_it(
    gateway: Gateway, live: Path, tokens: Any
) -> None:
    assert tokens(CSV, "--json", "--by", "officer").json == {"imported": 2, "serials": ["A-1", "A-2"]}
    assigned = gateway("user", "tokens", "assign", "A-2", "camille", "--by", "officer", "--config", live, "--json").json
    assert assigned["user"] == user_id(live, "4711")
    first, second = gateway("user", "tokens", "list", "--config", live, "--json").json
    assert (first["serial"], first["user"], first["digits"]) == ("A-1", None, 6)
    assert (second["user"], second["factor"], second["algorithm"], second["period_s"]) == (
        assigned["user"],
        assigned["factor"],
        "SHA256",
        60,
    )
    events = [(one["event"], one["by"], one.get("serial")) for one in records(live) if one["kind"] == "factor"]
    assert events == [("tokens_imported", "officer", None), ("enrolled", "officer", "A-2")]
    shown = gateway("user", "tokens", "list", "--config", live)
    assert "SHA256, 8 digits, 60 s" in shown.out and "in stock" in shown.out

    async def kinds() -> tuple[tuple[str, ...], set[str]]:
        settings = load(live)
        store = await Store.connect(settings.gateway.store.url, timeout_s=20)
        found = await Factors(store, KeyRing.load(live / "keys")).kinds(assigned["user"])
        told = {one.kind for one in await Notices(store).of(assigned["user"])}
        await store.close()
        return found, told

    assert run(kinds()) == (("totp",), {"token_assigned", "token_issued"})


def test_no_secret_is_shown_or_written_down(gateway: Gateway, live: Path, tokens: Any) -> None:
    said = [tokens(CSV), tokens(CSV), tokens(CSV.replace("SHA256", SECRETS[1])), tokens(CSV, "--json")]
    said.append(gateway("user", "tokens", "assign", "A-1", "camille", "--config", live))
    said.append(gateway("user", "tokens", "list", "--config", live, "--json"))
    for secret in (*SECRETS, "12345678901234567890"):
        assert all(secret not in one.out + one.err for one in said)
        assert secret not in str(records(live))


def test_a_token_is_imported_once_and_given_once(gateway: Gateway, live: Path, tokens: Any) -> None:
    tokens(CSV)
    assert gateway("user", "tokens", "assign", "A-1", "camille", "--config", live).status == 0
    again = gateway("user", "tokens", "assign", "A-1", "camille", "--config", live)
    assert (again.status, "already" in again.err) == (1, True)
    unknown = gateway("user", "tokens", "assign", "A-9", "camille", "--config", live)
    assert (unknown.status, "no token A-9" in unknown.err) == (1, True)
    assert gateway("user", "tokens", "assign", "A-2", "nobody", "--config", live).status == 2
    new = f"{HEADING}A-3,{SECRETS[0][:-2]}00,,,\n"
    refused = tokens(CSV + new.removeprefix(HEADING))
    assert refused.status == 1
    assert "tokens.csv:2: A-1 was imported before" in refused.out and "tokens.csv:3: A-2" in refused.out
    assert len(gateway("user", "tokens", "list", "--config", live, "--json").json) == 2
    assert tokens(new).status == 0
    assert len([one for one in records(live) if one.get("event") == "tokens_imported"]) == 2


def test_every_mistake_is_told_with_its_line_and_nothing_is_taken(gateway: Gateway, live: Path, tokens: Any) -> None:
    refused = tokens(CSV + "A-3,zz!,,,\nA-4,00,,,\n", "--json")
    assert refused.status == 1
    assert [one["line"] for one in refused.json["mistakes"]] == [4, 5]
    assert gateway("user", "tokens", "list", "--config", live, "--json").json == []
    assert not [one for one in records(live) if one["kind"] == "factor"]


def test_an_encrypted_file_is_opened_with_a_key_from_a_file_or_the_standard_input(
    tokens: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{PRE_SHARED}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    refused = tokens(PSKC)
    assert refused.status == 2 and "is needed" in refused.err
    monkeypatch.setattr("sys.stdin", io.StringIO("0" * 32 + "\n"))
    assert "not that of this file" in tokens(PSKC).out
    assert tokens(PSKC, "--key-file", tmp_path / "key", "--json").json["serials"] == ["987654321"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PRE_SHARED}\n"))
    assert "imported before" in tokens(PSKC).out


@pytest.mark.parametrize(("mode", "bound"), [("enforce", "remote"), ("observe", "own")])
def test_a_token_assigned_while_all_only_observes_is_ripe(
    gateway: Gateway, live: Path, tokens: Any, mode: str, bound: str
) -> None:
    file = live / "gateway.toml"
    file.write_text(file.read_text().replace('mode = "enforce"', f'mode = "{mode}"'))
    tokens(CSV)
    gateway("user", "tokens", "assign", "A-1", "camille", "--config", live)
    (one,) = gateway("user", "show", "camille", "--config", live, "--json").json["factors"]
    written = [one["bound"] for one in records(live) if one.get("event") == "enrolled"]
    assert [one["bound"], *written] == [bound, bound]


def test_a_file_that_is_not_there_or_too_large_is_one_line(gateway: Gateway, live: Path, tmp_path: Path) -> None:
    absent = gateway("user", "tokens", "import", tmp_path / "none.csv", "--config", live)
    assert absent.status == 2 and absent.err.count("\n") == 1
    (tmp_path / "large.csv").write_bytes(b"a" * (8 * 1024 * 1024 + 1))
    large = gateway("user", "tokens", "import", tmp_path / "large.csv", "--config", live)
    assert large.status == 2 and "split it" in large.err


PRE_SHARED = "12345678901234567890123456789012"
_AES = '<x:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
PSKC = f"""<?xml version="1.0"?>
<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc" xmlns:x="http://www.w3.org/2001/04/xmlenc#">
<EncryptionKey/><MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey>{_AES}<x:CipherData>
<x:CipherValue>ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX</x:CipherValue></x:CipherData></MACKey>
</MACMethod><KeyPackage><DeviceInfo><SerialNo>987654321</SerialNo></DeviceInfo>
<Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp"><AlgorithmParameters>
<ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters><Data><Secret><EncryptedValue>{_AES}<x:CipherData>
<x:CipherValue>AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv</x:CipherValue></x:CipherData>
</EncryptedValue><ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=</ValueMAC></Secret></Data></Key></KeyPackage></KeyContainer>
"""
"""Key, secret and MAC are the values of RFC 6030, section 6.1."""
