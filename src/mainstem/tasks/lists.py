"""Lists of tasks: filters, three orders, pages by cursor."""

import base64
import re
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.text import clean
from mainstem.tasks import rows
from mainstem.tasks.model import Actor, Filter, Page, Priority, Sort

MOST_ROWS: Final = 200
_RANKS: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 10
_PLACE: Final = re.compile(r"[0-9:.+ -]{1,40}|infinity")
_sql: Final = load_queries("mainstem.tasks")
_lists: Final = load_queries("mainstem.tasks", "lists.sql")


async def list_(  # noqa: PLR0913 - what a list is made of, by name
    connection: Connection,
    actor: Actor,
    wanted: Filter | None = None,
    *,
    sort: Sort = Sort.CREATED,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return tasks that the actor sees, at most `limit`, and where the list goes on. Raises InvalidFieldError."""
    wanted = wanted or Filter()
    after = _place(cursor, sort)
    words = None if wanted.search is None else _query(wanted.search)
    if words == "":
        return Page([], None)
    # a plan for any filters at all would read all of a person's tasks
    await connection.execute("select set_config('plan_cache_mode', 'force_custom_plan', true)")
    found = await connection.fetch(
        _lists[sort],
        *(actor.tenant_id, actor.user_id, wanted.completed, wanted.status),
        *(None if wanted.priority is None else _RANKS[wanted.priority], wanted.label, words),
        *(wanted.due_from, wanted.due_before, wanted.assignee_id),
        *((None, None) if wanted.link is None else (wanted.link.type, wanted.link.id)),
        *(limit + 1, after[0]),
        *(() if sort is Sort.CREATED else (_typed(after[1], sort),)),
    )
    ids = [row["task_id"] for row in found[:limit]]
    tasks = await rows.with_links(
        connection, actor.tenant_id, await connection.fetch(_sql["some"], actor.tenant_id, ids)
    )
    last = found[limit - 1] if len(found) > limit else None
    return Page(tasks, None if last is None else _cursor(sort, last["task_id"], last["place"]))


def _query(text: str) -> str:
    """Return what to look for, as to_tsquery takes it: all words, each as the beginning of one."""
    return " & ".join(f"'{word}':*" for word in _WORD.findall(clean(text))[:_MOST_WORDS])


def _cursor(sort: Sort, task_id: int, place: str) -> str:
    return base64.urlsafe_b64encode(f"{sort}|{task_id}|{place}".encode()).decode().rstrip("=")


def _place(cursor: str | None, sort: Sort) -> tuple[int | None, str | None]:
    """Return the task after which a list goes on, and its place. Raises InvalidFieldError."""
    if cursor is None:
        return None, None
    try:
        word, id_, place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split("|")
        task_id = int(id_)
    except ValueError:
        word, task_id, place = "", 0, ""
    if word != sort or not 0 < task_id < 2**31 or _PLACE.fullmatch(place) is None:
        raise InvalidFieldError("cursor must be the next_cursor of a list in the same order.", field="cursor")
    return task_id, place


def _typed(place: str | None, sort: Sort) -> int | str | None:
    return int(place) if place is not None and sort is Sort.PRIORITY else place
