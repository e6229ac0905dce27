"""init, check, serve: every mistake at once, in words, and nothing overwritten."""

import re
from pathlib import Path

import pytest
import redis
from commands.conftest import Gateway
from redis_servers import RedisServer


def test_init_writes_a_configuration_that_check_accepts(gateway: Gateway, tmp_path: Path) -> None:
    assert gateway("init", tmp_path / "new").status == 0
    checked = gateway("check", "--config", tmp_path / "new")
    assert checked.status == 0
    assert "can be served" in checked.out
    assert "pages_url" in checked.out


def test_init_leaves_what_is_there(gateway: Gateway, config: Path) -> None:
    before = (config / "policy.toml").read_bytes()
    again = gateway("init", config)
    assert again.status == 1
    assert "nothing was written" in again.err
    assert (config / "policy.toml").read_bytes() == before


def test_check_names_every_mistake_with_file_line_and_rule(gateway: Gateway, config: Path) -> None:
    for name, old, new in (
        ("gateway.toml", "workers = 2", "workres = 2"),
        ("policy.toml", 'proof = ["webauthn", "totp"]', 'proof = ["sms"]'),
        ("partners.toml", 'client_id = "gateway"', "client = 1"),
    ):
        text = (config / name).read_text()
        (config / name).write_text(text.replace(old, new, 1))
    found = gateway("check", "--config", config)
    assert found.status == 1
    lines = (config / "gateway.toml").read_text().splitlines()
    at = 1 + next(number for number, line in enumerate(lines) if line.startswith("workres"))
    assert f"gateway.toml:{at}: listen.workres: no such setting" in found.out
    assert "policy.toml:19: classes.sensitive.proof: no such proof ['sms']" in found.out
    assert "partners.relais-emploi.client_id: is missing" in found.out


def test_check_answers_scripts_in_json(gateway: Gateway, config: Path) -> None:
    (config / "partners.toml").unlink()
    found = gateway("check", "--config", config, "--json")
    assert found.status == 1
    assert [one["file"] for one in found.json["mistakes"]] == ["partners.toml"]


def test_check_misses_keys_and_named_files(gateway: Gateway, config: Path) -> None:
    (config / "keys" / "partner-relais-emploi.secret").unlink()
    next((config / "keys").glob("hash-*")).chmod(0o644)
    found = gateway("check", "--config", config)
    assert found.status == 1
    assert "open to others" in found.out
    assert "partner-relais-emploi.secret" in found.out


def test_check_names_a_key_that_cannot_sign(gateway: Gateway, config: Path) -> None:
    (config / "keys" / "relais.pem").write_text("none")
    text = (config / "partners.toml").read_text()
    ours = 'client_auth = "private_key_jwt"\nclient_key_file = "keys/relais.pem"'
    text = text.replace('client_secret_file = "keys/partner-relais-emploi.secret"', ours)
    (config / "partners.toml").write_text(text)
    (found,) = gateway("check", "--config", config, "--json").json["mistakes"]
    assert found["rule"] == "partners.relais-emploi.client_key_file"
    assert "no private key in PEM" in found["message"]


def test_check_live_says_who_does_not_answer(gateway: Gateway, live: Path) -> None:
    for name, old, new in (
        ("gateway.toml", "8001", "1"),
        ("partners.toml", "8002", "1"),
        ("partners.toml", "8003", "2"),
    ):
        text = (live / name).read_text()
        (live / name).write_text(text.replace(old, new))
    found = gateway("check", "--config", live, "--live", "--json")
    assert found.status == 1
    assert {one["rule"] for one in found.json["mistakes"]} == {
        "applications.emploi.upstream",
        "partners.relais-emploi.issuer",
        "partners.cap-insertion.issuer",
    }


def test_check_live_counts_the_replicas_of_the_store(gateway: Gateway, live: Path) -> None:
    text = (live / "gateway.toml").read_text()
    (live / "gateway.toml").write_text(text.replace("# replicas = 1 ", "replicas = 1 "))
    found = gateway("check", "--config", live, "--live", "--json").json["mistakes"]
    assert "the store has 0 of 1 replicas: start the others" in [
        one["message"] for one in found if one["rule"] == "store"
    ]


def test_check_live_says_what_sentinels_do_not_say(gateway: Gateway, live: Path) -> None:
    text = (live / "gateway.toml").read_text()
    url = re.search(r'\nurl = "(.*)"', text)
    assert url
    (live / "gateway.toml").write_text(text.replace(url[1], "redis+sentinel://127.0.0.1:1,127.0.0.1:2/jobs"))
    found = gateway("check", "--config", live, "--live", "--json").json["mistakes"]
    (said,) = [one["message"] for one in found if one["rule"] == "store.url"]
    assert said.startswith("cannot be asked: no sentinel says who is primary of 'jobs' (127.0.0.1:1: ")


def test_a_password_s_file_that_is_not_there_is_a_mistake(gateway: Gateway, config: Path) -> None:
    text = (config / "gateway.toml").read_text()
    (config / "gateway.toml").write_text(text.replace("# password_file = ", "password_file = "))
    (found,) = gateway("check", "--config", config, "--json").json["mistakes"]
    assert (found["rule"], found["message"]) == ("store.password_file", "there is no file store.password")


def test_serve_does_not_start_with_a_mistake(gateway: Gateway, config: Path) -> None:
    (config / "policy.toml").write_text("nonsense = 1\n")
    refused = gateway("serve", "--config", config)
    assert refused.status == 1
    assert "policy.toml:1: nonsense: no such setting" in refused.err


def test_the_folder_may_come_from_the_environment(
    gateway: Gateway, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(config))
    assert gateway("check").status == 0


def test_a_missing_folder_is_one_line_and_no_traceback(gateway: Gateway, tmp_path: Path) -> None:
    refused = gateway("explain", "GET", "/", "--config", tmp_path / "nowhere")
    assert refused.status == 1
    assert refused.err.startswith("gateway: ")
    assert "Traceback" not in refused.err


def test_check_wants_a_secret_for_notices_that_cannot_be_guessed(gateway: Gateway, config: Path) -> None:
    file, secret = config / "gateway.toml", config / "notify.secret"
    table = '[notify]\nurl = "https://alerts.example/"\nsecret_file = "notify.secret"\n\n[reading]'
    file.write_text(file.read_text().replace("[reading]", table, 1))
    assert "there is no file notify.secret" in gateway("check", "--config", config).out
    secret.write_text("x" * 31 + "\n")
    assert "fewer than 32 characters" in gateway("check", "--config", config).out
    secret.write_text("x" * 32)
    assert "notify" not in gateway("check", "--config", config).out


def test_a_store_with_the_accounts_that_check_prints_serves_and_forgets_nothing(
    gateway: Gateway, tmp_path: Path
) -> None:
    accounts = tmp_path / "users.acl"
    accounts.write_text(gateway("check", "--acl").out.replace("PASSWORD", "secret"))
    server = RedisServer(tmp_path / "server", {"aclfile": str(accounts)}).start()
    client = redis.Redis(port=server.port, username="gateway", password="secret")
    try:
        client.eval("redis.call('SET', 'a', 1) redis.call('SET', 'b', 1)", 0)
        server.kill()
        server.start()
        assert client.exists("a", "b") == 2
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port).get("a")
    finally:
        client.close()
        server.kill()
