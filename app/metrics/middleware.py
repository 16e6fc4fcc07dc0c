"""Counting requests: around the router, so that what no route has is counted, too."""

from __future__ import annotations

import time
from typing import Any

from litestar import Litestar
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics.registry import Metrics

UNMATCHED = "unmatched"  # the route of a 404 and of a 405: an address from outside is no label
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "OTHER"


class RequestCounter:
    """Observes method, route template, status and duration of every request; no address, no query."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it when its answer has ended; one that broke off is a 500."""
        known: Any = scope
        if known["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            method = known["method"] if known["method"] in METHODS else OTHER
            route = known.get("path_template") or UNMATCHED
            self._metrics.observe_request(method, route, status, time.perf_counter() - began)


def count_requests(app: Litestar) -> None:
    """Once an app, as it is made: no route's own middleware sees a 404 or 405."""
    app.asgi_handler = RequestCounter(app.asgi_handler, app.state.metrics)
