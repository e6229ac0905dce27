"""The screens: welcome, search with type-ahead, record, edit form, note, CV."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.demo.legacy_activity import Activity
from gateway.demo.legacy_api import form_fields
from gateway.demo.legacy_pdf import curriculum_vitae
from gateway.demo.legacy_register import COLUMNS, Conflict, Record, Register

_HERE: Final = Path(__file__).parent
_RESULTS: Final = 50
_SUGGESTIONS: Final = 10

LABELS: Final = {
    "numeroFranceTravail": "Numéro France Travail", "idNationalDE": "Identifiant national", "nir": "NIR",
    "nom": "Nom", "prenom": "Prénom", "nomNaissance": "Nom de naissance", "sexe": "Sexe",
    "dateNaissance": "Date de naissance", "adresse": "Adresse", "codePostal": "Code postal", "ville": "Ville",
    "telephone": "Téléphone", "email": "Courriel", "agence": "Agence (SAFIR)", "conseiller": "Conseiller",
    "dateInscription": "Inscription", "dateFin": "Fin", "situation": "Situation", "rqth": "RQTH",
    "orientationSante": "Santé", "logement": "Logement", "note": "Note",
}  # fmt: skip
_EDITED: Final = (
    "nir", "nom", "prenom", "dateNaissance", "adresse", "codePostal", "ville", "telephone", "email", "note",
)  # fmt: skip


def _latin_1(text: str) -> bytes:
    """A header value as the old server writes it: raw accents, no quotes inside."""
    return text.replace('"', "").replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


class Pages:
    """The HTML routes."""

    def __init__(self, register: Register, activity: Activity) -> None:
        self._register = register
        self._activity = activity
        self._templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.welcome),
            Route("/recherche", self.search),
            Route("/recherche/suggestions", self.suggestions),
            Route("/activite", self.activity),
            Route("/consultation", self.consultation),
            Route("/dossiers/{id:int}", self.record),
            Route("/dossiers/{id:int}/modifier", self.edit),
            Route("/dossiers/{id:int}/modifier", self.save, methods=["POST"]),
            Route("/dossiers/{id:int}/note", self.note),
            Route("/dossiers/{id:int}/cv.pdf", self.cv),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]

    def _page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(name).render(labels=LABELS, **values), status)

    def _record(self, request: Request) -> Record | None:
        return self._register.person(int(request.path_params["id"]))

    def _unknown(self) -> Response:
        return self._page("dossier_inconnu.html", 404)

    async def welcome(self, _request: Request) -> Response:
        return self._page("accueil.html", persons=self._register.count(), agencies=len(self._register.agencies()))

    async def activity(self, _request: Request) -> Response:
        return self._page("activite.html")

    async def consultation(self, _request: Request) -> Response:
        return self._page("consultation.html")

    async def search(self, request: Request) -> Response:
        text = request.query_params.get("q", "")
        return self._page("recherche.html", q=text, results=self._register.search(text, _RESULTS), limit=_RESULTS)

    async def suggestions(self, request: Request) -> Response:
        found = self._register.search(request.query_params.get("q", ""), _SUGGESTIONS)
        return JSONResponse([{field: person[field] for field in ("id", "nom", "prenom", "ville")} for person in found])

    async def record(self, request: Request) -> Response:
        record = self._record(request)
        if record is None:
            return self._unknown()
        page = self._page("dossier.html", record=record, fields=[field for field in COLUMNS if field != "note"])
        file_name = f"dossier {record['prenom']} {record['nom']}.html"
        page.raw_headers.append((b"content-disposition", b'inline; filename="%b"' % _latin_1(file_name)))
        page.raw_headers.append((b"x-conseiller", _latin_1(record["conseiller"])))
        return page

    async def edit(self, request: Request) -> Response:
        record = self._record(request)
        return self._unknown() if record is None else self._page("modifier.html", record=record, fields=_EDITED)

    async def save(self, request: Request) -> Response:
        record = self._record(request)
        if record is None:
            return self._unknown()
        given = form_fields(await request.body())
        fields = {name: value for name, value in given.items() if name in _EDITED and isinstance(value, str)}
        refused = self._register.save(record["id"], fields)
        if isinstance(refused, Conflict):
            return self._page("modifier.html", 409, record={**record, **fields}, fields=_EDITED, error=refused.reason)
        self._activity.saved += 1
        return RedirectResponse(f"/dossiers/{record['id']}", 303)

    async def note(self, request: Request) -> Response:
        record = self._record(request)
        return self._unknown() if record is None else PlainTextResponse(record["note"])

    async def cv(self, request: Request) -> Response:
        record = self._record(request)
        if record is None:
            return self._unknown()
        name = f"{record['prenom']} {record['nom']}"
        document = Response(curriculum_vitae(record["id"], name), media_type="application/pdf")
        disposition = b'attachment; filename="CV %b.pdf"' % _latin_1(name)
        document.raw_headers.append((b"content-disposition", disposition))
        return document
