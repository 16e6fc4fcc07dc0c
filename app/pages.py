"""The first page and the API documentation: from our own origin, with a strict content security policy."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.types import ControllerRouterHandler

from app.config import Settings

AnyRequest = Request[Any, Any, Any]
TEMPLATES = Path(__file__).parent / "templates"
SWAGGER_UI = files("mkdocs_swagger_ui_tag") / "swagger-ui"
EXAMPLES_BLOCK = '<script type="application/json" id="examples">[]</script>'
DAY = "public, max-age=86400"
PUBLIC = {"public": True}


def page_routes(settings: Settings) -> list[ControllerRouterHandler]:
    """Handlers of ``/``, ``/schema`` and the documentation's two assets; all open without a key."""
    index = _Page(
        _with_examples((TEMPLATES / "index.html").read_text(encoding="utf-8"), example_questions(settings))
    )
    schema = _Page((TEMPLATES / "schema.html").read_text(encoding="utf-8"), own_assets=True)

    @get("/", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def show_index(request: AnyRequest) -> Response[bytes]:
        return index.file.respond(request)

    @get("/schema", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def show_schema(request: AnyRequest) -> Response[bytes]:
        return schema.file.respond(request)

    @get("/schema/assets/swagger-ui-bundle.js", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def swagger_script(request: AnyRequest) -> Response[bytes]:
        return _asset("javascripts/swagger-ui-bundle.js", "text/javascript").respond(request)

    @get("/schema/assets/swagger-ui.css", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
    def swagger_style(request: AnyRequest) -> Response[bytes]:
        return _asset("stylesheets/swagger-ui.css", "text/css").respond(request)

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
        origin = "'self' " if own_assets else ""
        styles, scripts = (_hashes(html, tag) for tag in ("style", "script"))
        policy = (
            f"default-src 'none'; style-src {origin}{styles}; script-src {origin}{scripts}; "
            "connect-src 'self'; img-src data: 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self.file = _File(
            html.encode(), MediaType.HTML, {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        )


class _File:
    """Bytes that do not change while the process lives: tagged, and compressed once.

    Nothing else is compressed here: an event stream must not wait in a compressor's buffer, and a proxy in
    front compresses JSON better.
    """

    def __init__(self, content: bytes, media_type: str, headers: dict[str, str]) -> None:
        self._plain = content
        self._gzipped = gzip.compress(content, mtime=0)
        self._media_type = media_type
        digest = hashlib.sha256(content).hexdigest()[:32]
        # Weak: the plain and the compressed bytes share it (RFC 9110, section 8.8.1).
        self._headers = {**headers, "ETag": f'W/"{digest}"', "Vary": "Accept-Encoding"}

    def respond(self, request: AnyRequest) -> Response[bytes]:
        """The bytes, or 304 when the caller has them already."""
        known = request.headers.get("if-none-match", "")
        if known.strip() == "*" or self._headers["ETag"].removeprefix("W/") in known:
            return Response(b"", status_code=304, headers=self._headers)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            headers = {**self._headers, "Content-Encoding": "gzip"}
            return Response(self._gzipped, media_type=self._media_type, headers=headers)
        return Response(self._plain, media_type=self._media_type, headers=self._headers)


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _hashes(html: str, tag: str) -> str:
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _with_examples(html: str, questions: list[str]) -> str:
    data = json.dumps(questions).replace("<", "\\u003c")
    return html.replace(EXAMPLES_BLOCK, EXAMPLES_BLOCK.replace("[]", data))


@cache
def _asset(name: str, media_type: str) -> _File:
    return _File(SWAGGER_UI.joinpath(name).read_bytes(), media_type, {"Cache-Control": DAY})
