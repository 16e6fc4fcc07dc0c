"""Tickets and fields of the desk's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.callers import Caller, MakeCaller

OpenTicket = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def open_ticket() -> OpenTicket:
    """``await open_ticket(customer, subject="…")``: made over HTTP by this caller."""

    async def make(by: Caller, **fields: Any) -> dict[str, Any]:
        body = {"subject": "Export fails", "description": "It stops with error 504."} | fields
        response = await by.client.post("/v1/technical/tickets", json=body)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    return make


@pytest.fixture
async def admin(caller: MakeCaller) -> Caller:
    """A new admin."""
    return await caller("admin")


@pytest.fixture
async def field(admin: Caller) -> AsyncIterator[Callable[..., Awaitable[dict[str, Any]]]]:
    """``await field("number", required_on="create")``: archived when the test ends, for other tests."""
    path, made = "/v1/technical/fields", []

    async def make(kind: str = "text", **fields: Any) -> dict[str, Any]:
        body = {"key": f"f_{uuid4().hex}", "label": "A field", "type": kind} | fields
        response = await admin.client.post(path, json=body)
        assert response.status_code == 201, response.text
        made.append(response.json())
        return made[-1]

    yield make
    for each in made:
        await admin.client.patch(f"{path}/{each['id']}", json={"archived": True})
