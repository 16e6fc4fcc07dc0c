"""What happens around every request: an id, one log line, security headers."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from uuid import uuid4

from litestar.datastructures import MutableScopeHeaders
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_id

logger = logging.getLogger("app.access")

HEADER = b"x-request-id"
ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestContextMiddleware(ASGIMiddleware):
    """Takes the caller's ``X-Request-ID`` or makes one, returns it, and logs a line without body or query."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Wrap the request."""
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        identity = given.decode() if ACCEPTABLE.fullmatch(given) else uuid4().hex
        token = request_id.set(identity)
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers["X-Request-ID"] = identity
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await next_app(scope, receive, send_with_headers)
        finally:
            _log(scope, status, time.perf_counter() - started)
            request_id.reset(token)


def _log(scope: Scope, status: int, seconds: float) -> None:
    fields: dict[str, Any] = {
        "method": scope.get("method"),
        "path": scope["path"],
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
    }
    level = logging.DEBUG if scope["path"].startswith("/health/") else logging.INFO
    logger.log(level, "%(method)s %(path)s %(status)s %(milliseconds)s ms", fields, extra=fields)
