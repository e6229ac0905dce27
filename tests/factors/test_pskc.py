"""PSKC as RFC 6030 has it: in the clear, under a key, under a passphrase; and nothing that only looks like it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.pskc import KeyNeeded, read_pskc
from gateway.factors.totp import Oath

SECRET = b"12345678901234567890"
PRE_SHARED = "12345678901234567890123456789012"
PASSPHRASE = "qwerty"
NAMES = (
    'xmlns="urn:ietf:params:xml:ns:keyprov:pskc" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
    'xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" '
    'xmlns:pkcs5="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#"'
)
AES = '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'


def sealed(value: str, aes: str = AES) -> str:
    return f"{aes}<xenc:CipherData><xenc:CipherValue>\n {value}\n</xenc:CipherValue></xenc:CipherData>"


def mac_method(value: str) -> str:
    sha1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
    return f'<MACMethod Algorithm="{sha1}"><MACKey>{sealed(value)}</MACKey></MACMethod>'


# The values of RFC 6030, section 6.1 (AES under a pre-shared key) and section 6.2 (PBKDF2), both of them SECRET.
KEYED = "<EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>" + mac_method(
    "ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX"
)
KEYED_SECRET = "AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv"
KEYED_MAC = "Su+NvtQfmvfJzF6bmQiJqoLRExc="
PBKDF2 = (
    "<EncryptionKey><xenc11:DerivedKey><xenc11:KeyDerivationMethod "
    'Algorithm="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2"><pkcs5:PBKDF2-params>'
    "<Salt><Specified>Ej7/PEpyEpw=</Specified></Salt><IterationCount>1000</IterationCount><KeyLength>16</KeyLength>"
    "<PRF/></pkcs5:PBKDF2-params></xenc11:KeyDerivationMethod></xenc11:DerivedKey></EncryptionKey>"
)
DERIVED = PBKDF2 + mac_method("2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx")
DERIVED_SECRET = "oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f"
DERIVED_MAC = "LP6xMvjtypbfT9PdkJhBZ+D6O4w="


def encrypted(value: str, mac: str | None) -> str:
    said = "" if mac is None else f"<ValueMAC>{mac}\n</ValueMAC>"
    return f"<EncryptedValue>{sealed(value)}</EncryptedValue>{said}"


PLAIN = f"<PlainValue>{base64.b64encode(SECRET).decode()}</PlainValue>"


def key(secret: str = PLAIN, **changed: str) -> str:
    said = {
        "algorithm": "totp",
        "serial": "<DeviceInfo><SerialNo>987654321</SerialNo></DeviceInfo>",
        "suite": "",
        "form": '<ResponseFormat Length="8" Encoding="DECIMAL"/>',
        "interval": "<TimeInterval><PlainValue>30</PlainValue></TimeInterval>",
        "policy": "",
        **changed,
    }
    return (
        f"<KeyPackage>{said['serial']}\n"
        f'<Key Id="K1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:{said["algorithm"]}">'
        f"<AlgorithmParameters>{said['suite']}{said['form']}</AlgorithmParameters>"
        f"<Data><Secret>{secret}</Secret><Time><PlainValue>0</PlainValue></Time>{said['interval']}</Data>"
        f"{said['policy']}</Key></KeyPackage>"
    )


def container(*parts: str, before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<KeyContainer Version="1.0" {NAMES}>{"".join(parts)}</KeyContainer>'.encode()


def only(content: bytes, given: str | None = None) -> tuple[str, Oath]:
    (token,), mistakes = read_pskc(content, given)
    assert not mistakes
    return token.serial, token.oath


def told(content: bytes, given: str | None = None) -> str:
    _, mistakes = read_pskc(content, given)
    return "\n".join(f"{one.line}: {one.text}" for one in mistakes)


def test_a_key_in_the_clear() -> None:
    assert only(container(key())) == ("987654321", Oath(SECRET, digits=8))


def test_what_a_key_says_of_itself_is_taken() -> None:
    made = key(
        serial="",
        suite="<Suite>HMAC-SHA256</Suite>",
        form='<ResponseFormat Length="6" Encoding="DECIMAL"/>',
        interval="<TimeInterval><PlainValue>60</PlainValue></TimeInterval>",
        policy="<Policy><KeyUsage>OTP</KeyUsage></Policy>",
    )
    assert only(container(made)) == ("K1", Oath(SECRET, "SHA256", 6, 60))
    assert only(container(key(interval=""))) == ("987654321", Oath(SECRET, digits=8))


def test_the_values_of_rfc_6030_section_6_1() -> None:
    content = container(KEYED, key(encrypted(KEYED_SECRET, KEYED_MAC)))
    assert only(content, PRE_SHARED) == ("987654321", Oath(SECRET, digits=8))


def test_the_values_of_rfc_6030_section_6_2() -> None:
    content = container(DERIVED, key(encrypted(DERIVED_SECRET, DERIVED_MAC)))
    assert only(content, PASSPHRASE) == ("987654321", Oath(SECRET, digits=8))


@pytest.mark.parametrize(
    ("head", "secret", "needs"),
    [(KEYED, (KEYED_SECRET, KEYED_MAC), "pre-shared key"), (DERIVED, (DERIVED_SECRET, DERIVED_MAC), "passphrase")],
    ids=["key", "passphrase"],
)
def test_without_its_key_a_file_is_not_opened(head: str, secret: tuple[str, str], needs: str) -> None:
    content = container(head, key(encrypted(*secret)))
    with pytest.raises(KeyNeeded, match=needs):
        read_pskc(content)
    assert "not that of this file" in told(content, PRE_SHARED[::-1])


@pytest.mark.parametrize("at", [0, 20, 47])
def test_a_changed_secret_is_seen(at: int) -> None:
    raw = bytearray(base64.b64decode(KEYED_SECRET))
    raw[at] ^= 1
    content = container(KEYED, key(encrypted(base64.b64encode(raw).decode(), KEYED_MAC)))
    assert "not that of this file" in told(content, PRE_SHARED)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<a>", "well-formed"),
        (b"<a/>", "KeyContainer"),
        (container(), "no token"),
        (container(key(), before='<!DOCTYPE a [<!ENTITY b "c">]>'), "document type"),
        (container("<a>" * 40, "</a>" * 40), "too deep"),
        (container(key(algorithm="hotp")), "2: this key makes no codes by the clock"),
        (container(key(form="")), "decimal"),
        (container(key(form='<ResponseFormat Length="8" Encoding="HEXADECIMAL"/>')), "decimal"),
        (container(key(form='<ResponseFormat Length="7" Encoding="DECIMAL"/>')), "6 or 8"),
        (container(key(form='<ResponseFormat Length="8" Encoding="DECIMAL" CheckDigits="true"/>')), "check digit"),
        (container(key(suite="<Suite>HMAC-MD5</Suite>")), "SHA1, SHA256 or SHA512"),
        (container(key(interval="<TimeInterval><PlainValue>45</PlainValue></TimeInterval>")), "30 or 60"),
        (container(key(policy="<Policy><ExpiryDate>2001-01-01</ExpiryDate></Policy>")), "policy"),
        (container(key(policy="<Policy><PINPolicy/></Policy>")), "policy"),
        (container(key(""), key()), "2: there is no secret"),
        (container(key("<PlainValue>?</PlainValue>")), "base 64"),
        (container(key(encrypted(KEYED_SECRET, KEYED_MAC))), "does not say with what key"),
        (container(key(), key()), "3: 987654321 stands in line 2 already"),
    ],
)
def test_a_mistake_says_its_line_and_what_to_do(content: bytes, says: str) -> None:
    assert says in told(content)


@pytest.mark.parametrize("encoding", ["shift_jis", "nonsense", "utf-7", "base64"])
def test_an_encoding_that_is_not_read_is_said(encoding: str) -> None:
    assert "save the file in UTF-8" in told(
        container(key()).replace(b'"1.0"?', f'"1.0" encoding="{encoding}"?'.encode())
    )


def test_encryption_without_a_mac_is_not_believed() -> None:
    assert "without a MAC" in told(container(KEYED, key(encrypted(KEYED_SECRET, None))), PRE_SHARED)
    bare = KEYED.partition("<MACMethod")[0]
    assert "without a MAC" in told(container(bare, key(encrypted(KEYED_SECRET, KEYED_MAC))), PRE_SHARED)


@pytest.mark.parametrize("count", ["999999999999", "9" * 5000, "0", "-1", "a", ""])
def test_nobody_is_made_to_count_for_hours(count: str) -> None:
    slow = DERIVED.replace(">1000<", f">{count}<")
    assert "rounds" in told(container(slow, key(encrypted(DERIVED_SECRET, DERIVED_MAC))), PASSPHRASE)


@pytest.mark.parametrize("given_key", ["xyz", "00", "é"])
def test_what_is_no_key_is_said_and_not_shown(given_key: str) -> None:
    said = told(container(KEYED, key(encrypted(KEYED_SECRET, KEYED_MAC))), given_key)
    assert "pre-shared key must" in said and given_key not in said.replace("0", "")


def test_no_message_shows_a_secret() -> None:
    for content in (container(key(form="")), container(key(), key()), container(key(suite="<Suite>x</Suite>"))):
        assert base64.b64encode(SECRET).decode() not in told(content)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    tokens, mistakes = read_pskc(b"<" + content)
    assert tokens or mistakes
