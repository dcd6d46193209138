"""A real SMTP server on loopback for tests: it keeps what it takes, and refuses what it is told to."""

import email
import email.policy
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from e2e_server import free_port


class Mailbox:
    """Mails that arrived, and what to refuse."""

    def __init__(self) -> None:
        self.mails: list[tuple] = []
        """Pairs of envelope and message."""
        self.refused: dict[str, str] = {}
        """Answers to receivers, by address."""
        self.refuse = ""
        """Answer to every receiver, instead of taking it."""
        self.answer = ""
        """Answer to every mail, instead of taking it."""
        self.sessions: list[object] = []
        self.url = ""
        self._arrived = threading.Condition()

    def subjects(self) -> list[str]:
        return [message["subject"] for _, message in self.mails]

    def wait(self, count: int, timeout_s: float = 10) -> None:
        """Return when so many mails are there."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.mails) >= count, timeout_s), self.subjects()

    async def handle_RCPT(self, *given) -> str:  # noqa: N802 - the server's word
        _, _, envelope, address, _ = given
        refusal = self.refused.get(address) or self.refuse
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, *given) -> str:  # noqa: N802 - the server's word
        _, session, envelope = given
        self.sessions.append(session)
        if self.answer:
            return self.answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self._arrived:
            self.mails.append((envelope, message))
            self._arrived.notify_all()
        return "250 taken"


def _check(server, session, envelope, mechanism, data) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"hub@example.org", b"p@ss/w:rd")
    return AuthResult(success=right, handled=right)


class _Controller(Controller):
    """A server in a thread; with `starttls` it offers TLS."""

    def __init__(self, *arguments, starttls: ssl.SSLContext | None, **options) -> None:
        self.starttls = starttls
        super().__init__(*arguments, **options)

    def factory(self) -> SMTP:
        with warnings.catch_warnings():
            # that a sign-in without TLS is unwise is what some tests are about
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(self.handler, tls_context=self.starttls, **self.SMTP_kwargs)


@contextmanager
def mailing(
    *,
    port: int = 0,
    login: bool = False,
    certificate: Path | None = None,
    implicit: bool = False,
    utf8: bool = True,
    refuse: str = "",
    answer: str = "",
) -> Iterator[Mailbox]:
    """Run a server; with `certificate` it speaks TLS, from the start when `implicit`.

    `refuse` is its answer to every receiver, `answer` to every mail.
    """
    box = Mailbox()
    box.refuse, box.answer = refuse, answer
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    options = {"hostname": "127.0.0.1", "port": port or free_port(), "enable_SMTPUTF8": utf8}
    if login:
        options |= {"auth_required": True, "authenticator": _check}
        options["auth_require_tls"] = context is not None and not implicit
    controller = _Controller(
        box, starttls=None if implicit else context, ssl_context=context if implicit else None, **options
    )
    controller.start()
    who = "hub%40example.org:p%40ss%2Fw%3Ard@" if login else ""
    box.url = f"{'smtps' if implicit else 'smtp'}://{who}127.0.0.1:{controller.port}"
    try:
        yield box
    finally:
        controller.stop()


def make_certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 and its key into one file; whoever trusts the file trusts the server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
