"""The gateway's account needs what it is given, and is given what it needs."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest
import redis
from stack import demo_application, running_stack

from gateway.stores.acl import COMMANDS, rights

STORES = Path(__file__).parents[2] / "gateway" / "stores"
NOT_SENT = {"auth", "hello", "select"}
"""What the library sends by itself."""
WORDS_ONLY = {"command", "config", "dbsize", "keys", "readonly", "role", "script", "sentinel"}
"""What is a command's name too, and only said."""


def sent(commands: Collection[str]) -> set[str]:
    """Which of a server's commands a script or a module names."""
    files = [path for path in STORES.rglob("*") if path.suffix in (".lua", ".py")]
    named = {word for path in files for word in re.findall(r"['\"]([A-Z]{3,})['\"]", path.read_text())}
    return {word.lower() for word in named} & set(commands)


def test_what_is_sent_may_be_sent(redis_socket: Path) -> None:
    with redis.Redis(unix_socket_path=str(redis_socket)) as server:
        commands = server.command()
    allowed = {command.partition("|")[0] for command in COMMANDS}
    assert sent(commands) - allowed - WORDS_ONLY == set()


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_SENT))
def test_nothing_may_be_sent_that_is_not(command: str) -> None:
    files = [path for path in STORES.rglob("*") if path.suffix in (".py", ".lua") and path.name != "acl.py"]
    text = " ".join(path.read_text() for path in files)
    words = command.upper().split("|")
    assert all(re.search(rf"['\"]{word}['\"]", text) for word in words), command


def test_a_gateway_whose_account_has_these_rights_alone_is_refused_nothing() -> None:
    with (
        demo_application() as (upstream, _),
        running_stack(upstream) as stack,
        redis.Redis.from_url(stack.embedded.url) as admin,
    ):
        admin.acl_setuser("admin", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all"])
        admin.execute_command("AUTH", "admin", "x")
        admin.execute_command("ACL", "SETUSER", "default", "resetkeys", *rights().split())
        account = stack.account()
        assert stack.step_up(account).status == 200
        assert stack.get("/api/demandeurs/1", account).status == 200
        assert stack.get("/api/demandeurs?page=1", account).status == 200
        assert stack.get("/.gateway/budget", account).status == 200
        stack.revoke(account)
        assert stack.get("/api/demandeurs/1", account).status == 401
        assert [one["object"] for one in admin.acl_log()] == []
