"""Headers on their way: nothing a client forged travels on, nothing of the application's names us."""

import pytest
from small_application import CALLER, Fields, small_application, small_passage, with_caller

from gateway.application import Application
from gateway.core.assurance import Caller
from gateway.outgoing import FORGED, NEVER_BACK, PARTIAL, VALIDATORS, VARY, identity_headers, to_application, to_client
from gateway.passage import Credential

LEGACY = 'identity_headers = { "Agent-Name" = "name", "agent_login" = "login", "agent-agency" = "drop" }\n'


@pytest.fixture(scope="module")
def app() -> Application:
    return small_application(LEGACY)


@pytest.fixture(scope="module")
def replaced() -> Application:
    return small_application('host = "Intranet.example:8443"\n')


def sent(
    app: Application, fields: Fields, *, inspected: bool = False, caller: Caller | None = CALLER, **more
) -> Fields:
    passage = small_passage(fields, app, caller=caller, **more)
    return list(to_application(passage, app, inspected, "signed"))


def back(app: Application, *fields: tuple[bytes, bytes], classified: bool = False, length: int | None = None) -> Fields:
    """What reaches the client, without what is always added at the end."""
    passage = small_passage([], app)
    found = to_client(passage, app, list(fields), classified=classified, length=length)
    always = [(b"x-request-id", passage.request_id.encode()), (b"x-gateway-reference", passage.reference.encode())]
    assert found[-2:] == always
    return found[:-2]


OURS = [b"host", b"x-gateway-user", b"x-gateway-partner", b"x-gateway-assertion", b"agent-name", b"agent_login",
        b"x-request-id"]  # fmt: skip


def test_the_application_learns_who_asks_in_our_words(app: Application) -> None:
    found = sent(app, [])
    assert [name for name, _ in found] == OURS
    values = dict(found)
    assert values[b"x-gateway-user"] == b"u_1"
    assert values[b"x-gateway-partner"] == b"north"
    assert values[b"x-gateway-assertion"] == b"signed"
    assert values[b"agent-name"] == "Camille Été".encode("latin-1")
    assert values[b"agent_login"] == b"camille"
    assert values[b"host"] == b"jobs.example"


@pytest.mark.parametrize(
    "name", [*sorted(FORGED), b"agent-name", b"agent-login", b"agent-agency", b"x-http-method-override"]
)
@pytest.mark.parametrize("spelt", [bytes.lower, bytes.upper, lambda name: name.replace(b"-", b"_")])
def test_a_client_s_copy_never_travels_on(app: Application, name: bytes, spelt) -> None:
    assert not [value for _, value in sent(app, [(spelt(name), b"forged")]) if b"forged" in value]


def test_nobody_known_is_nobody_named(app: Application) -> None:
    assert [name for name, _ in sent(app, [], caller=None)] == [b"host", b"x-request-id"]


def test_other_fields_keep_order_repeats_spelling_and_bytes(app: Application) -> None:
    fields = [
        (b"X-One", b"\xe9"),
        (b"accept", b"a"),
        (b"X-One", b"2"),
        (b"accept-encoding", b"gzip"),
        (b"range", b"bytes=0-1"),
    ]
    assert [one for one in sent(app, fields) if one[0] not in OURS] == fields


@pytest.mark.parametrize("name", sorted(PARTIAL))
def test_where_the_answer_is_read_it_is_asked_for_whole_and_uncoded(app: Application, name: bytes) -> None:
    found = sent(app, [(name, b"theirs")], inspected=True)
    assert b"theirs" not in dict(found).values()
    assert (b"accept-encoding", b"identity") in found


