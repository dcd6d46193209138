"""The documentation pages, from our own server: they also work where no other server can be reached."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from mainstem.platform.errors import MainstemError
from mainstem.platform.refusal_codes import MEANINGS

_ASSETS: Final = "/docs/assets"
_ERRORS_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors of Mainstem</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
dt {{ margin-top: 1rem }}
dt:target code {{ background: #fd6 }}
</style>
</head>
<body>
<h1>Errors</h1>
<p>Every error carries its <code>code</code>, a sentence in <code>detail</code>, and the <code>request_id</code> to
quote when asking for help. <a href="/docs">API documentation</a></p>
<dl>
{kinds}
</dl>
<h2>Codes of single events</h2>
<dl>
{refusals}
</dl>
</body>
</html>
"""


def install(api: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, and at `/docs/errors` what the `type` of an error points to.

    The assets are those that the package fastapi-offline carries.
    """

    @api.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Mainstem API",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url="data:,",
            swagger_ui_parameters={
                "docExpansion": "list",
                "defaultModelsExpandDepth": 0,
                "displayRequestDuration": True,
            },
        )

    @api.get("/docs/errors", include_in_schema=False)
    async def errors() -> HTMLResponse:
        return HTMLResponse(_errors_page())

    api.mount(_ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline"))) / "static"), name="docs-assets")


def _errors_page() -> str:
    kinds = sorted(set(_kinds(MainstemError)))
    told = {code for _, code, _ in kinds}
    return _ERRORS_PAGE.format(
        kinds="\n".join(_entry(code, f"{status}. {title}") for status, code, title in kinds),
        refusals="\n".join(_entry(code, meaning) for code, meaning in MEANINGS.items() if code not in told),
    )


def _kinds(kind: type[MainstemError]) -> Iterator[tuple[int, str, str]]:
    """Yield status, code and title of the kinds of errors; those that share a code stand under the general one."""
    yield kind.status, kind.code, kind.title()
    for narrower in kind.__subclasses__():
        for found in _kinds(narrower):
            if found[1] != kind.code:
                yield found


def _entry(code: str, meaning: str) -> str:
    return f'<dt id="{escape(code)}"><code>{escape(code)}</code></dt>\n<dd>{escape(meaning.replace("`", ""))}</dd>'
