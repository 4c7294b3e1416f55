"""A web server on this machine that serves a folder, and misbehaves where it is told to. Every misbehaviour ends."""

import functools
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LONGEST_S = 20.0  # no misbehaviour goes on longer


class Handler(http.server.SimpleHTTPRequestHandler):
    """One request."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        for part, behave in self.server.behave.items():
            if part in self.path:
                with suppress(OSError):  # the client had enough: that is what is tested
                    behave(self)
                return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """`behave`: part of a path to what is done instead of serving the file."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.behave: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[str] = []
        self.scheme = "http"
        self.seconds = 0.0  # that have passed for whoever asks this server; `dripping` lets them pass

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left in the middle is no news."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(folder: Path, authority: "Authority | None" = None) -> Iterator[Server]:
    """Serve a folder, over https where there is an authority."""
    with Server(folder) as server:
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.server)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.05), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def endless(handler: Handler) -> None:
    """Send without end, as fast as it goes."""
    handler.send_response(200)
    handler.end_headers()
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        handler.wfile.write(b"\0" * 65536)


def dripping(handler: Handler) -> None:
    """Send a byte every 100 s, by the clock of this server."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        handler.server.seconds += 100
        handler.wfile.write(b" ")
        time.sleep(0.05)


def silent(handler: Handler) -> None:
    """Accept, and say nothing for a while."""
    time.sleep(8)


def redirecting_to(url: str) -> Callable[[Handler], None]:
    """Send the client elsewhere."""

    def behave(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def answering(data: bytes, status: int = 200) -> Callable[[Handler], None]:
    """Send these bytes instead."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return behave


@dataclass
class Authority:
    """A certificate authority that nobody knows, and a server's certificate by it for 127.0.0.1.

    Attributes:
        certificate: PEM file for SSL_CERT_FILE. server: PEM file with key and certificate.
    """

    folder: Path
    certificate: Path = field(init=False)
    server: Path = field(init=False)

    def __post_init__(self) -> None:
        self.certificate, self.server = self.folder / "authority.pem", self.folder / "server.pem"
        own = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        root = _certificate(name, name, own.public_key(), own, authority=True)
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        leaf = _certificate(here, name, key.public_key(), own, authority=False)
        self.certificate.write_bytes(root.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.server.write_bytes(private + leaf.public_bytes(Encoding.PEM))


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
