"""The tasks API beyond the contract: comments, people, links, reminders, labels, history."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from mainstem.pii.opening import Opener
from mainstem.platform.answers import Moment
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.tasks import reminders, sharing, store
from mainstem.tasks.desk import Desk, link_in, reminder_of, who
from mainstem.tasks.draft import link_of
from mainstem.tasks.models import (
    CommentIn,
    CommentList,
    CommentOut,
    LabelList,
    LabelOut,
    LinkIn,
    ReminderIn,
    ReminderList,
    ReminderOut,
    TaskOut,
    WhoIn,
)
from mainstem.tasks.routes import Require, personal

_MOST: int = 200


class PastOut(BaseModel):
    """One change of a task."""

    kind: str
    at: Moment
    by: str
    version: int
    changed: list[str]
    data: dict[str, Any]


class PastList(BaseModel):
    """Changes of a task, the oldest first."""

    items: list[PastOut]


def build_more_router(*, desk: Desk, require: Require) -> APIRouter:  # noqa: C901 - a list of routes
    """Return the routes, to be included before those of the contract; all need the scope tasks and a person."""
    router = APIRouter(prefix="/api/tasks", tags=["tasks"])
    Person = Annotated[Caller, Depends(personal(require))]  # noqa: N806 - a type

    @router.get("/labels", summary="Labels of the tasks that you see")
    async def labels(caller: Person) -> LabelList:
        async with desk.acting(caller) as (connection, actor):
            found = await sharing.labels(connection, actor)
        return LabelList(items=[LabelOut(label=one.label, tasks=one.tasks, open=one.open) for one in found])

    @router.get("/{task_id}/comments", summary="What was said about a task")
    async def comments(
        caller: Person,
        task_id: int,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    ) -> CommentList:
        async with desk.acting(caller) as (connection, actor):
            found = await sharing.comments(connection, actor, task_id, after=cursor, limit=limit + 1)
        items = [_comment(one) for one in found[:limit]]
        return CommentList(items=items, next_cursor=items[-1].id if len(found) > limit else None)

    @router.post("/{task_id}/comments", status_code=201, summary="Say something about a task")
    async def comment(caller: Person, task_id: int, body: CommentIn) -> CommentOut:
        async with desk.acting(caller) as (connection, actor):
            return _comment(await sharing.comment(connection, actor, task_id, body.body))

    @router.post("/{task_id}/assign", summary="Assign a task to a person, or to nobody")
    async def assign(caller: Person, task_id: int, body: WhoIn) -> TaskOut:
        async with desk.acting(caller) as (connection, actor):
            assignee = None if body.user is None else await who(connection, actor, body.user, "user")
            return TaskOut.of(await store.update(connection, actor, task_id, {"assignee_id": assignee}))

    @router.post("/{task_id}/share", summary="Let a person see a task and comment on it")
    async def share(caller: Person, task_id: int, body: WhoIn) -> TaskOut:
        async with desk.acting(caller) as (connection, actor):
            user_id = await who(connection, actor, body.user or "", "user")
            return TaskOut.of(await sharing.share(connection, actor, task_id, user_id))

    @router.delete("/{task_id}/share/{user}", summary="Let a person see a task no more")
    async def unshare(caller: Person, task_id: int, user: str) -> TaskOut:
        async with desk.acting(caller) as (connection, actor):
            user_id = await who(connection, actor, user, "user")
            return TaskOut.of(await sharing.unshare(connection, actor, task_id, user_id))

    @router.post("/{task_id}/links", status_code=201, summary="Say which thing of the hub a task is about")
    async def link(caller: Person, task_id: int, body: LinkIn) -> TaskOut:
        async with desk.acting(caller) as (connection, actor):
            return TaskOut.of(await sharing.link(connection, actor, task_id, link_in(body)))

    @router.delete("/{task_id}/links/{type}/{id:path}", summary="Say that a task is about a thing no more")
    async def unlink(caller: Person, task_id: int, type: str, id: str) -> TaskOut:  # noqa: A002 - the words on the wire
        async with desk.acting(caller) as (connection, actor):
            return TaskOut.of(await sharing.unlink(connection, actor, task_id, link_of(type, id)))

    @router.get("/{task_id}/reminders", summary="Your reminders of a task")
    async def all_reminders(caller: Person, task_id: int) -> ReminderList:
        async with desk.acting(caller) as (connection, actor):
            await store.get(connection, actor, task_id)
            found = await reminders.all_of(connection, actor, task_id)
        return ReminderList(items=[_reminder(one) for one in found])

    @router.post("/{task_id}/reminders", status_code=201, summary="Remind me of a task")
    async def remind(caller: Person, task_id: int, body: ReminderIn) -> ReminderOut:
        now = utc_now()
        async with desk.acting(caller) as (connection, actor):
            task = await store.get(connection, actor, task_id)
            wanted = reminder_of(body, now, actor.zone)
            (made,) = await reminders.add(connection, actor, task, [wanted], now=now)
        return _reminder(made)

    @router.delete("/{task_id}/reminders/{reminder_id}", status_code=204, summary="Take a reminder away")
    async def forget(caller: Person, task_id: int, reminder_id: int) -> None:
        async with desk.acting(caller) as (connection, actor):
            await store.get(connection, actor, task_id)
            await reminders.remove(connection, actor, task_id, reminder_id)

    @router.get("/{task_id}/history", summary="What became of a task, as the vault has kept it")
    async def history(caller: Person, task_id: int, limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> PastList:
        async with desk.acting(caller) as (connection, actor):
            found = await sharing.history(connection, actor, task_id, Opener(desk.keyring), limit=limit)
        return PastList(
            items=[
                PastOut(
                    kind=one.kind,
                    at=one.at,
                    by=one.by,
                    version=one.version,
                    changed=list(one.changed),
                    data=one.data,
                )
                for one in found
            ]
        )

    return router


def _comment(one: sharing.Comment) -> CommentOut:
    return CommentOut(id=one.id, user_id=one.user_id, body=one.body, created_at=one.created_at)


def _reminder(one: reminders.Reminder) -> ReminderOut:
    return ReminderOut(
        id=one.id,
        minutes_before=one.minutes_before,
        remind_at=one.remind_at,
        sent_at=one.sent_at,
        outcome=one.outcome,
    )
