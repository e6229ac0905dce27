"""Which rule a request falls under, how sensitive that makes it, and whom it asks about.

Rules of this file:

1. The first route of the file whose template covers the path and that lists the method speaks.
2. Any route that covers the path binds: an unsafe method takes the highest class of them all, a ``deny`` denies,
   a method that none of them lists is refused.
3. Where a target has several readings, the most sensitive one wins.
4. A person named by the request is named once, as a scalar of its kind's pattern; else the answer is unreadable.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from gateway.core.canonical import Headers, Target, folded
from gateway.core.extraction import Class, Identifier
from gateway.core.policy import Route
from gateway.core.reasons import Reason, Refusal
from gateway.core.values import frozen

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""RFC 9110 section 9.2.1; TRACE and CONNECT are never forwarded."""

NEVER = frozenset({b"TRACE", b"CONNECT", b"TRACK"})
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(:\*)?\}")


def compile_template(template: str) -> re.Pattern[bytes]:
    """A path template as a pattern over decoded paths; ``ValueError`` says what is wrong with it."""
    if not template.startswith("/"):
        raise ValueError(f"a path template begins with '/': {template!r}")
    pattern, position = b"", 0
    names: set[str] = set()
    for match in _PARAMETER.finditer(template):
        if match[1] in names:
            raise ValueError(f"{{{match[1]}}} stands twice in {template!r}")
        names.add(match[1])
        pattern += _literal(template, position, match.start())
        pattern += b"(?P<%s>%s)" % (match[1].encode(), b".*" if match[2] else b"[^/]+")
        position = match.end()
    return re.compile(pattern + _literal(template, position, len(template)), re.DOTALL)


def _literal(template: str, start: int, end: int) -> bytes:
    text = template[start:end]
    if "{" in text or "}" in text:
        raise ValueError(f"a brace that is no {{name}} in {template!r}")
    return re.escape(text.encode())


def _literal_start(template: str) -> bytes:
    """With what every path that a template covers begins."""
    return template.partition("{")[0].encode()


@frozen
class Classified:
    """A request's place in the policy: ``route`` (None: unmatched), its class, and whether it only reads."""

    route: Route | None
    klass: Class
    reads: bool
    parameters: Mapping[str, str]

    @property
    def rule(self) -> str:
        """The route's name, or ``unmatched``."""
        return self.route.name if self.route else "unmatched"


class Routes:
    """One application's routes, compiled."""

    def __init__(self, routes: Sequence[Route], unsafe_default: Class) -> None:
        compiled = [(route, _literal_start(route.template), compile_template(route.template)) for route in routes]
        self._anywhere = tuple(one for one in compiled if b"/" not in one[1][1:])
        self._below = {
            segment: tuple(one for one in compiled if one[1].startswith(b"/%s/" % segment) or one in self._anywhere)
            for segment in {one[1].split(b"/", 2)[1] for one in compiled if b"/" in one[1][1:]}
        }
        self._unsafe_default = unsafe_default

    def classify(self, method: bytes, target: Target) -> Classified | Refusal:
        """Find the rule for a request; a ``Refusal`` for a method nobody lists or a denied route."""
        if method not in SAFE and (method in NEVER or not _TOKEN.fullmatch(method)):
            return Refusal(Reason.METHOD_NOT_LISTED, detail="the method is never forwarded")
        queried = _query_names(target.query)
        if len(target.readings) == 1:
            return self._one(method, target.readings[0], queried)
        results = [self._one(method, reading, queried) for reading in target.readings]
        for result in results:
            if isinstance(result, Refusal):
                return result
        found = [result for result in results if isinstance(result, Classified)]
        most = max(found, key=lambda one: (one.klass, one.route is not None))
        if all(one.reads for one in found) or not most.reads:
            return most
        return Classified(most.route, most.klass, False, most.parameters)

    def _one(self, method: bytes, path: bytes, queried: frozenset[str]) -> Classified | Refusal:
        covering = [
            (route, match)
            for route, start, pattern in self._below.get(path.split(b"/", 2)[1], self._anywhere)
            if path.startswith(start)
            and (match := pattern.fullmatch(path))
            and (not route.query or not queried.isdisjoint(route.query))
        ]
        as_method = b"GET" if method == b"HEAD" else method
        if not covering:
            safe = method in SAFE
            return Classified(None, Class.PUBLIC if safe else self._unsafe_default, safe, {})
        listing = [(route, match) for route, match in covering if as_method in route.methods or b"*" in route.methods]
        for route, _ in listing:
            if route.deny:
                return Refusal(Reason.DENIED_BY_RULE, klass=route.klass, rule=route.name)
        if not listing:
            methods = sorted({name.decode("latin-1") for route, _ in covering for name in route.methods})
            return Refusal(Reason.METHOD_NOT_LISTED, methods=tuple(methods), rule=covering[0][0].name)
        route, match = listing[0]
        reads = method in SAFE or route.read
        klass = route.klass if reads else max(one.klass for one, _ in covering)
        parameters = {name: value.decode("latin-1") for name, value in match.groupdict().items()}
        return Classified(route, klass, reads, parameters)


