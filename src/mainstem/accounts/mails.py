"""The mails about accounts: plain text, each link with its secret behind the `#`, which no server gets to see."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mainstem.platform.db import Connection
from mainstem.platform.outbox import Outbox

VERIFY_PATH: Final = "/api/auth/verify-email"
RESET_PATH: Final = "/api/auth/reset-password"
INVITATION_PATH: Final = "/api/auth/invitation"


@dataclass(frozen=True, slots=True)
class Post:
    """Queues mails in the caller's transaction."""

    outbox: Outbox
    base: str
    """What links begin with: scheme and host."""

    @property
    def configured(self) -> bool:
        """Whether there is a mail server."""
        return self.outbox.configured

    def link(self, path: str, token: str) -> str:
        """Return the address of a page with its secret."""
        return f"{self.base}{path}#{token}"

    async def verification(self, connection: Connection, tenant_id: int, email: str, token: str) -> None:
        """Ask whether the address is its owner's."""
        text = (
            f"Please confirm that {email} is your address:\n\n{self.link(VERIFY_PATH, token)}\n\n"
            "The link works once, for three days. If you did not sign up, ignore this mail.\n"
        )
        await self._put(connection, tenant_id, email, "Confirm your e-mail address", text)

    async def reset(self, connection: Connection, tenant_id: int, email: str, token: str) -> None:
        """Send the way to a new password."""
        text = (
            f"Somebody asked for a new password of {email}. Choose one here:\n\n{self.link(RESET_PATH, token)}\n\n"
            "The link works once, for an hour, and signs you out everywhere. If it was not you, ignore this mail:\n"
            "your password stays as it is.\n"
        )
        await self._put(connection, tenant_id, email, "Choose a new password", text)

    async def invitation(self, connection: Connection, tenant_id: int, tenant: str, email: str, token: str) -> None:
        """Ask somebody to join a tenant, which is told by its name."""
        text = (
            f"You were invited to {tenant}. Choose a password here:\n\n{self.link(INVITATION_PATH, token)}\n\n"
            "The link works once, for seven days. If you don't know what this is about, ignore this mail.\n"
        )
        await self._put(connection, tenant_id, email, f"You were invited to {tenant}", text)

    async def changed(self, connection: Connection, tenant_id: int, email: str) -> None:
        """Tell somebody that the password is another one now."""
        text = (
            f"The password of {email} was changed, and all other sessions were ended.\n\n"
            f"If it was not you, choose a new one at once: {self.base}{quote(RESET_PATH)}\n"
        )
        await self.outbox.put(connection, tenant_id, [email], "Your password was changed", text)

    async def _put(self, connection: Connection, tenant_id: int, email: str, subject: str, text: str) -> None:
        await self.outbox.put(connection, tenant_id, [email], subject, text, secret=True)
