"""Query parameters: only those that the published document names, each once, in clean text."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from app.exceptions import InvalidError
from app.openapi.plugin import OpenAPIPlugin

SHOWN = 100  # characters of an unknown parameter's name in the answer


async def reject_unknown_query(request: Request[Any, Any, Any]) -> None:
    """Before every handler: ``InvalidError`` for a parameter that the operation does not have.

    A misspelt filter would otherwise answer with everything. Also for one that comes twice (unless it is a
    list), and for bytes that are not UTF-8 or hold NUL, which the framework would replace and Postgres
    refuse. Routes outside the document, such as the pages, take any query.
    """
    query: bytes = request.scope.get("query_string", b"")
    handler = request.route_handler
    if not query or not isinstance(handler, HTTPRouteHandler) or not isinstance(handler.operation_id, str):
        return
    known = request.app.plugins.get(OpenAPIPlugin).query_parameters(request.app, handler.operation_id)
    seen: set[str] = set()
    for pair in query.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        field = _text(name, field="query")
        _text(value, field=field)
        if field not in known:
            _refuse(field, "Unknown query parameter")
        if field in seen and not known[field]:
            _refuse(field, "Given more than once")
        seen.add(field)


def _text(raw: bytes, *, field: str) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        _refuse(field, "Not UTF-8")
    if "\0" in text:
        _refuse(field, "Contains the NUL character")
    return text


def _refuse(field: str, message: str) -> None:
    shown = field[:SHOWN]
    raise InvalidError(f"{shown}: {message}", errors=[{"field": shown, "message": message}])
