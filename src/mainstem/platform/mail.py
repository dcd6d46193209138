"""Mails of the product itself: plain text, over one SMTP server, sent at once or refused with a reason.

SMTP_URL names the server: `smtp://` turns to TLS where the server offers it (STARTTLS), `smtps://` speaks TLS from the
start; certificates are checked. Nothing is queued or tried again here: whoever must not lose a mail keeps it until it is
sent. Never inside a transaction.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Final

import aiosmtplib

from mainstem.platform.clock import utc_now
from mainstem.platform.errors import MainstemError
from mainstem.platform.settings import Settings
from mainstem.platform.smtp import Server, is_address, server_of

TIMEOUT_S: Final = 10.0
"""Longest wait for one answer of the server."""
_WHOLE_S: Final = 30.0
_LONGEST_SUBJECT: Final = 200
_LONGEST_ANSWER: Final = 300
_PERMANENT: Final = 500


class MailError(MainstemError):
    """The mail could not be handed over."""

    code = "mail_failed"
    status = 502

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        """Keep the reason, without secrets; `permanent`: the server will never take this mail for this receiver."""
        super().__init__(detail)
        self.permanent = permanent


class Mailer:
    """Sends mails as the settings say; one connection for each mail."""

    def __init__(self, settings: Settings, *, tls: ssl.SSLContext | None = None) -> None:
        """Read SMTP_URL and MAIL_FROM; nothing connects yet. `tls`: whom to trust, the system's authorities when absent."""
        url = settings.smtp_url
        self._server = None if url is None else server_of(url.get_secret_value())
        self._sender = settings.mail_from or self._own_address()
        self._tls = tls

    @property
    def configured(self) -> bool:
        """Whether there is a server and a sender: SMTP_URL, and MAIL_FROM or a user that is an address."""
        return self._server is not None and self._sender is not None

    async def send(
        self,
        to: Sequence[str],
        subject: str,
        text: str,
        *,
        message_id: str | None = None,
        now: datetime | None = None,
    ) -> tuple[str, ...]:
        """Send one mail to at least one receiver; return the receivers that the server refused, usually none.

        `message_id` (`<…@…>`) lets receivers know a mail that is sent again; made up when absent. Raises MailError when
        the server is away, refuses the mail, or refuses every receiver.
        """
        if self._server is None or self._sender is None:
            raise MailError("No mail server is configured: set SMTP_URL and MAIL_FROM.")
        message = _message(self._sender, to, subject, text, message_id or self.new_message_id(), now or utc_now())
        try:
            async with asyncio.timeout(_WHOLE_S):
                refused = await self._hand_over(self._server, message, to)
        except MailError:
            raise
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            permanent = all(one.code >= _PERMANENT for one in error.recipients)
            raise MailError(self._answered(first.code, first.message), permanent=permanent) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            # whoever runs the hub will mend it: the mail itself is fine
            raise MailError(self._answered(error.code, error.message)) from None
        except aiosmtplib.SMTPResponseException as error:
            permanent = error.code >= _PERMANENT and isinstance(error, aiosmtplib.SMTPDataError)
            raise MailError(self._answered(error.code, error.message), permanent=permanent) from None
        except aiosmtplib.SMTPNotSupported as error:
            raise MailError(f"The mail server can't take this mail: {error.message}", permanent=True) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailError(f"The mail server can't be reached ({_reason(error)}).") from None
        return refused

    def new_message_id(self) -> str:
        """Return a new Message-ID."""
        return make_msgid(domain=parseaddr(self._sender or "")[1].rpartition("@")[2] or "localhost")

    async def _hand_over(self, server: Server, message: EmailMessage, to: Sequence[str]) -> tuple[str, ...]:
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            timeout=TIMEOUT_S,
            tls_context=self._tls,
            local_hostname=_own_name(),
        )
        async with client:
            if server.user is not None:
                if client.get_transport_info("ssl_object") is None and not _is_loopback(client):
                    raise MailError("The mail server offers no TLS, and a password is not sent in the clear.")
                await client.login(server.user, server.password or "")
            errors, _ = await client.send_message(message, recipients=list(to))
        return tuple(errors)

    def _answered(self, code: int, answer: str) -> str:
        text = " ".join(answer.split())[:_LONGEST_ANSWER]
        for secret in (self._server.password, self._server.user) if self._server is not None else ():
            text = text.replace(secret, "…") if secret else text
        return f"The mail server answered {code} {text}"

    def _own_address(self) -> str | None:
        user = None if self._server is None else self._server.user
        return user if user is not None and is_address(user) else None


def _message(  # noqa: PLR0913, PLR0917 - the parts of a mail
    sender: str, to: Sequence[str], subject: str, text: str, message_id: str, now: datetime
) -> EmailMessage:
    message = EmailMessage(policy=WIRE)
    message["From"] = sender
    message["To"] = ", ".join(to)
    # a line break would begin another header
    message["Subject"] = " ".join(subject.split())[:_LONGEST_SUBJECT]
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Message-ID"] = message_id
    # RFC 3834: no out-of-office note may answer
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _own_name() -> str:
    # without asking a name server, which may be what is broken
    name = socket.gethostname()
    return name if name.isascii() and name and not any(one.isspace() for one in name) else "localhost"


def _is_loopback(client: aiosmtplib.SMTP) -> bool:
    peer = client.get_transport_info("peername")
    return peer is not None and ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(error).__name__
