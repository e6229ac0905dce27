"""TLS to the application: a private authority, a client certificate, and no way around verification."""

import ipaddress
import ssl

import pytest
from authority import Authority
from cryptography import x509
from upstream_application import always_ok, application, connector, send, whole

from gateway.upstream import Deadlines, Origin, Upstream, UpstreamFault


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def server_context(authority, *alternatives):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", *alternatives))
    return context


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
NAMED = x509.DNSName("legacy.example")


async def test_an_application_under_a_private_authority_is_reached_and_kept(authority):
    tls = server_context(authority, LOOPBACK)
    async with (
        application(always_ok, tls=tls) as app,
        connector(app, scheme="https", ca_file=authority.ca_file) as upstream,
    ):
        for _ in range(3):
            assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 1


async def test_the_name_to_expect_may_differ_from_the_address(authority):
    tls = server_context(authority, NAMED)
    trusted = {"scheme": "https", "ca_file": authority.ca_file}
    async with application(always_ok, tls=tls) as app:
        async with connector(app, **trusted, server_name="legacy.example") as upstream:
            assert await whole(await send(upstream)) == b"ok"
        for wrong in (None, "other.example"):
            async with connector(app, **trusted, server_name=wrong) as upstream:
                with pytest.raises(UpstreamFault, match="upstream_tls") as caught:
                    await send(upstream)
                assert not caught.value.is_timeout


async def test_another_authoritys_certificate_is_refused(authority, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    tls = server_context(stranger, LOOPBACK)
    async with application(always_ok, tls=tls) as app:
        for ca_file in (authority.ca_file, None):
            async with connector(app, scheme="https", ca_file=ca_file) as upstream:
                with pytest.raises(UpstreamFault, match="upstream_tls"):
                    await send(upstream)


async def test_a_client_certificate_is_shown_where_one_is_configured(authority):
    tls = server_context(authority, LOOPBACK)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.ca_file)
    certificate, key = authority.issue("gateway")
    trusted = {"scheme": "https", "ca_file": authority.ca_file}
    async with application(always_ok, tls=tls) as app:
        async with connector(app, **trusted, client_cert=certificate, client_key=key) as upstream:
            assert await whole(await send(upstream)) == b"ok"
        async with connector(app, **trusted) as upstream:
            with pytest.raises(UpstreamFault) as caught:
                await send(upstream)
            assert caught.value.reason in {"upstream_tls", "upstream_truncated"}


async def test_plain_http_where_tls_is_expected_is_a_fault(authority):
    async def plain(connection):
        await connection.reader.readexactly(1)
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with application(plain) as app, connector(app, scheme="https", ca_file=authority.ca_file) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_tls"):
            await send(upstream)


async def test_a_handshake_that_stalls_is_a_timeout(authority):
    async def silent(connection):
        await connection.rest()

    async with application(silent) as app, connector(app, scheme="https", ca_file=authority.ca_file) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_timeout") as caught:
            await send(upstream, deadlines=Deadlines(connect_s=0.05))
        assert caught.value.is_timeout
        await app.closed[0].wait()


def test_unusable_certificate_files_are_found_at_once(tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for ca_file in (broken, tmp_path / "missing.pem"):
        with pytest.raises(OSError, match=r".+"):
            Upstream(Origin("https", "127.0.0.1", 1, ca_file=ca_file))
    with pytest.raises(ValueError, match="scheme"):
        Upstream(Origin("ftp", "127.0.0.1", 1))
