"""Who plays: the people and tokens of a ready file, and the codes that they confirm with."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyotp

FILES_EACH = 25
"""How many records one adviser works on: fewer than a confirmation, an hour or a partner's share allows."""


@dataclass(frozen=True, slots=True)
class Person:
    """One adviser. ``records``: the ids they work on; ``issuer``: of their partner's provider."""

    login: str
    password: str
    partner: str
    issuer: str
    secret: str
    token: str
    records: tuple[int, ...]
    place: int

    def code(self) -> str:
        """Their code now."""
        return pyotp.TOTP(self.secret).now()


def read(file: Path) -> list[Person]:
    """Everybody of a ready file who has a token and a secret for codes, each with records of their own."""
    told = json.loads(file.read_text())
    tokens = {one["user"]: one["token"] for one in reversed(told["tokens"])}
    issuers = {one["id"]: one["issuer"] for one in told["partners"]}
    users = [one for one in told["users"] if one["login"] in tokens]
    ids = told["samples"]["ids"]
    return [
        Person(
            login=one["login"],
            password=one["password"],
            partner=one["partner"],
            issuer=issuers[one["partner"]],
            secret=one["totp_secret"],
            token=tokens[one["login"]],
            records=tuple(ids[place * FILES_EACH : (place + 1) * FILES_EACH]),
            place=place,
        )
        for place, one in enumerate(users)
    ]


def parts(people: list[Person]) -> dict[str, list[Person]]:
    """Who plays what: one thief (whose files are everybody's), one exporter, the rest advisers and programs in turn."""
    thief, exporter, *others = people
    return {
        "thief": [thief],
        "exporter": [exporter],
        "browser": others[0::2],
        "program": others[1::4],
        "partner": others[3::4],
    }
