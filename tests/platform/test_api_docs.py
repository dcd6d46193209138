"""The documentation pages: what the `type` of an error points to is there."""

import httpx
import pytest
from fastapi import FastAPI

from mainstem.platform import api_docs
from mainstem.platform.errors import ForbiddenError, InvalidFieldError, MainstemError
from mainstem.platform.problems import problem


@pytest.fixture
async def page() -> str:
    """Return the page of errors."""
    api = FastAPI(docs_url=None, redoc_url=None)
    api_docs.install(api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        answer = await client.get("/docs/errors")
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("error", [MainstemError(), ForbiddenError(), InvalidFieldError(code="missing_field")])
def test_every_type_has_its_place(page: str, error: MainstemError) -> None:
    address, _, anchor = str(problem(error, "r")["type"]).partition("#")
    assert address == "/docs/errors"
    assert page.count(f'id="{anchor}"') == 1


def test_every_code_is_told_once(page: str) -> None:
    anchors = [line.split('"')[1] for line in page.splitlines() if line.startswith("<dt id=")]
    assert len(anchors) == len(set(anchors)) > 20
