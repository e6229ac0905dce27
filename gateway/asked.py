"""What a request says before it is forwarded: whom it names, what it writes, and whether a mask comes back in it."""

from dataclasses import replace

from gateway.application import Application
from gateway.core.canonical import joined
from gateway.core.classify import Classified, Identify, Unclear, request_persons
from gateway.core.extraction import Class, Identifier
from gateway.core.reasons import Reason, Refusal
from gateway.incoming import RequestBody, has_fields, names_in, parsed
from gateway.passage import Passage
from gateway.reading.identifiers import identify
from gateway.reading.masks import masked_fields


async def look(
    passage: Passage, application: Application, classified: Classified, body: RequestBody, most_kept_bytes: int
) -> Classified | Refusal:
    """Look at what must be known of the request's body before it is forwarded: whom it names, masked values.

    Gives the class with what the body adds: a person named unclearly makes it as sensitive as what cannot be
    read, a field of an identifier's kind that is written as sensitive as that.
    :raises BodyStalled, BodyTooLarge, ClientGone:
    """
    route, target = classified.route, passage.target
    body.refuses_masks = not application.observing
    body.most_bytes = route.max_body_bytes if route else None
    if body.most_bytes is not None and (body.length or 0) > body.most_bytes:
        return Refusal(Reason.BODY_TOO_LARGE)
    kept = await _kept(passage, application, classified, body, most_kept_bytes) if body.present else b""
    if isinstance(kept, Refusal):
        return kept
    query = target.query if target else b""
    looks = not application.observing and (kept or query)
    if looks and masked_fields(body.content_type.decode("latin-1"), kept or b"", query):
        return Refusal(Reason.MASKED_VALUE_RETURNED)
    persons: tuple[Identifier, ...] | Unclear | None = None
    if route is not None and route.persons:
        value, form = parsed(body.content_type, kept) if kept else (None, [])
        identify_one = identify_in(application, plainly=bool(route.mints))
        persons = request_persons(classified, query, passage.headers, value, form, identify_one)
    klass = classified.klass
    if isinstance(persons, Unclear):
        passage.unclear = True
        klass = max(klass, application.policy.unreadable)
    else:
        passage.persons = persons
    if kept and not classified.reads:
        written = [named for name in names_in(kept) if (named := application.rules.named(name)) and named.unique]
        passage.writes_identifier = any(named.klass >= Class.INTERNAL for named in written)
        klass = max([klass, *(named.klass for named in written)])
    passage.classified = classified if klass is classified.klass else replace(classified, klass=klass)
    return passage.classified


async def _kept(
    passage: Passage, application: Application, classified: Classified, body: RequestBody, most_bytes: int
) -> bytes | Refusal | None:
    """The body, where something of it must be known; nothing where not; ``None`` where it is too long for that."""
    route = classified.route
    names_in_body = bool(route and any(where.startswith(("body:", "query:")) for where, _ in route.persons))
    looks = (route is None or route.inspect) and not application.observing
    if not names_in_body and not (looks and (body.structured or not classified.reads)):
        return b""
    if looks and (joined(passage.headers, b"content-encoding") or b"identity").strip().lower() != b"identity":
        return Refusal(Reason.MALFORMED_REQUEST, detail="a coded body cannot be looked at")
    kept = await body.buffer(most_bytes)
    if kept is None and (names_in_body or (route and route.persons and has_fields(body.start))):
        return Refusal(Reason.BODY_TOO_LARGE)
    return kept


def identify_in(application: Application, *, plainly: bool = False) -> Identify:
    """How a value of a request becomes an identifier of a declared kind.

    ``plainly``: only as the kind writes it. Where a token is minted for whom the request names, two spellings of one
    number could be two persons to the application.
    """
    kinds = application.kinds

    def one(kind: str, value: str) -> Identifier | None:
        found = identify(kinds[kind], value)
        if found is None or not plainly or value in (found.value, found.value + value[13:15]):
            return found
        return None

    return one
