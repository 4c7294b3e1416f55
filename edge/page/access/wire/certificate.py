"""The certificate of the page: the site's, checked before it is used, or one that is generated and renewed here."""

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import CertificateEnded, CertificateError
from edge.page.access.wire.addresses import addresses_of_machine
from edge.page.access.wire.hosts import names_of_machine
from edge.settings.page import is_address
from edge.system.clock import kernel_synchronized
from edge.system.durable import own_as_parent, sync_path, write_new
from edge.system.files import read_at_most

if TYPE_CHECKING:
    from cryptography import x509

    from edge.settings.page import PageSettings

_log = logging.getLogger(__name__)
CERTIFICATE, KEY = "certificate.pem", "key.pem"  # of a generated one, in the page's folder
VALID = timedelta(days=397)  # what browsers accept at most of one that was imported
RENEWED = timedelta(days=30)  # before its end
_BACKDATED = timedelta(days=1)  # a browser's clock may be behind
_MOST_BYTES = 256 * 1024
_NAMES_AT_MOST = 64
# With TLS 1.2; 1.3 has none that are weak.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True)
class Certificate:
    """A certificate that was checked, and its key's file.

    Attributes:
        fingerprint: SHA-256 of the certificate, AB:CD:..., as browsers show it.
        generated: it was made here; nobody but its fingerprint vouches for it.
        names: that it is for. begins, expires: UTC.
        missing: names and addresses of this machine that it is not for.
    """

    certificate: Path
    key: Path
    fingerprint: str
    generated: bool
    names: tuple[str, ...]
    begins: datetime
    expires: datetime
    missing: tuple[str, ...] = ()

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have new connections of a server use it."""
        context.load_cert_chain(self.certificate, self.key)

    def context(self) -> ssl.SSLContext:
        """A server's context: TLS 1.2 and 1.3, forward secrecy alone, no renegotiation, no compression."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context


def certificate_of(settings: "PageSettings", now: datetime | None = None) -> Certificate:
    """The site's certificate where the profile names one, else the generated one, made or renewed where need be.

    Args:
        settings: [page] of the profile; `settings.tls` is true.
        now: UTC; the clock's when None.

    Raises:
        CertificateError: the site's is no pair, ended, or its key is open to everybody on this machine.
        OSError: it cannot be read, or a generated one cannot be stored.
    """
    now = now or datetime.now(UTC)
    wanted = [*names_of_machine(), *settings.names]
    if settings.certificate is not None and settings.key is not None:
        found = read_pair(settings.certificate, settings.key, now, [*wanted, *_addresses(settings)])
        if found.missing:
            _log.warning(
                f"{found.certificate} is not for {', '.join(found.missing)}: browsers that ask by those warn; name the "
                "device by one of: " + ", ".join(found.names)
            )
        if now < found.begins:
            _log.warning(f"{found.certificate} {_begins(found, now)}")
        return found
    folder = settings.state
    certificate, key = folder / CERTIFICATE, folder / KEY
    if certificate.exists() and key.exists():
        try:
            found = read_pair(certificate, key, now, [*wanted, "localhost"], generated=True)
        except CertificateError as error:
            _log.warning(f"{error}: a new certificate is made")
        else:
            why = _outdated(found, now)
            if not why:
                return found
            _log.warning(f"{certificate} {why}: a new one is made, with another fingerprint")
    generate(folder, [*wanted, "localhost", *_addresses(settings), "127.0.0.1", "::1"], now)
    return read_pair(certificate, key, now, [], generated=True)


def _outdated(found: Certificate, now: datetime) -> str:
    """Why a generated certificate is made anew; "" where it is not.

    One that begins later than now was made by a right clock, and this one is wrong, as after a start without a network
    and without a clock of its own; unless the kernel says that a server confirmed the time.
    """
    if found.missing:
        return f"is not for {', '.join(found.missing)}"
    if found.expires - now <= RENEWED:
        return f"ends on {found.expires:%Y-%m-%d}"
    if now < found.begins and kernel_synchronized():
        return _begins(found, now)
    return ""


def _begins(found: Certificate, now: datetime) -> str:
    return f"begins on {found.begins:%Y-%m-%d}, and it is {now:%Y-%m-%d} by this machine's clock"


def read_pair(
    certificate: Path, key: Path, now: datetime, wanted: Sequence[str], *, generated: bool = False
) -> Certificate:
    """A certificate and its key, checked.

    Args:
        wanted: names and addresses that it should be for; those that it is not for are told, not refused.

    Raises:
        CertificateError: not PEM, not a pair, expired, a key that others may read. One that is not valid yet is taken:
            a board without a clock of its own may be behind, and the browser's clock decides.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    try:
        read = x509.load_pem_x509_certificates(read_at_most(certificate, _MOST_BYTES, CertificateError))[0]
    except ValueError as error:
        raise CertificateError(f"{certificate}: no certificate in PEM: {error}") from error
    try:
        private = serialization.load_pem_private_key(read_at_most(key, _MOST_BYTES, CertificateError), None)
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise CertificateError(f"{key}: no private key in PEM without a password: {error}") from error
    if key.stat().st_mode & 0o007:
        raise CertificateError(f"{key}: everybody on this machine may read it: chmod o= {key}")
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != read.public_key().public_bytes(*form):
        raise CertificateError(f"{key} is not the key of {certificate}")
    if now >= read.not_valid_after_utc:
        raise CertificateEnded(f"{certificate} ended on {read.not_valid_after_utc:%Y-%m-%d}, and it is {now:%Y-%m-%d}")
    names = _names(read)
    return Certificate(
        certificate,
        key,
        fingerprint=read.fingerprint(hashes.SHA256()).hex(":").upper(),
        generated=generated,
        names=names,
        begins=read.not_valid_before_utc,
        expires=read.not_valid_after_utc,
        missing=tuple(each for each in dict.fromkeys(wanted) if not _is_for(each, names)),
    )


def generate(folder: Path, names: Sequence[str], now: datetime) -> None:
    """Write a self-signed certificate of a new ECDSA key (P-256), and the key with mode 0600, in place of older ones.

    Args:
        names: host names and addresses that it is for.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    kept = list(dict.fromkeys(names))[:_NAMES_AT_MOST]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kept[0][:64])])
    shown = [x509.IPAddress(ip_address(each)) if is_address(each) else x509.DNSName(each) for each in kept]
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)  # digital signature
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + VALID)
        .add_extension(x509.SubjectAlternativeName(shown), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(folder / KEY, pem, 0o600)
    _replace(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    sync_path(folder)


def _replace(path: Path, data: bytes, mode: int) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    write_new(new, data, mode)
    own_as_parent(new)
    new.replace(path)


def _addresses(settings: "PageSettings") -> list[str]:
    """Those by which browsers reach the page: of its host, or all where that is any."""
    if is_address(settings.host) and not ip_address(settings.host).is_unspecified:
        return [settings.host]
    return addresses_of_machine()


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _is_for(name: str, names: Sequence[str]) -> bool:
    """Whether one of a certificate's names is `name`, or *. and the rest of it (RFC 6125)."""
    name, wanted = name.lower(), {each.lower() for each in names}
    _, dot, rest = name.partition(".")
    return name in wanted or (bool(dot) and not is_address(name) and f"*.{rest}" in wanted)
