"""The state of a ticket as its row has it, and as its events tell it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from app.database import Database
from app.technical.models import Ticket
from app.technical.service.changes import STATE, text_hash


def plain(value: Any) -> Any:
    """As JSON has it."""
    return json.loads(msgspec.json.encode(value))


async def state_of(database: Database, ticket_id: UUID | str) -> dict[str, Any]:
    """The members of ``STATE`` in the row; of the description its hash."""
    async with database.session() as session:
        row = await session.get_one(Ticket, UUID(str(ticket_id)))
        state = {name: getattr(row, name) for name in STATE}
    return plain(state | {"description": text_hash(state["description"])})


async def rebuild(database: Database, ticket_id: UUID | str) -> dict[int, dict[str, Any]]:
    """The state at every version, folded from the ticket's own events alone.

    ``AssertionError`` when a version is told twice, or a ``before`` is not what was there.
    """
    statement = text(
        "select type, before, after from event where subject_type = 'ticket' and subject_id = :id"
        " and type like 'ticket.%' and after ? 'version' order by CAST(after->>'version' AS int)"
    )
    async with database.session() as session:
        events = (await session.execute(statement, {"id": UUID(str(ticket_id))})).all()
    states: dict[int, dict[str, Any]] = {}
    state: dict[str, Any] = {}
    for kind, before, after in events:
        assert after["version"] not in states, f"{kind} tells version {after['version']} again"
        for name, value in (before or {}).items():
            assert state[name] == value, f"{kind}: {name} was {state[name]}, not {value}"
        state = state | {name: value for name, value in after.items() if name in STATE}
        states[after["version"]] = state
    return states
