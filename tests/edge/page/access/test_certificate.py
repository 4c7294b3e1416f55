"""The page's certificate: generated, renewed, or the site's, which is checked before it is used."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edge.errors import CertificateEnded, CertificateError
from edge.page.access.wire import certificate as module
from edge.page.access.wire.addresses import addresses_of_machine
from edge.page.access.wire.certificate import RENEWED, certificate_of, generate, read_pair
from edge.page.access.wire.hosts import names_of_machine
from edge.page.access.wire.tls import PageTls
from edge.settings.page import PageSettings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def network(tmp_path: Path) -> PageSettings:
    return PageSettings(host="0.0.0.0", folder=tmp_path / "page", names=("bench.example.org",))


def test_a_generated_one_is_for_every_name_of_the_machine(network: PageSettings) -> None:
    found = certificate_of(network, NOW)
    host = socket.gethostname().partition(".")[0].lower()
    assert {host, f"{host}.local", "localhost", "127.0.0.1", "::1", "bench.example.org"} <= set(found.names)
    assert set(names_of_machine()) | set(addresses_of_machine()) <= set(found.names)
    assert (found.generated, found.missing) == (True, ())
    assert found.key.stat().st_mode & 0o777 == 0o600 and network.state.stat().st_mode & 0o777 == 0o700
    read = x509.load_pem_x509_certificate(found.certificate.read_bytes())
    public = read.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1"
    shown = ":".join(f"{byte:02X}" for byte in read.fingerprint(hashes.SHA256()))
    assert found.fingerprint == shown and len(shown) == 32 * 3 - 1
    assert not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_is_kept_until_a_month_before_its_end(network: PageSettings) -> None:
    first = certificate_of(network, NOW)
    assert certificate_of(network, NOW + timedelta(hours=1)) == first
    assert certificate_of(network, first.expires - RENEWED - timedelta(hours=1)) == first
    renewed = certificate_of(network, first.expires - RENEWED)
    assert renewed.fingerprint != first.fingerprint and renewed.expires > first.expires + timedelta(days=300)
    assert renewed.key.stat().st_mode & 0o777 == 0o600


def test_a_new_name_or_a_clock_that_was_wrong_makes_a_new_one(network: PageSettings, caplog, monkeypatch) -> None:
    first = certificate_of(network, NOW)
    more = PageSettings(host="0.0.0.0", folder=network.folder, names=("bench.example.org", "other.example.org"))
    second = certificate_of(more, NOW)
    assert second.fingerprint != first.fingerprint and "is not for other.example.org" in caplog.text
    for confirmed in (None, False):  # a board that starts in 1970 is wrong, not its certificate
        monkeypatch.setattr(module, "kernel_synchronized", lambda said=confirmed: said)
        assert certificate_of(more, datetime(1970, 1, 1, tzinfo=UTC)).fingerprint == second.fingerprint
    monkeypatch.setattr(module, "kernel_synchronized", lambda: True)  # it was made while the clock was ahead
    earlier = certificate_of(more, NOW - timedelta(days=400))
    assert earlier.fingerprint != second.fingerprint and "begins on" in caplog.text


def test_a_damaged_one_is_made_anew(network: PageSettings, caplog) -> None:
    first = certificate_of(network, NOW)
    first.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert certificate_of(network, NOW).fingerprint != first.fingerprint
    assert "no certificate in PEM" in caplog.text


@pytest.fixture
def site(tmp_path: Path) -> PageSettings:
    """A site's certificate for lab.example.org and *.bench.example.org, valid now."""
    generate(tmp_path / "made", ["lab.example.org", "*.bench.example.org"], NOW)
    return PageSettings(
        host="0.0.0.0",
        folder=tmp_path / "page",
        certificate=tmp_path / "made/certificate.pem",
        key=tmp_path / "made/key.pem",
    )


def test_the_site_s_is_used_and_what_it_is_not_for_is_said(site: PageSettings, caplog) -> None:
    found = certificate_of(site, NOW)
    assert not found.generated and found.certificate == site.certificate
    assert set(names_of_machine()) <= set(found.missing)
    assert "browsers that ask by those warn" in caplog.text and "lab.example.org" in caplog.text
    assert not (site.state / "key.pem").exists()


