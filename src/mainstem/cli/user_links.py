"""`mainstem user invite` and `user reset`: links that are mailed, or printed to be handed over."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, data_folder, load, print_json, with_connection

if TYPE_CHECKING:
    from mainstem.accounts.invitations import Sent
    from mainstem.accounts.mails import Post
    from mainstem.platform.db import Connection
    from mainstem.platform.settings import Settings

Email = Annotated[str, typer.Argument(help="Whose e-mail address it is.")]
Show = Annotated[bool, typer.Option("--print", help="Print the link, and mail nothing.")]


def invite(
    email: Email,
    tenant: TenantSlug,
    role: Annotated[str, typer.Option(help="owner, member, viewer or guest.")] = "member",
    *,
    show: Show = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask somebody to join a tenant: by mail, or by the link that is printed where no mail server is configured."""
    from mainstem.accounts.invitations import invite as invite_
    from mainstem.accounts.rules import check_sign_up, sign_up_of
    from mainstem.platform.tenants import get_tenant

    settings = load()
    check_sign_up(sign_up_of(settings), invited=True)
    post = _post(settings, data_folder(settings, data_dir), mails=not show)

    async def action(connection: "Connection") -> "Sent":
        found = await get_tenant(connection, tenant)
        return await invite_(connection, post, found.id, email, role, by="cli")

    sent = with_connection(data_dir, action, settings=settings)
    link = None if post.configured else sent.link
    if as_json:
        made = sent.invitation
        row = {"id": made.id, "tenant": tenant, "email": made.email, "role": made.role, "expires_at": made.expires_at}
        print_json({**row, "link": link})
    else:
        typer.echo(link or f"an invitation to tenant {tenant} is on its way to {sent.invitation.email}")


def reset(
    email: Email, tenant: TenantSlug, *, show: Show = False, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Send a user the way to a new password: by mail, or by the link that is printed where no mail server is configured.

    Until the link is used nothing changes; then the old password is void and all sessions end.
    """
    from mainstem.accounts.links import make
    from mainstem.accounts.mails import RESET_PATH
    from mainstem.platform.errors import ConflictError
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import user_of_tenant

    settings = load()
    post = _post(settings, data_folder(settings, data_dir), mails=not show)

    async def action(connection: "Connection") -> str:
        found = await get_tenant(connection, tenant)
        user = await user_of_tenant(connection, found.id, email)
        if user.disabled_at is not None:
            raise ConflictError(f"User {user.email} is disabled: enable it first.")
        made = await make(connection, "reset", user.email, stranger=tenant)
        await post.reset(connection, found.id, user.email, made.text)
        return post.link(RESET_PATH, made.text)

    link = with_connection(data_dir, action, settings=settings)
    shown = None if post.configured else link
    if as_json:
        print_json({"tenant": tenant, "email": email, "link": shown})
    else:
        typer.echo(shown or f"a link to a new password is on its way to {email}")


def _post(settings: "Settings", folder: Path, *, mails: bool) -> "Post":
    from mainstem.accounts.mails import Post
    from mainstem.platform.mail import Mailer
    from mainstem.platform.outbox import Outbox
    from mainstem.platform.secrets import derive, secret_key
    from mainstem.platform.text_box import TextBox

    # without a server the outbox takes nothing, and the link is printed
    mailer = Mailer(settings if mails else settings.model_copy(update={"smtp_url": None}))
    box = TextBox(derive(secret_key(settings, folder), "mail"))
    here = f"http://{settings.api_host}:{settings.api_port}"
    return Post(Outbox(mailer, settings.mail_to, box), (settings.public_url or here).rstrip("/"))
