"""The rule a request falls under, and whom it asks about."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import Target, canonicalise
from gateway.core.classify import UNCLEAR, Classified, Routes, compile_template, request_persons
from gateway.core.extraction import Class, Identifier
from gateway.core.policy import Route
from gateway.core.reasons import Reason, Refusal

RECORD = Route("record", frozenset({b"GET"}), "/people/{id}", Class.SENSITIVE, persons=(("path:id", "id"),))
EDIT = Route("edit", frozenset({b"POST"}), "/people/{id}", Class.PERSONAL)
SEARCH = Route("search", frozenset({b"POST"}), "/search", Class.INTERNAL, persons=(("body:/nir", "nir"),), read=True)
DENIED = Route("sql", frozenset({b"*"}), "/sql/{rest:*}", Class.RESTRICTED, deny=True)
ROUTES = Routes((RECORD, EDIT, SEARCH, DENIED), Class.PERSONAL)


def target(path: bytes, query: bytes = b"", allow: frozenset[str] = frozenset()) -> Target:
    found = canonicalise(path, query, allow)
    assert isinstance(found, Target)
    return found


def classified(method: bytes, path: bytes, query: bytes = b"") -> Classified:
    found = ROUTES.classify(method, target(path, query))
    assert isinstance(found, Classified)
    return found


def refused(method: bytes, path: bytes) -> Refusal:
    found = ROUTES.classify(method, target(path))
    assert isinstance(found, Refusal)
    return found


def test_a_read_takes_its_routes_class() -> None:
    assert classified(b"GET", b"/people/7").klass is Class.SENSITIVE


def test_head_is_get() -> None:
    assert classified(b"HEAD", b"/people/7").rule == "record"


def test_an_unsafe_method_takes_the_highest_class_of_all_that_cover_the_path() -> None:
    found = classified(b"POST", b"/people/7")
    assert (found.rule, found.klass, found.reads) == ("edit", Class.SENSITIVE, False)


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"X"])
def test_a_method_that_no_covering_route_lists_is_refused_with_those_that_are(method: bytes) -> None:
    refusal = refused(method, b"/people/7")
    assert refusal.reason is Reason.METHOD_NOT_LISTED
    assert refusal.methods == ("GET", "POST")


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"TRACK", b"GE T", b""])
def test_some_methods_are_never_forwarded(method: bytes) -> None:
    assert refused(method, b"/anything").reason is Reason.METHOD_NOT_LISTED


def test_a_denied_route_is_denied() -> None:
    assert refused(b"GET", b"/sql/a/b").reason is Reason.DENIED_BY_RULE


def test_an_unmatched_read_is_public_until_it_is_read() -> None:
    found = classified(b"GET", b"/other")
    assert (found.rule, found.klass, found.reads) == ("unmatched", Class.PUBLIC, True)


def test_an_unmatched_unsafe_request_takes_the_default() -> None:
    found = classified(b"DELETE", b"/other")
    assert (found.klass, found.reads) == (Class.PERSONAL, False)


def test_a_read_by_post_reads() -> None:
    assert classified(b"POST", b"/search").reads


def test_the_most_sensitive_reading_wins() -> None:
    double = frozenset({"double-slash"})
    found = ROUTES.classify(b"GET", target(b"//people/7", allow=double))
    assert isinstance(found, Classified)
    assert found.klass is Class.SENSITIVE


def test_a_reading_that_is_denied_denies() -> None:
    found = ROUTES.classify(b"GET", target(b"/x//sql/a", allow=frozenset({"double-slash"})))
    assert isinstance(found, Classified)
    found = ROUTES.classify(b"GET", target(b"//sql/a", allow=frozenset({"double-slash"})))
    assert isinstance(found, Refusal)


@pytest.mark.parametrize("template", ["people", "/a/{", "/a/}", "/a/{1x}"])
def test_a_broken_template_says_so(template: str) -> None:
    with pytest.raises(ValueError, match=r"template|brace"):
        compile_template(template)


def test_a_parameter_matches_one_segment_and_no_more() -> None:
    pattern = compile_template("/people/{id}.xml")
    assert pattern.fullmatch(b"/people/7.xml")
    assert not pattern.fullmatch(b"/people/7/8.xml")


def identify(kind: str, value: str) -> Identifier | None:
    return Identifier(kind, value) if value.isdigit() else None


def persons(
    found: Classified,
    query: bytes = b"",
    body: object = None,
    form: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> object:
    return request_persons(found, query, headers, body, form, identify)


def test_the_person_of_a_path() -> None:
    assert persons(classified(b"GET", b"/people/7")) == (Identifier("id", "7"),)


@pytest.mark.parametrize("query", [b"id=8", b"ID=8", b"id[]=8", b"x=1&id="])
def test_a_path_person_named_again_in_the_query_is_unclear(query: bytes) -> None:
    assert persons(classified(b"GET", b"/people/7"), query) is UNCLEAR


def test_a_value_outside_its_pattern_is_unclear() -> None:
    assert persons(classified(b"GET", b"/people/seven")) is UNCLEAR


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"nir": [1]}, {"nir": {"a": 1}}, {"nir": True}, {"nir": None}, {"nir": "1", "NIR": "2"}, UNCLEAR],
)
def test_a_body_person_that_is_no_single_scalar_is_unclear(body: object) -> None:
    assert persons(classified(b"POST", b"/search"), body=body) is UNCLEAR


@pytest.mark.parametrize("value", ["1", 1])
def test_the_person_of_a_body(value: object) -> None:
    assert persons(classified(b"POST", b"/search"), body={"nir": value}) == (Identifier("nir", "1"),)


def route(where: str) -> Classified:
    one = Route("r", frozenset({b"GET"}), "/r", Class.PERSONAL, persons=((where, "k"),))
    return Classified(one, Class.PERSONAL, True, {})


@pytest.mark.parametrize("query", [b"k=1&k=2", b"k=1&K=1", b"k=1,2", b"", b"k[]=1&k=2"])
def test_a_query_person_that_stands_not_once_is_unclear(query: bytes) -> None:
    assert persons(route("query:k"), query) is UNCLEAR


def test_a_query_person_named_again_in_a_form_is_unclear() -> None:
    assert persons(route("query:k"), b"k=1", form=(("k", "2"),)) is UNCLEAR


def test_a_header_person_stands_once() -> None:
    assert persons(route("header:ft-token"), headers=((b"ft-token", b"1"),)) == (Identifier("k", "1"),)
    assert persons(route("header:ft-token"), headers=((b"ft-token", b"1"), (b"ft_token", b"2"))) is UNCLEAR


def test_a_route_that_declares_nobody_names_nobody() -> None:
    assert persons(classified(b"GET", b"/other")) is None


@pytest.mark.parametrize("query", [b"sql=x", b"a=1&SQL=x", b"a;sql=", b"%73ql=x", b"sql[]=x"])
def test_a_route_for_a_parameter_covers_requests_that_have_it_in_any_spelling(query: bytes) -> None:
    routes = Routes(
        (Route("sql", frozenset({b"*"}), "/data", Class.PUBLIC, deny=True, query=("sql",)),), Class.PERSONAL
    )
    assert isinstance(routes.classify(b"GET", target(b"/data", query)), Refusal)
    assert isinstance(routes.classify(b"GET", target(b"/data", b"a=sql")), Classified)


TEMPLATES = ("/a", "/a/", "/a/b", "/a/{x}", "/a/{x}/c", "/{x}", "/{x:*}", "/ab{x}", "/b/{x:*}", "/", "/a{x}/b")


@given(st.lists(st.sampled_from(["/", "a", "b", "c"]), max_size=6).map("".join).map("/".__add__))
def test_every_route_that_covers_a_path_is_found_whatever_it_begins_with(path: str) -> None:
    routes = [replace(RECORD, name=template, template=template) for template in TEMPLATES]
    covering = [one for one in TEMPLATES if compile_template(one).fullmatch(path.encode())]
    found = Routes(routes, Class.PERSONAL).classify(b"GET", Target(path.encode(), (path.encode(),), b""))
    assert isinstance(found, Classified)
    assert found.rule == (covering[0] if covering else "unmatched")
