"""After all other journeys: no number of anybody, nothing that opens anything, in what the gateway keeps or tells."""

import base64
import re
import urllib.request
from collections.abc import Iterator

from running_demo import RunningDemo

# In these secrets stand because that is what they are for: keys, the partners' lists of passwords, the application's
# own data (SQLite, with its journal). What processes leave in `tmp` is looked at too.
BY_PURPOSE = ("config/keys/", "population.db", "relais-emploi.json", "cap-insertion.json")
NIR_LENGTH = 13


def _kept(demo: RunningDemo) -> Iterator[tuple[str, bytes]]:
    """Every file of the demo by its name, and what its metrics say."""
    folder = demo.config.parent
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and not name.startswith(BY_PURPOSE):
            # The ledger's reserve of the disk is megabytes of nothing.
            yield name, file.read_bytes().replace(bytes(4096), b"")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{demo.admin}/metrics", timeout=10) as answer:
        yield "/metrics", answer.read()


def numbers_in(content: bytes, nirs: set[bytes]) -> set[bytes]:
    """Which of these numbers stand in some bytes, however their parts are separated."""
    found = set()
    for text in (content, re.sub(rb"[ .\-_:/]|\xc2\xa0|%20", b"", content)):
        for run in re.finditer(rb"[0-9AB]{13,}", text):
            piece = run.group()
            found |= {part for at in range(len(piece) - 12) if (part := piece[at : at + NIR_LENGTH]) in nirs}
    return found


def spellings(secret: str, kind: str) -> list[re.Pattern[bytes]]:
    """How a secret may be written. A code of six digits is looked for as a word: digits are everywhere."""
    raw = secret.encode()
    if kind == "code":
        return [re.compile(rb"(?<![0-9A-Za-z.])" + raw + rb"(?![0-9A-Za-z])")]
    written = [raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode()]
    if kind == "code generator":
        seed = base64.b32decode(secret)
        written += [seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"=")]
    return [re.compile(re.escape(one)) for one in written]


def test_what_is_kept_and_told_holds_no_secret(running: RunningDemo) -> None:
    nirs = {nir.encode() for nir in running.all_nirs()}
    secrets = {name: (kind, spellings(name, kind)) for name, kind in running.secrets.items()}
    seen = {}
    for name, content in _kept(running):
        seen[name.partition("/")[0]] = name
        assert numbers_in(content, nirs) == set(), name
        told = [kind for kind, patterns in secrets.values() if any(one.search(content) for one in patterns)]
        assert told == [], name
    # The logs, the store's file, the ledger inside the configuration, and the metrics have all been looked at.
    assert {"logs", "store", "config"} <= set(seen)
    assert {"token", "code generator", "password"} <= set(running.secrets.values())


def test_a_secret_would_be_found(running: RunningDemo) -> None:
    nir = next(iter(running.all_nirs())).encode()
    spaced = b" ".join([nir[:1], nir[1:3], nir[3:5], nir[5:7], nir[7:10], nir[10:]])
    assert numbers_in(b"x=" + nir + b"42", {nir}) == {nir}
    assert numbers_in(b"n\xc2\xb0 " + spaced, {nir}) == {nir}
    token = next(secret for secret, kind in running.secrets.items() if kind == "token")
    assert any(one.search(b"GET /?t=" + token.encode()) for one in spellings(token, "token"))
    assert any(one.search(b'{"code":"012345"}') for one in spellings("012345", "code"))
