"""What people do with their accounts: sign up, confirm an e-mail, get or choose another password."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from mainstem.accounts import links
from mainstem.accounts.links import Person, Purpose
from mainstem.accounts.mails import Post
from mainstem.accounts.rules import EmailTakenError, MailOffError, base_of, check_address, check_sign_up, sign_up_of
from mainstem.platform import passwords, sessions, users
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.platform.errors import ConflictError, RateLimitedError, UnauthorizedError
from mainstem.platform.limits import RateLimiter
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings
from mainstem.platform.tenants import get_tenant

MAILS_PER_ADDRESS: Final = 5
MAIL_WINDOW_S: Final = 3_600
_WRONG: Final = "The old password is wrong."
_sql: Final = load_queries("mainstem.accounts")


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes people's wishes; one per process. Its pool is a worker's: who asks is often not known yet."""

    pool: Pool
    settings: Settings
    outbox: Outbox
    limiter: RateLimiter

    def post(self, requested: str) -> Post:
        """Return what sends mails with links; `requested` is the address of the request. Raises MailOffError."""
        if not self.outbox.configured:
            raise MailOffError("No mail server is configured: set SMTP_URL and MAIL_FROM.")
        return Post(self.outbox, base_of(self.settings.public_url, requested))

    def _post_or_none(self, requested: str) -> Post | None:
        try:
            return self.post(requested)
        except MailOffError:
            return None

    async def sign_up(self, email: str, password: str, name: str, *, requested: str) -> users.SignedIn:
        """Make a user of SIGN_UP_ROLE in DEFAULT_TENANT, and ask to confirm the e-mail where mails can be sent.

        Raises SignUpClosedError, EmailTakenError, InvalidFieldError.
        """
        check_sign_up(sign_up_of(self.settings))
        email, name = check_address(email), users.check_name(name)
        hashed = await passwords.hashed(users.check_password(password))
        post = self._post_or_none(requested)
        async with transaction(self.pool) as connection:
            tenant = await get_tenant(connection, self.settings.default_tenant)
            try:
                user = await users.insert_user(
                    connection,
                    tenant.id,
                    email,
                    hashed,
                    name=name,
                    role=self.settings.sign_up_role,
                    verified=False,
                )
            except ConflictError:
                raise EmailTakenError from None
            if post is not None:
                await links.ask(connection, "verify", email, post, stranger=tenant.slug)
        return users.SignedIn(user, tenant.slug)

    async def ask(self, purpose: Purpose, email: str, *, requested: str) -> None:
        """Mail a link to the user of an e-mail, if there is one: nothing that is seen from here tells whether.

        Raises MailOffError, InvalidFieldError, RateLimitedError.
        """
        post = self.post(requested)
        email = check_address(email)
        await self._limit(purpose, email)
        async with transaction(self.pool) as connection:
            await links.ask(connection, purpose, email, post, stranger=self.settings.default_tenant)

    async def verify(self, token: str) -> Person:
        """Note that an e-mail is its user's. Raises LinkInvalidError."""
        async with transaction(self.pool) as connection:
            person = await links.use(connection, "verify", token)
            await connection.execute(_sql["verified"], person.user_id)
            await links.drop(connection, person.user_id, "verify")
        return person

    async def reset(self, token: str, password: str, *, requested: str) -> Person:
        """Set the password by a mailed link and end all sessions. Raises LinkInvalidError, InvalidFieldError."""
        async with transaction(self.pool) as connection:
            await links.peek(connection, "reset", token)
        hashed = await passwords.hashed(users.check_password(password))
        async with transaction(self.pool) as connection:
            person = await links.use(connection, "reset", token)
            await self._set(connection, person, hashed, requested, by_mail=True)
        return person

    async def change(self, caller: Caller, old: str, new: str, *, requested: str) -> None:
        """Set the password of somebody who knows the old one, and end all other sessions.

        A wrong old password counts as a failed sign-in. Raises UnauthorizedError, RateLimitedError, InvalidFieldError.
        """
        users.check_password(new)
        user = await self._user(caller.user_id)
        known = await users.sign_in(self.pool, user.email, old)
        if known is None:
            raise UnauthorizedError(_WRONG, field="old_password")
        hashed = await passwords.hashed(new)
        person = Person(user.id, user.tenant_id, user.email)
        async with transaction(self.pool) as connection:
            await self._set(connection, person, hashed, requested, but=caller.session_id, proof=known.proof)

    async def _set(  # noqa: PLR0913 - whose, what and how
        self,
        connection: Connection,
        person: Person,
        hashed: str,
        requested: str,
        *,
        by_mail: bool = False,
        but: UUID | None = None,
        proof: str | None = None,
    ) -> None:
        if await connection.fetchval(_sql["set_password"], person.user_id, hashed, by_mail, proof) is None:
            raise UnauthorizedError(_WRONG)
        await links.drop(connection, person.user_id, "reset")
        await sessions.end_others(connection, person.tenant_id, person.user_id, but=but)
        post = self._post_or_none(requested)
        if post is not None:
            await post.changed(connection, person.tenant_id, person.email)

    async def _user(self, user_id: UUID | None) -> users.User:
        async with transaction(self.pool) as connection:
            user = None if user_id is None else await users.user_by_id(connection, user_id)
        if user is None:
            raise UnauthorizedError
        return user

    async def _limit(self, purpose: Purpose, email: str) -> None:
        subject = f"mail-{purpose}:" + sha256(email.encode("utf-8", "surrogatepass")).hexdigest()
        allowance = await self.limiter.take(subject, 1, limit=MAILS_PER_ADDRESS, window_s=MAIL_WINDOW_S)
        if not allowance.allowed:
            raise RateLimitedError(
                "Enough mails were asked for; try again later.", retry_after_s=allowance.retry_after_s
            )
