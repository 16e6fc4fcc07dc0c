"""Providers of the rag room."""

from __future__ import annotations

from litestar.datastructures import State

from app.database import Database
from app.exceptions import UnavailableError
from app.rag.runtime import Rag


async def provide_rag(state: State) -> Rag:
    """The room's running parts, made when the process started."""
    rag = state.get("rag")
    if not isinstance(rag, Rag):
        raise UnavailableError("The server is still starting.", retry_after=2)
    return rag


async def provide_database(state: State) -> Database:
    """The database itself, for handlers that stream: they open their own short sessions."""
    database: Database = state.database
    return database
