"""Around every request: id, log line, security headers, HEAD, OPTIONS and ETags; bodies, read strictly."""

from __future__ import annotations

import logging
import re
import time
from typing import Any, NoReturn, TypeVar
from uuid import uuid4

import msgspec
from litestar import Litestar, Request, Response
from litestar.datastructures import MutableScopeHeaders
from litestar.middleware import ASGIMiddleware
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.exceptions import InvalidError, UnsupportedMediaError
from app.logs import request_id
from app.preconditions import CONDITIONAL, ETAG, etag_of, is_unmodified

logger = logging.getLogger("app.access")

Body = TypeVar("Body")
JSON = "application/json"
HEADER = b"x-request-id"
ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
IDENTITY = re.compile(r"[0-9]{1,19}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ID_MAX = 36  # characters of a UUID
# Keys of the scope's state.
ENTERED = "tridesk.context"
CONTENT = "tridesk.content"  # what the handler returned
ANSWER = "tridesk.answer"  # the same as it will be sent
LONGEST_FIELD = 200  # characters of a field's path in an answer
MISSING = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*?)`", re.DOTALL)
# msgspec quotes the value that is not one of an enum's; nothing of the request is echoed but field names.
QUOTED_VALUE = re.compile(r"Invalid (enum )?value .*", re.DOTALL)
QUOTED_PATTERN = re.compile(r"Expected `str` matching regex .*", re.DOTALL)


class RequestContextMiddleware(ASGIMiddleware):
    """Takes the caller's ``X-Request-ID`` or makes one, returns it, and logs a line without body or query.

    Wraps the whole app (``wrap_in_context``), so that it also sees what no route has. There HEAD becomes
    GET, which the framework does not offer by itself; the server sends no body in answer to a HEAD.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap the request, unless it has been wrapped further out."""
        if ENTERED in scope["state"]:
            await next_app(scope, receive, send)
            return
        scope["state"][ENTERED] = True
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        identity = given.decode() if ACCEPTABLE.fullmatch(given) else uuid4().hex
        token = request_id.set(identity)
        started = time.perf_counter()
        exchange = _Exchange(scope, receive, send, identity)
        try:
            await next_app(exchange.inner_scope, exchange.receive, exchange.send)
            await exchange.end()
        finally:
            _log(exchange.inner_scope, scope.get("method"), exchange.status, time.perf_counter() - started)
            request_id.reset(token)


class _Exchange:
    """One response on its way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        self.status = 500
        self._is_head = scope.get("method") == "HEAD"
        self._is_complete = False
        self._receive = _without_reader() if self._is_head else receive
        self._send = send
        self._identity = identity
        self.inner_scope: Any = {**scope, "method": "GET"} if self._is_head else scope

    async def receive(self) -> Any:
        """What the client sends."""
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass the message on, with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableScopeHeaders.from_message(message)
            headers["X-Request-ID"] = self._identity
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if "allow" in headers:
                methods = set(headers["allow"].split(", "))
                headers["Allow"] = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
        elif message["type"] == "http.response.body":
            self._is_complete = not message.get("more_body", False)
        await self._send(message)

    async def end(self) -> None:
        """Of a HEAD: what a stream whose reader seems to have left does not say."""
        if self._is_head and not self._is_complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _without_reader() -> Receive:
    """Of a HEAD: no body comes and nobody reads one, so that a stream ends as soon as it has begun."""
    messages: Any = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    return receive


class OptionsMiddleware(ASGIMiddleware):
    """Answers OPTIONS with the methods of the address, to anybody.

    The framework's own answer forgets methods where several handlers share a path, and stands behind the
    guards.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """204 and ``Allow``, in place of the route's own answer."""
        if scope.get("method") != "OPTIONS":
            await next_app(scope, receive, send)
            return
        template = scope["path_template"]
        routes = [each for each in scope["litestar_app"].routes if isinstance(each, HTTPRoute)]
        methods = {
            method for each in routes if (each.path_format or "/") == template for method in each.methods
        }
        response = ASGIResponse(status_code=204, headers={"Allow": ", ".join(sorted(methods))})
        await response(scope, receive, send)


async def finish(response: Any) -> Any:
    """After every handler, while its session is still open: see ``_Finished``. Whole ASGI apps pass."""
    return _Finished(response) if isinstance(response, Response) else response


class _Finished:
    """A response that gets its ETag as it is encoded, and is noted for whoever keeps answers.

    The framework's hook sees a response before it is encoded, and not its request; encoding sees both.
    """

    def __init__(self, response: Response[Any]) -> None:
        self._response = response

    def to_asgi_response(self, *, request: Request[Any, Any, Any], **options: Any) -> ASGIApp:
        """304 for a reader who has this version already; otherwise the answer."""
        content = self._response.content
        tag = etag_of(content) if request.route_handler.opt.get(ETAG, True) else None
        if tag is not None:
            self._response.headers.setdefault("ETag", tag)
            is_conditional = request.method == "GET" and request.route_handler.opt.get(CONDITIONAL, True)
            if is_conditional and is_unmodified(request, tag):
                return ASGIResponse(status_code=304, headers={"ETag": tag})
        answer = self._response.to_asgi_response(request=request, **options)
        request.scope["state"][CONTENT] = content
        request.scope["state"][ANSWER] = answer
        return answer


def wrap_in_context(app: Litestar) -> None:
    """Put the context around the router, as the app starts: no route's own middleware sees a 404 or 405."""
    app.asgi_handler = RequestContextMiddleware()(app.asgi_handler)


def _log(scope: Any, method: object, status: int, seconds: float) -> None:
    fields: dict[str, Any] = {
        "method": method,
        "path": path_without_secrets(scope["path"], scope.get("path_template")),
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
    }
    level = logging.DEBUG if scope["path"].startswith("/health/") else logging.INFO
    logger.log(level, "%(method)s %(path)s %(status)s %(milliseconds)s ms", fields, extra=fields)


def path_without_secrets(path: str, template: str | None) -> str:
    """The path as the log may keep it: what the route calls a parameter by its name, unless it is an id.

    Tokens in paths are as good as passwords. At an address without a route, which may be a mistyped one with
    a token, whatever is longer than an id is left out.
    """
    given = path.split("/")
    if template is None:
        return "/".join(each if len(each) <= ID_MAX else "…" for each in given)
    known = template.split("/")
    if len(known) != len(given):  # a trailing slash, or a parameter with slashes in it
        return template
    return "/".join(
        name if name.startswith("{") and not IDENTITY.fullmatch(each) else each
        for name, each in zip(known, given, strict=True)
    )


class JSONRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded straight into the type that the handler asks for.

    The framework's way takes any content type, converts "5" to 5, and loses the place of an error.
    """

    async def json(self) -> Any:
        """The handler's ``data``; see ``decode_body`` for the errors."""
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        return decode_body(await self.body(), self.content_type[0], Any if field is None else field.raw)


def decode_body(body: bytes, content_type: str, kind: type[Body]) -> Body:
    """A JSON body as ``kind``.

    ``UnsupportedMediaError`` for another content type; ``InvalidError``, with the path of the field, for what
    does not fit, is not UTF-8, holds NUL (which Postgres cannot store) or is nested too deep to read.
    """
    if content_type != JSON and not (
        content_type.startswith("application/") and content_type.endswith("+json")
    ):
        raise UnsupportedMediaError(f"Send {JSON}.")
    try:
        decoded = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        refuse_field(*field_and_message(error))
    except (msgspec.DecodeError, UnicodeDecodeError):
        refuse_field("body", "Malformed JSON")
    except RecursionError:
        refuse_field("body", "Nested too deep")
    if rb"\u0000" in body and (place := _place_of_nul(msgspec.json.decode(body), "")):
        refuse_field(place, "Contains the NUL character")
    return decoded


async def decode_form(request: Request[Any, Any, Any], kind: type[Body]) -> Body:
    """A multipart form as ``kind``, its texts converted; an empty field counts as left out.

    Errors as those of ``decode_body``.
    """
    try:
        form = await request.form()
    except (UnicodeDecodeError, LookupError):
        refuse_field("body", "A field is not in the character set that it names")
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in fields:
            refuse_field(name[:LONGEST_FIELD], "Given more than once")
        if isinstance(value, str) and "\0" in value:
            refuse_field(name[:LONGEST_FIELD], "Contains the NUL character")
        if value != "":
            fields[name] = value
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        refuse_field(*field_and_message(error))


def field_and_message(error: msgspec.ValidationError) -> tuple[str, str]:
    """Where in the body, as ``filters.as_of`` or ``collections[2]``, and what is wrong there."""
    message, _, place = str(error).partition(" - at `$")
    path = place.removesuffix("`").lstrip(".")
    if named := MISSING.match(message):
        path = f"{path}.{named['name']}" if path else named["name"]
        message = "Unknown field" if "unknown" in named[0] else "Required"
    return path[:LONGEST_FIELD] or "body", plain_words(message)


def plain_words(message: str) -> str:
    """What msgspec says of a field, without the value that came and without a pattern that nobody reads."""
    message = QUOTED_VALUE.sub("Not one of the allowed values", message)
    return QUOTED_PATTERN.sub("Has characters or a form that are not allowed here", message)


def refuse_field(field: str, message: str) -> NoReturn:
    """Raise the ``InvalidError`` of one field."""
    raise InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}]) from None


def _place_of_nul(node: Any, path: str) -> str | None:
    if isinstance(node, str):
        return path or "body" if "\0" in node else None
    children: list[tuple[str, Any]] = []
    if isinstance(node, dict):
        children = [(f"{path}.{key}".lstrip(".").replace("\0", ""), each) for key, each in node.items()]
        if any("\0" in key for key in node):
            return path or "body"
    elif isinstance(node, list):
        children = [(f"{path}[{index}]", each) for index, each in enumerate(node)]
    return next((place for key, each in children if (place := _place_of_nul(each, key))), None)
