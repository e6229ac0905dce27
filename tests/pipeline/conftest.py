"""One gateway for all tests of the path, before a scripted application and the demo's; every test brings new people."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from persons import Raw
from scripted_application import ScriptedApplication, scripted_application
from stack import CODES_OPEN_ALL, Account, Stack, demo_application, running_stack

GATEWAY = """
[applications.raw]
hosts = ["raw.test"]
upstream = "{scripted}"
cors_origins = ["https://front.example"]
identity_headers = {{ "legacy-agent" = "name", "legacy-agency" = "drop" }}

[applications.replaced]
hosts = ["replaced.test"]
upstream = "{scripted}"
host = "intranet.example"

[applications.narrow]
hosts = ["narrow.test"]
upstream = "{scripted}"
max_connections = 1

[applications.shared]
hosts = ["shared.test"]
upstream = "{scripted}"
max_connections = 4
connect_timeout = "1s"

[applications.observed]
hosts = ["observed.test"]
upstream = "{scripted}"
mode = "observe"
"""

ROUTES = """
[[routes]]
name = "unread"
application = "raw"
path = "/unread/{rest:*}"
methods = ["*"]
inspect = false

[[routes]]
name = "shared"
application = "shared"
path = "/{rest:*}"
methods = ["*"]
inspect = false

[[routes]]
name = "one-at-a-time"
application = "narrow"
path = "/{rest:*}"
methods = ["*"]
inspect = false

[[routes]]
name = "short-header"
application = "raw"
path = "/short-header/{rest:*}"
header_timeout = "0.3s"

[[routes]]
name = "short-idle"
application = "raw"
path = "/short-idle/{rest:*}"
idle_timeout = "0.3s"

[[routes]]
name = "short-total"
application = "raw"
path = "/short-total/{rest:*}"
total_timeout = "0.5s"

[[routes]]
name = "small-body"
application = "raw"
path = "/small-body/{rest:*}"
methods = ["POST"]
max_body = 1_000

[[routes]]
name = "save"
application = "raw"
path = "/save/{rest:*}"
methods = ["POST", "PUT"]
class = "internal"

[[routes]]
name = "attach"
application = "raw"
path = "/attach/{id}"
methods = ["POST"]
class = "internal"
person = "path:id"

[[routes]]
name = "extract"
application = "raw"
path = "/extract/{rest:*}"
methods = ["POST"]
class = "internal"
without = "challenge"

[[routes]]
name = "sensitive"
application = "raw"
path = "/sensitive/{rest:*}"
methods = ["GET", "POST"]
class = "sensitive"

[[routes]]
name = "file"
application = "raw"
path = "/file/{id}"
class = "personal"
person = "path:id"

[[routes]]
name = "rqth"
application = "raw"
path = "/rqth/{rest:*}"
class = "internal"
person = "header:ft-jeton-usager"

[[routes]]
name = "find"
application = "raw"
path = "/find/{rest:*}"
methods = ["POST"]
class = "internal"
person = "body:/nir"
read = true
lookup = true
mints = "jetonUsager"

[[routes]]
name = "denied"
application = "raw"
path = "/denied/{rest:*}"
methods = ["*"]
deny = true
"""


@pytest.fixture(scope="session")
def app() -> Iterator[ScriptedApplication]:
    with scripted_application() as application:
        yield application


@pytest.fixture(scope="session")
def demo() -> Iterator[tuple[str, Path]]:
    with demo_application() as running:
        yield running


@pytest.fixture(scope="session")
def stack(app: ScriptedApplication, demo: tuple[str, Path]) -> Iterator[Stack]:
    changes = {
        "policy.toml": CODES_OPEN_ALL,
        "gateway.toml": {
            "document_bytes = 8_388_608": "request_bytes = 65_536\ndocument_bytes = 524_288",
            "\n[admin]": "\nbody_idle_timeout = 0.5\n\n[admin]",
        },
    }
    more = {"gateway.toml": GATEWAY.format(scripted=f"http://127.0.0.1:{app.port}"), "policy.toml": ROUTES}
    with running_stack(demo[0], changes=changes, more=more) as running:
        yield running


@pytest.fixture
def somebody(stack: Stack) -> Account:
    """A person who has confirmed nothing."""
    return stack.account()


@pytest.fixture
def proven(stack: Stack) -> Account:
    """A person with a fresh proof that is good for more persons than their limits."""
    account = stack.account(max_persons=1_000)
    assert stack.step_up(account).status == 200
    return account


_PATHS = itertools.count(1)


@pytest.fixture
def raw(stack: Stack, app: ScriptedApplication) -> Raw:
    """The scripted application behind the gateway, at a path of the test's own."""
    return Raw(stack, app, f"/t{next(_PATHS)}")
