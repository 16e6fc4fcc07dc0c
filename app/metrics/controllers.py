"""The route that monitoring reads."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Role
from app.identity.guards import require
from app.metrics.registry import Metrics


@get("/metrics", operation_id="get_metrics", guards=[require(Role.admin)], include_in_schema=False)
async def get_metrics(
    request: Request[Any, Any, Any], session: NamedDependency[AsyncSession], state: State
) -> Response[bytes]:
    """Figures of this process, and of the queue, as Prometheus reads them. Admins only.

    Not in the published document: its form is Prometheus' own, and a generated client has no use for it.
    """
    metrics: Metrics = state.metrics
    accept = request.headers.get("accept", "")
    text, content_type = await metrics.render(session, state.database, accept)
    # The framework puts the charset behind every text type, so that it would be there twice.
    media_type = (
        content_type.removesuffix("; charset=utf-8") if content_type.startswith("text/") else content_type
    )
    return Response(text, media_type=media_type, headers={"Cache-Control": "no-store"})
