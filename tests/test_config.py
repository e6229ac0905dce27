"""Mistakes of the configuration: each is named with its file, line and rule, all at once, and nothing crashes."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import GATEWAY, PARTNERS, POLICY, ConfigurationError, load, warnings
from gateway.config.lines import line_of
from gateway.config.loading import NODE_VARIABLE
from gateway.config.partners import PRESETS
from gateway.config.tables import seconds
from gateway.core.extraction import Class
from gateway.core.policy import AssertedRule, Then

CORPUS = Path(__file__).parent / "config"
FILES = {name: (CORPUS / name).read_text() for name in (GATEWAY, PARTNERS, POLICY)}
OBSERVE = 'mode = "observe"'
MISTAKES = tomllib.loads((CORPUS / "mistakes.toml").read_text())["mistake"]


def write(directory: Path, *changes: tuple[str, str, str]) -> Path:
    texts = dict(FILES)
    for name, old, new in changes:
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new, 1)
    for name, text in texts.items():
        (directory / name).write_text(text)
    return directory


def mistakes(directory: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load(directory)
    assert str(raised.value) == "\n".join(map(str, raised.value.mistakes))
    return [str(one) for one in raised.value.mistakes]


@pytest.mark.parametrize("one", MISTAKES, ids=[f"{one['file']}-{one['new']}" for one in MISTAKES])
def test_a_mistake_is_named_with_its_place(tmp_path: Path, one: dict[str, Any]) -> None:
    assert mistakes(write(tmp_path, (one["file"], one["old"], one["new"]))) == one["said"]


def test_without_a_mistake_it_is_read(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    assert settings.pages_url == "https://gate.example"
    assert settings.partners["north"].client_id == "gateway"
    assert [route.name for route in settings.policy.routes["jobs"]] == ["record", "list"]
    assert settings.path(Path("keys")) == tmp_path / "keys"
    assert settings.path(Path("/keys")) == Path("/keys")


def test_a_preset_is_what_its_partner_s_table_does_not_say(tmp_path: Path) -> None:
    said = '"gateway"\npreset = "entra"\nalgorithms = ["PS256"]\nclaims = { roles = \'app."a.b"\' }'
    north = load(write(tmp_path, (PARTNERS, '"gateway"', said))).partners["north"]
    assert (north.algorithms, north.assertion_audience) == (["PS256"], "token")
    assert (north.claims.organisation, north.claims.roles) == (("tid",), ("app", "a.b"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid(tmp_path: Path, name: str) -> None:
    said = f'"gateway"\npreset = "{name}"\nclient_secret = "s"\nallow = {{ subjects = ["s"] }}'
    assert load(write(tmp_path, (PARTNERS, '"gateway"', said))).partners["north"].preset == name


def test_one_issuer_serves_two_partners_whose_organisations_differ(tmp_path: Path) -> None:
    of_one = 'claims = {{ organisation = "siret" }}\nallow = {{ organisations = ["{}"] }}'
    south = '[partners.south]\nname = "S"\nclient_id = "g"\nissuer = "https://sso.example"\n' + of_one.format(2)
    settings = load(write(tmp_path, (PARTNERS, '"gateway"', f'"gateway"\n{of_one.format(1)}\n{south}')))
    assert list(settings.partners) == ["north", "south", "west"]


def test_all_mistakes_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    changes = (
        (GATEWAY, 'url = "redis:', 'url = "http:'),
        (GATEWAY, '"https://gate.example"', '"http://gate.example"'),
        (PARTNERS, "https://sso", "http://sso"),
        (POLICY, '["totp"]', '["sms"]'),
        (POLICY, "/records/{nir}", "records"),
        (POLICY, 'per = "1d"', 'per = "40d"'),
    )
    assert [said.split(": ")[0] for said in mistakes(write(tmp_path, *changes))] == [
        "gateway.toml:1", "gateway.toml:8", "partners.toml:3", "policy.toml:4", "policy.toml:20", "policy.toml:22",
        "policy.toml:41",
    ]  # fmt: skip


def test_a_missing_file_is_a_mistake_beside_the_others(tmp_path: Path) -> None:
    write(tmp_path, (POLICY, '["totp"]', '["sms"]'))
    (tmp_path / GATEWAY).unlink()
    (tmp_path / PARTNERS).write_bytes(b"\xff")
    first, second, third = mistakes(tmp_path)
    assert first.startswith("gateway.toml: readable: cannot be read") and "`gateway init` writes an example" in first
    assert second.startswith("partners.toml: readable: cannot be read")
    assert third.startswith("policy.toml:4: ")


def test_routes_of_unknown_applications_are_no_mistake_while_gateway_toml_is_broken(tmp_path: Path) -> None:
    (said,) = mistakes(write(tmp_path, (GATEWAY, "port = 8443", "port =")))
    assert said.startswith("gateway.toml:5: toml: ")


def test_observing_and_a_shared_origin_are_warned_of(tmp_path: Path) -> None:
    directory = write(tmp_path, (GATEWAY, '8001"', '8001"\nmode = "observe"'), (GATEWAY, "//gate.", "//jobs."))
    observing, shared = warnings(load(directory))
    assert observing.rule == "applications.jobs.mode"
    assert observing.message.startswith("OBSERVE")
    assert shared.rule == "pages_url"
    assert "'jobs'" in shared.message


@pytest.mark.parametrize("both", [True, False])
def test_nothing_is_enforced_yet_where_every_application_only_observes(tmp_path: Path, both: bool) -> None:
    second = f'\n[applications.more]\nhosts = ["more.example"]\nupstream = "http://127.0.0.1:8002"\n{both * OBSERVE}'
    settings = load(write(tmp_path, (GATEWAY, '8001"', f'8001"\n{OBSERVE}{second}')))
    assert settings.observing is both


def test_a_host_of_its_own_for_the_pages_is_nothing_to_warn_of(tmp_path: Path) -> None:
    assert warnings(load(write(tmp_path))) == []


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("jobs.example", False, "https://jobs.example"),
        ("localhost:8080", False, "http://localhost:8080"),
        ("localhost:8080", True, "https://localhost:8080"),
    ],
)
def test_the_pages_are_on_the_first_application_s_host_by_default(
    tmp_path: Path, host: str, tls: bool, url: str
) -> None:
    listen = 'port = 8443\ncertificate = "c"\nkey = "k"' if tls else "port = 8443"
    changes = (GATEWAY, 'pages_url = "https://gate.example"', ""), (GATEWAY, "port = 8443", listen)
    assert load(write(tmp_path, *changes, (GATEWAY, "jobs.example", host))).pages_url == url


def test_a_budget_of_everyone_alarms_and_any_other_refuses_by_default(tmp_path: Path) -> None:
    scope = ('scope = "user"\nclass = "sensitive"\npersons = 150', 'scope = "everyone"\npersons = 150')
    hour, day = load(write(tmp_path, (POLICY, *scope))).policy.budgets
    assert (hour.then, day.then) == (Then.REFUSE, Then.ALARM)
    assert day.klass is Class.INTERNAL
    assert (hour.window_s, day.window_s) == (3600, 86_400)


def test_a_partner_has_what_the_officer_says_of_it(tmp_path: Path) -> None:
    policy = load(write(tmp_path)).policy
    west, other = policy.of("west"), policy.of("other")
    assert (west.highest, west.idle_s, west.absolute_s) == (Class.SENSITIVE, 1200, 36_000)
    assert {rule.name: rule.limit for rule in west.budgets} == {"hour": 60, "west-day": 100}
    assert (other.highest, other.idle_s, other.budgets) == (Class.RESTRICTED, 1800, policy.budgets)


def test_a_partner_s_limits_are_sized_by_its_seats_and_a_house_s_floor_is_for_who_has_seats(tmp_path: Path) -> None:
    house = 'scope = "partner"\nclass = "sensitive"\npersons = 1000\nper_seat = 10\nfloor = 4'
    text = (POLICY, 'scope = "user"\nclass = "sensitive"\npersons = 150', house)
    policy = load(write(tmp_path, text)).policy
    (west,) = [one for one in policy.of("west").budgets if one.name == "day"]
    (other,) = [one for one in policy.of("other").budgets if one.name == "day"]
    assert (policy.of("west").seats, west.limit, west.floor) == (24, 240, 4)
    assert (policy.of("other").seats, other.limit, other.floor) == (None, 1000, 0)


def test_a_partner_s_word_is_no_proof_unless_the_officer_says_so(tmp_path: Path) -> None:
    assert load(write(tmp_path)).policy.of("west").asserted is None
    said = 'acr = { amr = ["hwk"], max_age = "15m", serves = "sensitive", i_accept = 2400 }\nseats = 24'
    asserted = load(write(tmp_path, (POLICY, "seats = 24", said))).policy.of("west").asserted
    assert asserted == AssertedRule((), ("hwk",), 900, Class.SENSITIVE)


def test_the_word_of_a_provider_that_calls_every_sign_in_one_of_now_is_no_proof(tmp_path: Path) -> None:
    west = '[partners.west]\npreset = "proconnect"\nclient_secret = "s"\nallow = { subjects = ["s"] }'
    acr = (POLICY, "seats = 24", 'seats = 24\nacr = { values = ["eidas2"], max_age = "15m" }')
    assert load(write(tmp_path, acr)).policy.of("west").asserted is not None
    (said,) = mistakes(write(tmp_path, acr, (PARTNERS, "[partners.west]", west)))
    assert said.startswith("policy.toml:47: partners.west.acr: is ProConnect, to which every sign-in is one of now")


def test_the_policy_s_digest_is_of_its_text(tmp_path: Path) -> None:
    one = load(write(tmp_path)).policy
    other = load(write(tmp_path, (POLICY, "persons = 60", "persons = 61"))).policy
    assert one.digest != other.digest
    assert one.text == FILES[POLICY].encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (900, 900),
        (0.5, 0.5),
        ("30s", 30),
        ("15m", 900),
        ("4h", 14_400),
        ("30d", 2_592_000),
        ("1.5h", 5_400),
        (" 2 m ", 120),
    ],
)
def test_durations(written: object, meant: float) -> None:
    assert seconds(written) == meant


@pytest.mark.parametrize("written", ["", "h", "-1h", "1 week", "1h30m", "1H", "1e3s", True, False])
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        seconds(written)


TOML = """\
top = 1
[a]  # a comment
b.c = 2
"quoted key" = [
  "b = 3",
]
text = '''
c = 4
[e]
'''
[ "a" . "x.y" ]
c = 5
[[list]]
name = "one"
[list.sub]
z = 6
[[list]]
name = "two"
[list.sub]
z = 7
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("top", 1), ("a", 2), ("a b c", 3), ("a|quoted key", 4), ("a text", 7), ("a c", 2), ("e", None),
        ("a|x.y", 11), ("a|x.y|c", 12), ("list 0 name", 14), ("list 0 sub z", 16), ("list 1", 17),
        ("list 1 sub z", 20), ("list 1 absent", 17), ("a b", 2), ("absent", None), ("list 2 name", None),
    ],
)  # fmt: skip
def test_the_line_of_a_setting(path: str, line: int | None) -> None:
    assert line_of(TOML, tuple(path.split("|") if "|" in path else path.split())) == line


