"""Numbers of persons who do not exist, and one test's way to the scripted application."""

import json
from dataclasses import dataclass

from scripted_application import Received, Script, ScriptedApplication
from stack import Account, Stack
from wire import Answer

from gateway.demo.population import nir_key

RAW = "raw.test"


def nir(number: int) -> str:
    """A national number of 15 characters, of the person so numbered."""
    first = f"18505{78000 + number // 999:05d}{number % 999 + 1:03d}"
    return f"{first}{nir_key(first):02d}"


def record(number: int, **more: object) -> dict[str, object]:
    """A person's record."""
    return {"nir": nir(number), "nom": f"Nom{number}", **more}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Raw:
    """A path of the scripted application, behind the gateway as the host ``raw.test``."""

    stack: Stack
    app: ScriptedApplication
    path: str

    def under(self, route: str) -> "Raw":
        """The same below a route of the policy."""
        return Raw(self.stack, self.app, f"/{route}{self.path}")

    def says(self, body: bytes, media_type: str = "application/json", *fields: str, status: int = 200) -> None:
        self.app.says(self.path, body, media_type, *fields, status=status)

    def answers(self, *pieces: bytes, close: bool = False) -> None:
        self.app.answers(self.path, *pieces, close=close)

    def runs(self, script: Script) -> None:
        self.app.runs(self.path, script)

    def ask(
        self,
        account: Account | None,
        *fields: tuple[str, str | bytes],
        method: str = "GET",
        body: bytes | None = None,
        query: str = "",
        host: str = RAW,
        version: str = "1.1",
    ) -> Answer:
        target = self.path + (f"?{query}" if query else "")
        return self.stack.ask(target, account, *fields, method=method, body=body, host=host, version=version)

    @property
    def received(self) -> list[Received]:
        """What the application was asked at this path."""
        return self.app.asked(self.path)