def test_a_site_s_that_is_not_valid_yet_is_served_and_said(site: PageSettings, caplog) -> None:
    """A board without a clock of its own starts in the past; the browser's clock decides."""
    assert certificate_of(site, NOW - timedelta(days=400)).certificate == site.certificate
    assert "begins on 2026-05-31, and it is 2025-04-27 by this machine's clock" in caplog.text


def test_names_are_compared_as_browsers_do(site: PageSettings) -> None:
    assert site.certificate is not None and site.key is not None
    wanted = [
        "lab.example.org",
        "LAB.example.org",
        "pi-7.bench.example.org",
        "a.b.bench.example.org",
        "bench.example.org",
        "192.0.2.7",
    ]
    found = read_pair(site.certificate, site.key, NOW, wanted)
    assert found.missing == ("a.b.bench.example.org", "bench.example.org", "192.0.2.7")


def test_a_site_s_that_cannot_be_used_is_refused(site: PageSettings, tmp_path: Path) -> None:
    certificate, key = site.certificate, site.key
    assert certificate is not None and key is not None
    generate(tmp_path / "other", ["lab.example.org"], NOW)
    cases = [
        (certificate, tmp_path / "other/key.pem", NOW, "is not the key of"),
        (certificate, key, NOW + timedelta(days=500), "ended on 2027-07-02, and it is 2027-10-14"),
        (key, key, NOW, "no certificate in PEM"),
        (certificate, certificate, NOW, "no private key in PEM"),
        (tmp_path / "none.pem", key, NOW, "No such file"),
    ]
    for one, other, now, said in cases:
        with pytest.raises((CertificateError, OSError)) as refused:
            read_pair(one, other, now, [])
        assert said in str(refused.value)
    with pytest.raises(CertificateEnded) as ended:
        read_pair(certificate, key, NOW + timedelta(days=500), [])
    assert ended.value.exit_code == 4, "a unit tries again: it may be renewed, or the clock be set"
    key.chmod(0o644)
    with pytest.raises(CertificateError, match="everybody on this machine may read it"):
        read_pair(certificate, key, NOW, [])
    key.chmod(0o640)  # root and a group, as Debian's ssl-cert
    assert read_pair(certificate, key, NOW, []).fingerprint


def handshake(tls: PageTls, client: ssl.SSLContext) -> tuple[str, str]:
    """TLS version, and the fingerprint of what the server shows."""
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            tls.context.wrap_socket(near, server_side=True).close()
        except (ssl.SSLError, OSError):
            near.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(far, server_hostname="localhost") as talk:
            shown = talk.getpeercert(binary_form=True)
            assert shown is not None
            return str(talk.version()), x509.load_der_x509_certificate(shown).fingerprint(hashes.SHA256()).hex(
                ":"
            ).upper()
    finally:
        far.close()
        thread.join()


def client(most: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that is what the test is about
def test_versions_of_tls(network: PageSettings) -> None:
    tls = PageTls(network)
    for most, version in [(ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")]:
        assert handshake(tls, client(most)) == (version, tls.certificate.fingerprint)
    for most in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(tls, client(most))
    weak = client(ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("AES256-SHA:AES128-SHA256:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")  # no forward secrecy; CBC
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(tls, weak)


def test_a_renewed_one_is_shown_to_new_connections_without_a_restart(site: PageSettings, caplog) -> None:
    assert site.certificate is not None
    now = datetime.now(UTC)
    generate(site.certificate.parent, ["lab.example.org"], now)
    tls = PageTls(site)
    assert not tls.look()
    before = tls.certificate.fingerprint
    assert handshake(tls, client(ssl.TLSVersion.TLSv1_3))[1] == before
    generate(site.certificate.parent, ["lab.example.org"], now)
    assert tls.look()
    after = tls.certificate.fingerprint
    assert after != before and handshake(tls, client(ssl.TLSVersion.TLSv1_3))[1] == after
    site.certificate.write_text("none")  # half-written: the page goes on
    assert not tls.look() and "goes on with its certificate" in caplog.text
    assert handshake(tls, client(ssl.TLSVersion.TLSv1_3))[1] == after
