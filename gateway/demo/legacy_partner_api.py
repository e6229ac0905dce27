"""The interface for partner organisations: a search that gives a token, then questions asked with the token.

Everything is answered 200, the misses too; the agent who asks is named in headers that nothing verifies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.demo.legacy_register import Record, Register

_MESSAGES: Final = {
    "S001": "Usager trouvé",
    "S002": "Aucun usager ne correspond",
    "S003": "Plusieurs usagers correspondent",
}


class UserTokens:
    """`jetonUsager`: a person's id, hidden and signed, readable by the server alone, without any state."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(b"jetonUsager %d" % seed).digest()

    def _digest(self, purpose: bytes, data: bytes, size: int) -> bytes:
        return hashlib.blake2b(data, key=self._key, person=purpose, digest_size=size).digest()

    def mint(self, person: int) -> str:
        nonce = secrets.token_bytes(9)
        pad = int.from_bytes(self._digest(b"pad", nonce, 6))
        hidden = nonce + (person ^ pad).to_bytes(6)
        return base64.urlsafe_b64encode(hidden + self._digest(b"mac", hidden, 15)).decode()

    def read(self, token: str) -> int | None:
        """The person's id, `None` where the server never made this token."""
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError:
            return None
        hidden, mac = raw[:15], raw[15:]
        if not hmac.compare_digest(mac, self._digest(b"mac", hidden, 15)):
            return None
        return int.from_bytes(hidden[9:]) ^ int.from_bytes(self._digest(b"pad", hidden[:9], 6))


class PartnerApi:
    """Routes of the partner interface."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._tokens = UserTokens(register.seed)

    def routes(self) -> list[Route]:
        search = "/rechercher-usager/v2/usagers"
        return [
            Route(f"{search}/par-datenaissance-et-nir", self.by_nir, methods=["POST"]),
            Route(f"{search}/par-numero-francetravail", self.by_registration_number, methods=["POST"]),
            Route("/informations-administratives/v1/usager", self._asked(_administrative)),
            Route("/contrat-usager/v2/contrat", self._asked(_contract)),
            Route("/orientationusager/v1/lectureOrientation", self._asked(_orientation)),
            Route("/donnees-rqth/v1/rqth", self._asked(_disability)),
        ]

    async def by_nir(self, request: Request) -> Response:
        fields = await _json_object(request)
        nir = "".join(str(fields.get("nir", "")).split())
        ids = self._register.ids_by_nir(str(fields.get("dateNaissance", "")), nir) if len(nir) >= 5 else []
        return self._found(request, ids)

    async def by_registration_number(self, request: Request) -> Response:
        fields = await _json_object(request)
        return self._found(
            request, self._register.ids_by_registration_number(str(fields.get("numeroFranceTravail", "")))
        )

    def _found(self, request: Request, ids: list[int]) -> Response:
        code = "S002" if not ids else "S001" if len(ids) == 1 else "S003"
        token = self._tokens.mint(ids[0]) if code == "S001" else None
        answer = {"codeRetour": code, "message": _MESSAGES[code], "jetonUsager": token}
        return _with_agent(request, JSONResponse(answer))

    def _asked(self, view: Callable[[Record], Record]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            person = self._tokens.read(request.headers.get("ft-jeton-usager", ""))
            record = self._register.person(person) if person is not None else None
            if record is None:
                refusal = {"codeRetour": "E001", "message": "Jeton usager invalide"}
                return _with_agent(request, JSONResponse(refusal, 400))
            return _with_agent(request, JSONResponse(view(record)))

        return endpoint


async def _json_object(request: Request) -> Record:
    try:
        fields = await request.json()
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _with_agent(request: Request, response: Response) -> Response:
    """Say which agent was believed, in the bytes that came."""
    for name, value in request.headers.raw:
        if name == b"pa-nom-agent":
            response.raw_headers.append((b"x-agent-vu", value))
    return response


def _administrative(record: Record) -> Record:
    return {
        "etatCivil": {
            "nir": record["nir"][:13],
            "nom": record["nom"],
            "nomNaissance": record["nomNaissance"],
            "prenom": record["prenom"],
            "sexe": record["sexe"],
            "dateNaissance": record["dateNaissance"],
        },
        "identifiants": {
            "numeroFranceTravail": record["numeroFranceTravail"],
            "idNationalDE": record["idNationalDE"],
        },
        "coordonnees": {
            "adresse": {
                "voie": record["adresse"],
                "codePostal": record["codePostal"],
                "ville": record["ville"],
            },
            "telephones": [record["telephone"]],
            "emails": [record["email"]],
        },
    }


def _contract(record: Record) -> Record:
    return {
        "contrat": {
            "dateInscription": record["dateInscription"],
            "dateFin": record["dateFin"],
            "situation": record["situation"],
            "agence": record["agence"],
            "conseiller": record["conseiller"],
        }
    }


def _orientation(record: Record) -> Record:
    return {"orientation": {"sante": record["orientationSante"], "logement": record["logement"]}}


def _disability(record: Record) -> Record:
    return {"rqth": record["rqth"]}
