"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Router, get
from litestar.datastructures import State

from app.database import Database
from app.exceptions import DatabaseUnavailableError, UnavailableError


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """All is well."""

    status: Literal["ok"] = "ok"


@get("/live", operation_id="get_liveness", summary="Liveness", opt={"public": True}, tags=["health"])
async def live() -> Health:
    """The process answers; asks nothing of the database."""
    return Health()


@get("/ready", operation_id="get_readiness", summary="Readiness", opt={"public": True}, tags=["health"])
async def ready(state: State) -> Health:
    """The database answers and the models are loaded; 503 otherwise, and green again by itself."""
    database: Database = state.database
    if state.get("draining"):
        raise UnavailableError("The server is stopping.")
    try:
        await database.ping()
    except DatabaseUnavailableError:
        raise DatabaseUnavailableError("The database does not answer.", retry_after=5) from None
    if state.get("rag") is None:
        raise UnavailableError("The models are not loaded yet.", retry_after=2)
    return Health()


router = Router(path="/health", route_handlers=[live, ready])
