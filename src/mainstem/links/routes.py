"""The links API: one link, many links, lists, QR codes, import and export."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from mainstem.links import csv_export, csv_import, store
from mainstem.links.answers import cursor_of, link_out, place_of_cursor
from mainstem.links.models import (
    BulkChange,
    BulkCreate,
    BulkIds,
    BulkOut,
    ImportOut,
    ItemOut,
    LinkIn,
    LinkList,
    LinkOut,
    LinkPatch,
)
from mainstem.links.qr import MEDIA_TYPES, QrFormat, QrLevel, qr_code
from mainstem.links.slugs import normalized
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import MainstemError, NotFoundError
from mainstem.platform.problems import InvalidFieldsError, from_validation
from mainstem.platform.settings import Settings

MAX_PAGE: Final = 200
_LARGEST_ID: Final = 2**63 - 1
_CSV: Final = "text/csv"
_Answers = dict[int | str, dict[str, Any]]
_FOUND: Final[_Answers] = {200: {"model": LinkOut, "description": "find_if_exists: the link that was there already."}}
_PARTLY: Final[_Answers] = {207: {"model": BulkOut, "description": "At least one item failed; the others are done."}}


def build_router(  # noqa: C901, PLR0915 - a list of routes
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]], settings: Settings
) -> APIRouter:
    """Return the routes; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1/links", tags=["links"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    async def answer(connection: Connection, caller: Caller, request: Request, link_id: int) -> LinkOut:
        rows = await store.read(connection, caller.tenant_id, [link_id])
        if not rows:
            raise NotFoundError(f"Link {link_id} not found")
        return link_out(rows[0], base_of(request, settings))

    @router.post("", status_code=201, summary="Make a link", responses=_FOUND)
    async def create(caller: Admin, request: Request, response: Response, body: LinkIn) -> LinkOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            if body.find_if_exists and body.slug:
                known = await store.find_place(connection, caller.tenant_id, body.host, normalized(body.slug))
                if known is not None:
                    found = await answer(connection, caller, request, known)
                    if found.target_url.rstrip("/") == body.target_url.rstrip("/"):
                        response.status_code = 200
                        return found
            given = body.model_dump(exclude_unset=True, exclude={"find_if_exists"})
            made = await store.create(connection, scope_of(caller, request, settings), [given])
            return await answer(connection, caller, request, _or_raise(made[0]))

    @router.get("", summary="List links")
    async def list_links(  # noqa: PLR0913, PLR0917 - the filters of a list
        caller: Reader,
        request: Request,
        search: Annotated[
            str | None,
            Query(max_length=200, description="Beginning of a slug, words of title or description, or a tracking id."),
        ] = None,
        tag: Annotated[str | None, Query(max_length=50)] = None,
        campaign_id: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
        host: Annotated[
            str | None, Query(max_length=300, description="A domain; empty: the hub's own address.")
        ] = None,
        archived: Annotated[Literal["false", "true", "any"], Query()] = "false",
        active: Annotated[bool | None, Query()] = None,
        sort: Annotated[Literal["newest", "clicks"], Query(description="clicks lists clicked links alone.")] = "newest",
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
    ) -> LinkList:
        wanted = store.Filter(
            search=_clean(search),
            tag=_clean(tag),
            campaign_id=campaign_id,
            host=_clean(host),
            archived=None if archived == "any" else archived == "true",
            active=active,
        )
        after = place_of_cursor(cursor)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            places = await store.ids_of(
                connection, caller.tenant_id, wanted, by_clicks=sort == "clicks", after=after, limit=limit + 1
            )
            rows = await store.read(connection, caller.tenant_id, [link_id for _, link_id in places[:limit]])
        base = base_of(request, settings)
        more = cursor_of(places[limit - 1]) if len(places) > limit else None
        return LinkList(items=[link_out(row, base) for row in rows], next_cursor=more)

    @router.get("/by-slug", summary="Find a link by host and slug")
    async def by_slug(caller: Reader, request: Request, slug: str, host: str = "") -> LinkOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await store.find_place(
                connection, caller.tenant_id, _clean(host) or "", normalized(_clean(slug) or "")
            )
            if found is None:
                raise NotFoundError("There is no such link.")
            return await answer(connection, caller, request, found)

    @router.post("/bulk", summary="Make up to 1,000 links", responses=_PARTLY)
    async def create_many(caller: Admin, request: Request, response: Response, body: BulkCreate) -> BulkOut:
        wanted = [_checked(LinkIn, one, exclude={"find_if_exists"}) for one in body.links]
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            made = await store.create(connection, scope_of(caller, request, settings), wanted)
            return await many(connection, caller, request, response, made)

    @router.patch("/bulk", summary="Change up to 1,000 links", responses=_PARTLY)
    async def change_many(caller: Admin, request: Request, response: Response, body: BulkChange) -> BulkOut:
        wanted: list[tuple[int, Mapping[str, Any] | MainstemError]] = []
        for one in body.links:
            id_ = one.get("id")
            number = id_ if isinstance(id_, int) and 0 <= id_ <= _LARGEST_ID else -1
            wanted.append((number, _checked(LinkPatch, {key: value for key, value in one.items() if key != "id"})))
        good = [(link_id, given) for link_id, given in wanted if not isinstance(given, MainstemError)]
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            changed = iter(await store.change(connection, scope_of(caller, request, settings), good))
            results = [given if isinstance(given, MainstemError) else next(changed) for _, given in wanted]
            return await many(connection, caller, request, response, results)

    @router.post("/bulk/delete", summary="Delete up to 1,000 links", responses=_PARTLY)
    async def delete_many(caller: Admin, request: Request, response: Response, body: BulkIds) -> BulkOut:
        ids = [one for one in dict.fromkeys(body.ids) if 0 <= one <= _LARGEST_ID]
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            deleted = dict(
                zip(ids, await store.delete(connection, scope_of(caller, request, settings), ids), strict=True)
            )
        # one result for each id that was sent, at its place: a repeated id fares as its first
        results = [deleted.get(one) or NotFoundError(f"Link {one} not found") for one in body.ids]
        return _told(response, [_item(index, one) for index, one in enumerate(results)])

    async def many(
        connection: Connection,
        caller: Caller,
        request: Request,
        response: Response,
        made: Sequence[int | MainstemError],
    ) -> BulkOut:
        rows = await store.read(connection, caller.tenant_id, [one for one in made if isinstance(one, int)])
        base = base_of(request, settings)
        links = {row["link_id"]: link_out(row, base) for row in rows}
        items = [_item(index, one, links) for index, one in enumerate(made)]
        return _told(response, items)

    @router.get("/export", summary="All links as CSV", response_class=StreamingResponse)
    async def export(caller: Reader, request: Request) -> StreamingResponse:
        rows = csv_export.export(pool(), caller.tenant_id, base_of(request, settings))
        headers = {"content-disposition": 'attachment; filename="links.csv"', "cache-control": "no-store"}
        return StreamingResponse(rows, media_type=_CSV, headers=headers)

    @router.post(
        "/import",
        summary="Take links over from a CSV export of Mainstem, Bitly, Dub or Shlink",
        openapi_extra={"requestBody": {"required": True, "content": {_CSV: {"schema": {"type": "string"}}}}},
    )
    async def import_(
        caller: Admin,
        request: Request,
        format: Annotated[Literal["auto", "mainstem", "bitly", "dub", "shlink"], Query()] = "auto",  # noqa: A002 - its name
        existing: Annotated[
            Literal["skip", "update"], Query(description="What happens where the slug is yours already.")
        ] = "skip",
        *,
        dry_run: Annotated[bool, Query(description="Check everything, keep nothing.")] = False,
    ) -> ImportOut:
        text = (await request.body()).decode("utf-8-sig", "replace")
        scope = scope_of(caller, request, settings)
        return await csv_import.take(
            pool(), scope, text.splitlines(keepends=True), format_=format, update=existing == "update", dry_run=dry_run
        )

    @router.get("/{link_id}", summary="One link")
    async def get(caller: Reader, request: Request, link_id: int) -> LinkOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return await answer(connection, caller, request, _id(link_id))

    @router.patch("/{link_id}", summary="Change a link; known everywhere within a second")
    async def change(caller: Admin, request: Request, link_id: int, body: LinkPatch) -> LinkOut:
        given = body.model_dump(exclude_unset=True)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            changed = await store.change(connection, scope_of(caller, request, settings), [(_id(link_id), given)])
            return await answer(connection, caller, request, _or_raise(changed[0]))

    @router.delete("/{link_id}", status_code=204, summary="Delete a link; its clicks stay")
    async def delete(caller: Admin, request: Request, link_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            _or_raise((await store.delete(connection, scope_of(caller, request, settings), [_id(link_id)]))[0])

    @router.get(
        "/{link_id}/qr",
        summary="QR code of the short address",
        response_class=Response,
        responses={200: {"content": {"image/svg+xml": {}, "image/png": {}}}, 304: {"description": "Unchanged."}},
    )
    async def qr(  # noqa: PLR0913, PLR0917 - what a code looks like
        caller: Reader,
        request: Request,
        link_id: int,
        format: Annotated[QrFormat, Query()] = QrFormat.SVG,  # noqa: A002 - its name
        scale: Annotated[int, Query(ge=1, le=50, description="Pixels per module.")] = 8,
        border: Annotated[int, Query(ge=0, le=20, description="Modules of quiet zone.")] = 4,
        dark: Annotated[str, Query(max_length=7)] = "000000",
        light: Annotated[str, Query(max_length=11, description="A colour, or transparent.")] = "ffffff",
        level: Annotated[QrLevel, Query(description="Error correction.")] = QrLevel.M,
    ) -> Response:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            link = await answer(connection, caller, request, _id(link_id))
        file = qr_code(link.short_url, kind=format, scale=scale, border=border, dark=dark, light=light, level=level)
        tag = f'"{sha256(file).hexdigest()[:24]}"'
        headers = {"etag": tag, "cache-control": "private, max-age=3600"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file, media_type=MEDIA_TYPES[format], headers=headers)

    return router


def base_of(request: Request, settings: Settings) -> str:
    """Return the hub's own address: PUBLIC_URL, else as the request names it."""
    return settings.public_url or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def scope_of(caller: Caller, request: Request, settings: Settings) -> store.Scope:
    """Return who changes links here."""
    host = base_of(request, settings).partition("://")[2].partition("/")[0].lower()
    return store.Scope(caller.tenant_id, caller.subject, settings.link_schemes, (host,))


def _id(link_id: int) -> int:
    if not 0 <= link_id <= _LARGEST_ID:
        raise NotFoundError(f"Link {link_id} not found")
    return link_id


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "")


def _or_raise(made: int | MainstemError) -> int:
    if isinstance(made, MainstemError):
        raise made
    return made


def _checked(
    model: type[BaseModel], given: Mapping[str, Any], exclude: set[str] | None = None
) -> Mapping[str, Any] | MainstemError:
    try:
        return model.model_validate(given).model_dump(exclude_unset=True, exclude=exclude)
    except ValidationError as error:
        return from_validation(error.errors())


def _item(index: int, one: int | MainstemError, links: Mapping[int, LinkOut] | None = None) -> ItemOut:
    if isinstance(one, int):
        return ItemOut(index=index, success=True, id=one, link=(links or {}).get(one))
    code = one.errors[0].code if isinstance(one, InvalidFieldsError) else one.code
    return ItemOut(index=index, success=False, code=code, error=one.detail, field=one.field)


def _told(response: Response, items: list[ItemOut]) -> BulkOut:
    told = BulkOut.of(items)
    response.status_code = 200 if told.success else 207
    return told
