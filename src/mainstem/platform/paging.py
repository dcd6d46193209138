"""Pages of lists: `page` and `page_size`, or `limit` and `offset`, one answer shape for both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 500
MAX_PAGE = 1_000_000
MAX_OFFSET = MAX_PAGE * MAX_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Paging:
    """Which rows to read: at most `limit` after the first `offset`."""

    limit: int
    offset: int

    def answer(self, items: Sequence[object], total: int) -> dict[str, object]:
        """Return `{items, total, page, page_size, pages}`; an empty list has one page."""
        return {
            "items": list(items),
            "total": total,
            "page": self.offset // self.limit + 1,
            "page_size": self.limit,
            "pages": max(1, -(-total // self.limit)),
        }


def paging(
    page: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Page, from 1.")] = 1,
    page_size: Annotated[int | None, Query(ge=1, le=MAX_PAGE_SIZE, description="Rows of a page (20).")] = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_PAGE_SIZE, description="The same as page_size.")] = None,
    offset: Annotated[int | None, Query(ge=0, le=MAX_OFFSET, description="Rows to skip; beats page.")] = None,
) -> Paging:
    """Return the rows that the query parameters ask for; `page_size` beats `limit`, `offset` beats `page`."""
    size = page_size or limit or DEFAULT_PAGE_SIZE
    return Paging(limit=size, offset=(page - 1) * size if offset is None else offset)


PageQuery = Annotated[Paging, Depends(paging)]
"""The parameter type of a list route: `async def list_webhooks(page: PageQuery)`."""
