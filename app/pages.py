"""The first page and the API documentation: served from our own origin, with a strict content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

from litestar import MediaType, Response, get
from litestar.types import ControllerRouterHandler

from app.config import Settings

TEMPLATES = Path(__file__).parent / "templates"
SWAGGER_UI = files("mkdocs_swagger_ui_tag") / "swagger-ui"
EXAMPLES_BLOCK = '<script type="application/json" id="examples">[]</script>'
DAY = "public, max-age=86400"
PUBLIC = {"public": True}


def page_routes(settings: Settings) -> list[ControllerRouterHandler]:
    """Handlers of ``/``, ``/schema`` and the documentation's two assets; all open without a key."""
    index = _Page(_with_examples((TEMPLATES / "index.html").read_text(encoding="utf-8"), example_questions(settings)))
    schema = _Page((TEMPLATES / "schema.html").read_text(encoding="utf-8"), own_assets=True)

    @get("/", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML)
    async def show_index() -> Response[str]:
        return index.response()

    @get("/schema", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML)
    async def show_schema() -> Response[str]:
        return schema.response()

    @get("/schema/assets/swagger-ui-bundle.js", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def swagger_script() -> Response[bytes]:
        return _asset("javascripts/swagger-ui-bundle.js", "text/javascript")

    @get("/schema/assets/swagger-ui.css", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def swagger_style() -> Response[bytes]:
        return _asset("stylesheets/swagger-ui.css", "text/css")

    return [show_index, show_schema, swagger_script, swagger_style]


def example_questions(settings: Settings) -> list[str]:
    """Questions that the first page offers: the sample company's, while it is what one asks here."""
    if settings.sample_company is False:
        return []
    company = Path(__file__).parent.parent / "db" / "seeds" / "company.json"
    if not company.exists():
        return []
    return list(json.loads(company.read_text(encoding="utf-8"))["example_questions"])


class _Page:
    """A page whose policy allows its own inline style and script, by hash, and nothing else."""

    def __init__(self, html: str, *, own_assets: bool = False) -> None:
        self._html = html
        origin = "'self' " if own_assets else ""
        styles, scripts = (_hashes(html, tag) for tag in ("style", "script"))
        self._policy = (
            f"default-src 'none'; style-src {origin}{styles}; script-src {origin}{scripts}; connect-src 'self'; "
            "img-src data: 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def response(self) -> Response[str]:
        """The page."""
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"}
        return Response(self._html, media_type=MediaType.HTML, headers=headers)


def _hashes(html: str, tag: str) -> str:
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _with_examples(html: str, questions: list[str]) -> str:
    data = json.dumps(questions).replace("<", "\\u003c")
    return html.replace(EXAMPLES_BLOCK, EXAMPLES_BLOCK.replace("[]", data))


def _asset(name: str, media_type: str) -> Response[bytes]:
    content = SWAGGER_UI.joinpath(name).read_bytes()
    return Response(content, media_type=media_type, headers={"Cache-Control": DAY})
