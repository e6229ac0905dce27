"""``gateway partner check``: its words and exit statuses."""

from pathlib import Path

from commands.conftest import Gateway
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def test_what_is_wrong_is_told_to_people_and_scripts(gateway: Gateway, config: Path) -> None:
    text = (config / "partners.toml").read_text()
    (config / "partners.toml").write_text(text.replace("http://127.0.0.1:8002", "http://127.0.0.1:1"))
    told = gateway("partner", "check", "relais-emploi", "--config", config)
    assert told.status == 1
    assert "wrong  metadata: http://127.0.0.1:1/.well-known/openid-configuration: ConnectError" in told.out
    assert "http://localhost:8080/.gateway/callback/relais-emploi" in told.out
    found = gateway("partner", "check", "relais-emploi", "--config", config, "--json")
    assert (found.status, found.json["wrong"]) == (1, 2)
    assert [step["what"] for step in found.json["steps"]] == ["metadata", "events"]
    assert found.json["register"]["jwks_uri"] == "http://localhost:8080/.gateway/jwks.json"


def test_a_partner_that_is_not_there_is_none(gateway: Gateway, config: Path) -> None:
    told = gateway("partner", "check", "nobody", "--config", config)
    assert told.status == 1 and "there are: relais-emploi, cap-insertion" in told.err


def test_a_secret_that_cannot_be_read_is_named(gateway: Gateway, config: Path) -> None:
    (config / "keys" / "partner-relais-emploi.secret").unlink()
    told = gateway("partner", "check", "relais-emploi", "--config", config)
    assert told.status == 1 and "partner-relais-emploi.secret" in told.err


def test_our_public_key_is_what_the_partner_registers(gateway: Gateway, config: Path) -> None:
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = ec.generate_private_key(ec.SECP256R1())
    (config / "keys" / "relais.pem").write_bytes(key.private_bytes(*formats))
    text = (config / "partners.toml").read_text()
    ours = 'client_auth = "private_key_jwt"\nclient_key_file = "keys/relais.pem"'
    text = text.replace('client_secret_file = "keys/partner-relais-emploi.secret"', ours)
    (config / "partners.toml").write_text(text.replace("http://127.0.0.1:8002", "http://127.0.0.1:1"))
    public = gateway("partner", "check", "relais-emploi", "--config", config, "--json").json["register"]["public_key"]
    assert (public["kty"], public["alg"], public["use"]) == ("EC", "ES256", "sig")
    assert "d" not in public and public["kid"]
