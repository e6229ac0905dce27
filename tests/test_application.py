"""One application compiled: links that name persons, fields that mint, deadlines of routes."""

import pytest
from small_application import settings_with, small_application

from gateway.application import link_templates, origin_of
from gateway.core.extraction import Class
from gateway.core.policy import Route, UniqueKind
from gateway.upstream import Deadlines

NUMBER = UniqueKind("number", Class.INTERNAL, pattern="[0-9]{3}|[A-Z]{2}")
ANY = UniqueKind("any", Class.PERSONAL)
NIR = UniqueKind("nir", Class.SENSITIVE, pattern="nir")


def route(template: str, *persons: tuple[str, str], name: str = "r") -> Route:
    return Route(name, frozenset({b"GET"}), template, Class.PERSONAL, persons)


def found(template: str, link: str, kind: UniqueKind = NUMBER, name: str = "id") -> str | None:
    [one] = link_templates((route(template, (f"path:{name}", kind.kind)),), (NUMBER, ANY, NIR))
    match = one.pattern.match(link)
    return match["id"] if match else None


@pytest.mark.parametrize(
    ("template", "link", "value"),
    [
        ("/files/{id}", "/files/123", "123"),
        ("/files/{id}", "/files/AB", "AB"),
        ("/files/{id}", "/files/123?tab=2", "123"),
        ("/files/{id}", "/files/123#top", "123"),
        ("/files/{id}", "/files/1234", None),
        ("/files/{id}", "/files/123/edit", None),
        ("/files/{id}", "/other/123", None),
        ("/files/{id}", "x/files/123", None),
        ("/files/{id}.xml", "/files/123.xml", "123"),
        ("/files/{id}.xml", "/files/123-xml", None),
        ("/a.b/{id}", "/a-b/123", None),
        ("/{agency}/files/{id}", "/a7/files/123", "123"),
        ("/{agency}/files/{id}", "/a/b/files/123", None),
        ("/files/{id}/{rest:*}", "/files/123/a/b", "123"),
    ],
)
def test_a_link_names_the_person_of_its_template(template: str, link: str, value: str | None) -> None:
    assert found(template, link) == value


@pytest.mark.parametrize("kind", [ANY, NIR])
def test_a_kind_without_a_pattern_of_its_own_takes_one_segment(kind: UniqueKind) -> None:
    assert found("/files/{id}", "/files/a-b", kind) == "a-b"
    assert found("/files/{id}", "/files/a/b", kind) is None


def test_only_persons_in_the_path_make_links_and_equal_ones_once() -> None:
    routes = (
        route("/files/{id}", ("path:id", "number")),
        route("/files/{id}", ("path:id", "number"), name="again"),
        route("/search", ("query:id", "number")),
        route("/x/{id}", ("path:id", "nobody")),
    )
    [one] = link_templates(routes, (NUMBER,))
    assert (one.kind, one.klass) == ("number", Class.INTERNAL)


def test_the_routes_of_the_application_make_its_rules_links() -> None:
    assert [one.kind for one in small_application().rules.links] == ["nir"]


MINTING = """
[unique.handle]
class = "internal"
names = ["handle"]

[[routes]]
name = "find"
application = "jobs"
path = "/find"
mints = "handle"
"""


def test_where_a_route_mints_the_field_is_no_identifier_and_elsewhere_it_is() -> None:
    app = small_application(policy=MINTING)
    find = next(one for one in app.policy.routes["jobs"] if one.name == "find")
    assert app.rules_for(find).named("handle") is None
    assert app.rules_for(find).named("nir") is not None
    for other in (None, app.policy.routes["jobs"][0]):
        named = app.rules_for(other).named("handle")
        assert named is not None
        assert named.unique is not None


def test_a_route_s_deadlines_stand_before_the_application_s() -> None:
    app = small_application(
        'connect_timeout = "1s"\nheader_timeout = "2s"\nidle_timeout = "3s"\ntotal_timeout = "4s"\n'
    )
    route = app.policy.routes["jobs"][0]
    assert app.deadlines_for(None) == app.deadlines_for(route) == Deadlines(1, 2, 3, 4)
    timed = 'path = "/records"\nheader_timeout = "20s"\nidle_timeout = "30s"\ntotal_timeout = "40s"'
    app = small_application(replaced={'path = "/records"\n': timed + "\n"})
    assert app.deadlines_for(app.policy.routes["jobs"][1]) == Deadlines(5, 20, 30, 40)


def test_an_application_observes_when_its_table_says_so() -> None:
    assert not small_application().observing
    observed = small_application('mode = "observe"\n')
    assert observed.observing
    assert observed.mode == "observe"


@pytest.mark.parametrize(
    ("upstream", "scheme", "host", "port"),
    [
        ("http://127.0.0.1:8001", "http", "127.0.0.1", 8001),
        ("http://intranet.example", "http", "intranet.example", 80),
        ("https://[::1]", "https", "::1", 443),
    ],
)
def test_the_address_of_an_application(upstream: str, scheme: str, host: str, port: int) -> None:
    settings = settings_with('server_name = "inside.example"\nca_file = "ca.pem"\n')
    table = settings.gateway.applications["jobs"].model_copy(update={"upstream": upstream})
    origin = origin_of(settings, table)
    assert (origin.scheme, origin.host, origin.port) == (scheme, host, port)
    assert origin.ca_file == settings.directory / "ca.pem"
    assert origin.server_name == "inside.example"
