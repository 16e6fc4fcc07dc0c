"""Macros and views of one's own, for the export and the erasure of a member of the staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.technical.models import Macro, TicketView

OWN = (
    ("macros", "macro", Macro, (Macro.id, Macro.name, Macro.description, Macro.body, Macro.created_at)),
    ("views", "ticket_view", TicketView, (TicketView.id, TicketView.name, TicketView.created_at)),
)


async def export(session: AsyncSession, person_id: UUID) -> dict[str, Sequence[Mapping[str, Any]]]:
    """What they made for themselves, by its kind."""
    told: dict[str, Sequence[Mapping[str, Any]]] = {}
    for kind, _, model, shown in OWN:
        found = await session.execute(select(*shown).where(model.owner_id == person_id).order_by(model.id))
        told[kind] = [msgspec.to_builtins(dict(row)) for row in found.mappings()]
    return told


async def erase(session: AsyncSession, person_id: UUID) -> dict[str, int]:
    """Delete what they made for themselves, and what events tell of it; how much of each kind."""
    gone = {}
    for kind, name, model, _ in OWN:
        deleted = delete(model).where(model.owner_id == person_id).returning(model.id)
        ids = (await session.scalars(deleted)).all()
        for each in ids:
            await events.forget(session, Subject(name, each))
        gone[kind] = len(ids)
    return gone