def _query_names(query: bytes) -> frozenset[str]:
    """The names of a query's parameters under every separator an application may use, lower-cased, brackets off."""
    if not query:
        return frozenset()
    pairs = parse_qsl(query.decode("latin-1").replace(";", "&"), keep_blank_values=True)
    return frozenset(key.split("[", 1)[0].strip().casefold() for key, _ in pairs)


class Unclear:
    """A person of the request that is not named exactly once: the answer is unreadable and charged by size."""


UNCLEAR = Unclear()
Identify = Callable[[str, str], Identifier | None]
"""Kind and raw value to an identifier, when the value matches its kind's pattern."""


def request_persons(
    classified: Classified,
    query: bytes,
    headers: Headers,
    body: object,
    form: Sequence[tuple[str, str]],
    identify: Identify,
) -> tuple[Identifier, ...] | Unclear | None:
    """Whom the request asks about (rule 5 of the design); ``None`` where the route declares nobody.

    ``body``: the parsed JSON body (``None`` without one, ``UNCLEAR`` when it holds a name twice); ``form``: the fields
    of a form body.
    """
    route = classified.route
    if route is None or not route.persons:
        return None
    pairs = [*parse_qsl(query.decode("latin-1"), keep_blank_values=True), *form]
    found: list[Identifier] = []
    for where, kind in route.persons:
        source, _, name = where.partition(":")
        value = _value(source, name, classified.parameters, pairs, headers, body)
        identifier = identify(kind, value) if value is not None else None
        if identifier is None:
            return UNCLEAR
        found.append(identifier)
    return tuple(found)


def _value(
    source: str,
    name: str,
    parameters: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
    headers: Headers,
    body: object,
) -> str | None:
    if source == "header":
        values = [value.decode("latin-1") for key, value in headers if folded(key) == folded(name.encode())]
        return values[0] if len(values) == 1 else None
    if source == "body":
        return _scalar(body, name)
    alike = [value for key, value in pairs if _same_name(key, name)]
    if source == "path":
        return parameters.get(name) if not alike else None
    if len(alike) != 1 or isinstance(body, dict | list | Unclear):
        return None
    return alike[0]


def _same_name(key: str, name: str) -> bool:
    """Whether an application may take ``key`` for ``name``: without case and the brackets of list parameters."""
    return key.split("[", 1)[0].strip().casefold() == name.casefold()


def _scalar(body: object, pointer: str) -> str | None:
    for part in pointer.lstrip("/").split("/"):
        if not isinstance(body, dict):
            return None
        alike = [key for key in body if _same_name(str(key), part)]
        if alike != [part]:
            return None
        body = body[part]
    if isinstance(body, bool) or not isinstance(body, str | int):
        return None
    return str(body)
