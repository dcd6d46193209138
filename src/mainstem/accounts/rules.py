"""Who may make an account, and which address a mailed link may begin with. Pure."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from mainstem.platform.errors import BadRequestError, ConflictError, ForbiddenError, InvalidFieldError
from mainstem.platform.settings import Environment, Settings, SignUp
from mainstem.platform.smtp import is_address
from mainstem.platform.users import check_email

VERIFY_FOR: Final = timedelta(days=3)
RESET_FOR: Final = timedelta(hours=1)
INVITED_FOR: Final = timedelta(days=7)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SignUpClosedError(ForbiddenError):
    """Nobody can make an account like this here."""

    code = "sign_up_closed"


class LinkInvalidError(BadRequestError):
    """This link was used, is out of date, or never was one."""

    code = "link_invalid"


class EmailTakenError(BadRequestError):
    """Somebody has an account with this e-mail."""

    code = "email_taken"

    def __init__(self) -> None:
        """Say it in the contract's words."""
        super().__init__("Email already registered", field="email")


class MailOffError(ConflictError):
    """No mails can be sent here."""

    code = "mail_off"


def sign_up_of(settings: Settings) -> SignUp:
    """Return who may make an account: SIGN_UP, else everybody in development and those who were invited elsewhere."""
    if settings.sign_up is not None:
        return settings.sign_up
    return SignUp.OPEN if settings.environment is Environment.DEVELOPMENT else SignUp.INVITED


def check_sign_up(mode: SignUp, *, invited: bool = False) -> None:
    """Check that somebody may make an account. Raises SignUpClosedError."""
    if mode is SignUp.OPEN or (invited and mode is SignUp.INVITED):
        return
    hint = "an invitation is needed" if mode is SignUp.INVITED else "whoever runs the hub makes accounts"
    raise SignUpClosedError(f"Sign-up is not open: {hint}.")


def check_address(email: str) -> str:
    """Return an e-mail in its one form, lower-case, that a mail can be sent to. Raises InvalidFieldError."""
    email = check_email(email)
    if not is_address(email):
        raise InvalidFieldError("This is no e-mail address.", field="email")
    return email


def base_of(public_url: str | None, requested: str) -> str:
    """Return what mailed links begin with: PUBLIC_URL, else the address of the request if it is this machine's own.

    Any other host of a request is what the sender wrote there: a link to it would hand its secret to that host. Raises
    MailOffError.
    """
    if public_url is not None:
        return public_url.rstrip("/")
    try:
        parts = urlsplit(requested)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or host not in _LOOPBACK:
        raise MailOffError("Mailed links need an address to begin with: set PUBLIC_URL.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" if port is None else f"{parts.scheme}://{shown}:{port}"
