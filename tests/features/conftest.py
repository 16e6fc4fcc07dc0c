"""Makers of the features desk's tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from app.database import Database
from app.matching import Vectors
from app.rag.runtime import Rag
from tests.callers import MakeCaller

MakeBoard = Callable[..., Awaitable[dict[str, Any]]]
MakeRequest = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def board(caller: MakeCaller) -> MakeBoard:
    """``await board(visibility="public")`` is a new board, as a lead made it."""

    async def make(**given: Any) -> dict[str, Any]:
        lead = await caller("lead")
        values = {"slug": f"board-{uuid4()}", "name": "A board"} | given
        response = await lead.client.post("/v1/features/boards", json=values)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    return make


@pytest.fixture
def request_of(board: MakeBoard) -> MakeRequest:
    """``await request_of(caller, title=…)`` is a new request, on a board of its own unless given."""

    async def make(who: Any, **given: Any) -> dict[str, Any]:
        values = {"title": f"Something {uuid4()}", "on_duplicate": "create"} | given
        if "board_id" not in values:
            values["board_id"] = (await board())["id"]
        response = await who.client.post("/v1/features/requests", json=values)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    return make


@pytest.fixture
def word() -> str:
    """A word of this test alone: the database has other tests' requests."""
    return f"zq{uuid4().hex[:10]}"


@pytest.fixture
def embedded(database: Database, rag: Rag) -> Callable[[], Awaitable[int]]:
    """``await embedded()``: every request has its vector, as the worker's job sees to."""
    return Vectors(database, rag.embeds).sweep