def test_hop_by_hop_fields_and_those_that_connection_names_stay_here(app: Application) -> None:
    fields = [(b"connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"te", b"trailers"), (b"keep-alive", b"5")]
    assert [name for name, _ in sent(app, fields)] == OURS


def test_our_cookies_stay_here_and_others_travel_in_one_field(app: Application) -> None:
    found = sent(app, [(b"cookie", b"a=1; __Host-gateway=S"), (b"cookie", b"b=2")])
    assert [value for name, value in found if name == b"cookie"] == [b"a=1; b=2"]
    assert b"cookie" not in dict(sent(app, [(b"cookie", b"__Host-gateway=S")]))


def test_authorization_travels_only_where_it_named_nobody(app: Application) -> None:
    field = (b"authorization", b"Bearer gwt_x")
    assert field not in sent(app, [field])
    assert field in sent(app, [field], credential=Credential("session", "S"))
    assert field in sent(app, [field, (b"gateway-authorization", b"Bearer gwt_y")])


def test_the_host_is_the_client_s_unless_the_application_has_its_own(app: Application, replaced: Application) -> None:
    assert sent(app, [])[0] == (b"host", b"jobs.example")
    assert sent(replaced, [])[0] == (b"host", b"Intranet.example:8443")


@pytest.mark.parametrize(
    ("name", "value"),
    [("Zoé", b"Zo\xe9"), ("a\r\nx-admin: 1", b"ax-admin: 1"), ("a\x00b\x85c", b"abc"), ("Ωmega", b"?mega"), ("", b"")],
)
def test_a_name_cannot_end_its_field(name: str, value: bytes) -> None:
    assert dict(identity_headers(with_caller(name=name), {"N": "name"}, None)) == {
        b"x-gateway-user": b"u_1", b"x-gateway-partner": b"north", b"n": value,
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(NEVER_BACK))
def test_what_is_ours_to_say_is_not_the_application_s(app: Application, name: bytes) -> None:
    assert back(app, (name, b"theirs")) == []


def test_an_unclassified_answer_keeps_its_fields_and_gets_its_length(app: Application) -> None:
    fields = [(b"ETag", b'"1"'), (b"x", b"1"), (b"x", b"2"), (b"cache-control", b"max-age=5")]
    assert back(app, *fields, length=7) == [*fields, (b"content-length", b"7")]


@pytest.mark.parametrize("name", sorted(VALIDATORS | {b"content-encoding", b"accept-ranges"}))
def test_a_classified_answer_rests_in_no_cache(app: Application, name: bytes) -> None:
    assert back(app, (name, b"theirs"), (b"x", b"1"), classified=True) == [
        (b"x", b"1"), (b"cache-control", b"no-store"), (b"vary", VARY),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "cookie", [b"__Host-gateway=x", b"__host-GATEWAY-flow=x; Path=/", b" gateway_lang = x", b"gateway_way=x"]
)
def test_the_application_sets_none_of_our_cookies(app: Application, cookie: bytes) -> None:
    assert back(app, (b"set-cookie", cookie)) == []


def test_other_cookies_pass_each_in_its_field(app: Application) -> None:
    fields = ((b"Set-Cookie", b"a=1; Domain=x.example"), (b"set-cookie", b"b=__Host-gateway"))
    assert back(app, *fields) == list(fields)


@pytest.mark.parametrize(
    ("cookie", "mapped"),
    [
        (b"a=1; Domain=intranet.example; Path=/", b"a=1; Domain=jobs.example; Path=/"),
        (b"a=1; domain=.Intranet.EXAMPLE", b"a=1; Domain=jobs.example"),
        (b"a=1; Domain=example", b"a=1; Domain=example"),
        (b"a=Domain=intranet.example", b"a=Domain=intranet.example"),
    ],
)
def test_a_cookie_s_domain_is_mapped_where_the_host_is_replaced(
    replaced: Application, cookie: bytes, mapped: bytes
) -> None:
    assert back(replaced, (b"set-cookie", cookie)) == [(b"set-cookie", mapped)]


@pytest.mark.parametrize(
    ("location", "mapped"),
    [
        (b"http://intranet.example:8443/a?b=1#c", b"https://jobs.example/a?b=1#c"),
        (b"https://INTRANET.example:8443", b"https://jobs.example"),
        (b"//intranet.example:8443/a", b"https://jobs.example/a"),
        (b"https://other.example/a", b"https://other.example/a"),
        (b"/a", b"/a"),
        (b"/a?next=http://intranet.example:8443/", b"/a?next=http://intranet.example:8443/"),
        (b"/recherche?nom=\xc9t\xe9", b"/recherche?nom=\xc9t\xe9"),
        (b"http://intranet.example:8443/\xe9", b"https://jobs.example/\xe9"),
        (b"http://[::1", b"http://[::1"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("name", [b"location", b"Content-Location"])
def test_a_location_is_mapped_where_the_host_is_replaced(
    replaced: Application, name: bytes, location: bytes, mapped: bytes
) -> None:
    assert back(replaced, (name, location)) == [(name, mapped)]


def test_without_a_host_of_its_own_a_location_is_left_alone(app: Application) -> None:
    for location in (b"http://jobs.example/a", b"/a", b""):
        assert back(app, (b"location", location)) == [(b"location", location)]