KEYS = st.sampled_from(["name", "hosts", "port", "class", "path"])
TABLES = st.sampled_from(["listen", "store", "fields", "unique"])
VALUES = st.sampled_from(["1", '"x"', '["y", "z"]', "{ at = 1 }", '"name = 2"', '[\n  "[store]",\n]'])
SPACE = st.sampled_from(["", " ", "  # port = 1"])
SETTINGS = st.lists(st.tuples(KEYS, VALUES, SPACE), unique_by=lambda one: one[0], max_size=4)


@given(
    st.lists(st.tuples(TABLES, SETTINGS, SPACE), unique_by=lambda one: one[0], max_size=4),
    st.lists(st.tuples(SETTINGS, SETTINGS), max_size=4),
    SETTINGS,
)
def test_the_line_found_holds_the_key(tables, elements, top) -> None:
    written: list[tuple[tuple[str, ...], int]] = []
    lines: list[str] = []

    def put(path: tuple[str, ...], text: str) -> None:
        written.append((path, len(lines) + 1))
        lines.extend(text.split("\n"))

    def put_all(at: tuple[str, ...], settings) -> None:
        for key, value, space in settings:
            put((*at, key), f"{key} = {value}{space}")

    put_all((), top)
    for name, settings, space in tables:
        put((name, "t"), f"[{name}.t]{space}")
        put_all((name, "t"), settings)
    for index, (settings, inner) in enumerate(elements):
        put(("routes", str(index)), "[[routes]]")
        put_all(("routes", str(index)), settings)
        put(("routes", str(index), "sub"), "[routes.sub]")
        put_all(("routes", str(index), "sub"), inner)
    text = "\n".join(lines)
    tomllib.loads(text)
    for path, line in written:
        assert line_of(text, path) == line


def test_the_environment_names_the_node_where_several_share_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    assert load(tmp_path).gateway.node == "gateway"
    monkeypatch.setenv(NODE_VARIABLE, "gateway-2")
    assert load(tmp_path).gateway.node == "gateway-2"
    monkeypatch.setenv(NODE_VARIABLE, "../gateway")
    assert mistakes(tmp_path)[0].startswith("environment: GATEWAY_NODE: '../gateway'")
