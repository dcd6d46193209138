"""Mailed links: asked for, and used by a program (JSON) or by a person (the pages of `accounts/pages.py`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from mainstem.accounts import invitations, pages
from mainstem.accounts.desk import Desk
from mainstem.accounts.models import AcceptIn, DoneOut, EmailIn, LinkIn, ResetIn, SignedInOut
from mainstem.accounts.rules import check_sign_up, sign_up_of
from mainstem.accounts.sign_routes import begin
from mainstem.platform.auth_routes import FORM, form_of, limit_address, limited_body
from mainstem.platform.errors import MainstemError, UnsupportedMediaTypeError
from mainstem.platform.problems import from_validation

MAILS_PER_ADDRESS: Final = 20
MAIL_WINDOW_S: Final = 3_600
LINKS_PER_ADDRESS: Final = 60
LINK_WINDOW_S: Final = 600
_SENT: Final = "If there is such an account, a mail with a link is on its way."

_PAGE: Final[dict[str, Any]] = {"text/html": {"schema": {"type": "string"}}}
_PROBLEM: Final[dict[str, Any]] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
Body = TypeVar("Body", bound=BaseModel)
Page = Callable[..., Response]
Answer: TypeAlias = Response | DoneOut | SignedInOut


@dataclass(frozen=True, slots=True)
class Form:
    """What a person sees of a route."""

    page: Page
    """The form, which says what was wrong."""
    title: str
    """Of the page that says that it was done."""
    status: int = 200


def build_ask_router(*, desk: Callable[[], Desk]) -> APIRouter:
    """Return the routes that mail links; anybody may ask."""
    router = APIRouter(prefix="/api/auth", tags=["accounts"])

    @router.post("/verify-email/send", status_code=202, summary="Mail a link that confirms an e-mail")
    async def send_verification(request: Request, body: EmailIn) -> DoneOut:
        """Answer the same whether there is such an account or not, and whether it is confirmed already."""
        await _limit_mails(request)
        await desk().ask("verify", body.email, requested=str(request.base_url))
        return DoneOut(message=_SENT)

    @router.post("/forgot-password", status_code=202, summary="Mail a link to a new password")
    async def forgot(request: Request, body: EmailIn) -> DoneOut:
        """Answer the same whether there is such an account or not."""
        await _limit_mails(request)
        await desk().ask("reset", body.email, requested=str(request.base_url))
        return DoneOut(message=_SENT)

    return router


def build_link_router(*, desk: Callable[[], Desk]) -> APIRouter:
    """Return the routes that links lead to; nobody needs a credential here but the link itself."""
    router = APIRouter(prefix="/api/auth", tags=["accounts"])

    @router.post(
        "/verify-email",
        summary="Confirm an e-mail",
        response_model=DoneOut,
        responses=_answers(200),
        openapi_extra=_body_of(LinkIn),
    )
    async def verify(request: Request) -> Answer:
        """Use a mailed link; 400 `link_invalid` when it was used, is out of date, or never was one."""

        async def act(body: LinkIn) -> DoneOut:
            await desk().verify(body.token.get_secret_value())
            return DoneOut(message="Your e-mail address is confirmed.")

        return await _submitted(request, LinkIn, act, Form(pages.verify_form, "Confirmed"))

    @router.post(
        "/reset-password",
        summary="Set a new password",
        response_model=DoneOut,
        responses=_answers(200),
        openapi_extra=_body_of(ResetIn),
    )
    async def reset(request: Request) -> Answer:
        """Use a mailed link to set a new password; all sessions end. 400 `link_invalid` as for confirming."""

        async def act(body: ResetIn) -> DoneOut:
            password = body.password.get_secret_value()
            await desk().reset(body.token.get_secret_value(), password, requested=str(request.base_url))
            return DoneOut(message="Your new password is set, and you were signed out everywhere. Sign in with it.")

        return await _submitted(request, ResetIn, act, Form(pages.reset_form, "Done"))

    @router.post(
        "/invitation",
        status_code=201,
        summary="Accept an invitation",
        response_model=SignedInOut,
        responses=_answers(201),
        openapi_extra=_body_of(AcceptIn),
    )
    async def accept(request: Request, response: Response) -> Answer:
        """Make the account that one was invited to, by a mailed link, and sign in; a page answers a form."""
        form = _is_form(request)

        async def act(body: AcceptIn) -> SignedInOut | DoneOut:
            check_sign_up(sign_up_of(desk().settings), invited=True)
            secret, password = body.token.get_secret_value(), body.password.get_secret_value()
            signed_in = await invitations.accept(desk().pool, secret, body.name, password)
            if form:
                return DoneOut(message=f"Your account {signed_in.user.email} is made. Sign in with your password.")
            return await begin(request, response, signed_in)

        return await _submitted(request, AcceptIn, act, Form(pages.invitation_form, "Welcome", 201))

    for path, page in (
        ("/verify-email", pages.verify_form),
        ("/reset-password", pages.reset_form),
        ("/invitation", pages.invitation_form),
    ):
        router.add_api_route(path, _showing(page), methods=["GET"], include_in_schema=False)
    return router


def _showing(page: Page) -> Callable[[], Awaitable[Response]]:
    async def show() -> Response:
        return page()

    return show


async def _submitted(
    request: Request, kind: type[Body], act: Callable[[Body], Awaitable[DoneOut | SignedInOut]], form: Form
) -> Answer:
    """Do what was sent, and answer as it was asked: JSON for JSON; for a form a page, with the form again on an error."""
    await limit_address(request, "link", limit=LINKS_PER_ADDRESS, window_s=LINK_WINDOW_S)
    if not _is_form(request):
        return await act(await _read(request, kind))
    try:
        found = await act(await _read(request, kind))
    except MainstemError as error:
        answer = form.page(wrong=error.detail, status=error.status)
        answer.headers.update(error.headers)
        return answer
    return pages.done(form.title, found.message if isinstance(found, DoneOut) else "", status=form.status)


def _is_form(request: Request) -> bool:
    return _content_type(request) == FORM


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(request: Request, kind: type[Body]) -> Body:
    content_type = _content_type(request)
    if content_type not in {FORM, "application/json"}:
        raise UnsupportedMediaTypeError(f"Send {FORM} or application/json.")
    body = await limited_body(request)
    try:
        return kind.model_validate(form_of(body)) if content_type == FORM else kind.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False)) from None


async def _limit_mails(request: Request) -> None:
    await limit_address(request, "mail", limit=MAILS_PER_ADDRESS, window_s=MAIL_WINDOW_S)


def _answers(good: int) -> dict[int | str, dict[str, Any]]:
    return {
        good: {"content": _PAGE},
        "4XX": {
            "description": "An error, as problem+json; for a form a page with the form again.",
            "content": {**_PROBLEM, **_PAGE},
        },
    }


def _body_of(kind: type[BaseModel]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}, FORM: {"schema": schema}},
        }
    }
