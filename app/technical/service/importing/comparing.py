"""What a row says against what is here: the columns of a new ticket, or those that are to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.models import Event
from app.technical.constants import SUBJECT_TYPE, Priority, Status
from app.technical.importing.incoming import IncomingTicket
from app.technical.models import Ticket

IMPORTED = "ticket.imported"
OVER = frozenset({Status.solved, Status.closed})
NEW: Mapping[str, Any] = {
    "status": Status.new,
    "priority": Priority.normal,
    "description": "",
    "tags": [],
    "custom": {},
}
NULLS = ("severity", "product", "component", "product_version", "environment")


def new_columns(incoming: IncomingTicket, values: Mapping[str, Any]) -> dict[str, Any]:
    """All columns of a new ticket that a row decides on."""
    told = {name: value for name, value in values.items() if value is not None}
    columns: dict[str, Any] = {**dict.fromkeys(NULLS), **NEW, **told}
    return columns | _times(incoming, Status(columns["status"]))


def differences(incoming: IncomingTicket, here: Ticket, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the row gives and that are others than those that are here."""
    told = {name: value for name, value in values.items() if _is_told(name, incoming.given)}
    if told.get("custom"):
        told["custom"] = here.custom | told["custom"]
    if not told.get("description"):
        told.pop("description", None)
    if told.get("requester_id") is None and here.requester_id is not None:
        told.pop("requester_id", None)
    changed = {name: value for name, value in told.items() if getattr(here, name) != value}
    if "status" in changed:
        times = _times(incoming, Status(changed["status"]))
        times["first_solved_at"] = here.first_solved_at or times["first_solved_at"]
        changed |= {name: value for name, value in times.items() if name != "updated_at"}
    else:
        changed = {name: value for name, value in changed.items() if name not in {"solved_at", "closed_at"}}
    return changed


async def changed_here(session: AsyncSession, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tickets that anything but an import has changed."""
    statement = select(Event.subject_id).where(
        Event.subject_type == SUBJECT_TYPE,
        Event.subject_id.in_(ids),
        Event.type.startswith("ticket.", autoescape=True),
        Event.type != IMPORTED,
        Event.after.has_key("version"),
    )
    return set(await session.scalars(statement.distinct()))


def _times(incoming: IncomingTicket, status: Status) -> dict[str, Any]:
    """When it was solved and closed, if it is; as far as nothing is told, when it was last touched."""
    told = incoming.values
    last = max([incoming.created_at, *(each.created_at for each in incoming.messages)])
    touched = max(told.get("updated_at") or last, incoming.created_at)
    solved = closed = None
    if status in OVER:
        solved = max(told.get("solved_at") or told.get("closed_at") or touched, incoming.created_at)
    if status is Status.closed:
        closed = max(told.get("closed_at") or touched, solved or touched)
    return {
        "solved_at": solved,
        "first_solved_at": solved,
        "closed_at": closed,
        "status_changed_at": closed or solved or touched,
        "updated_at": closed or touched,
    }


def _is_told(name: str, given: frozenset[str]) -> bool:
    """Whether a row that gives these fields speaks of this column."""
    if name.endswith("_id"):
        stem = name.removesuffix("_id")
        return any(each == stem or each.startswith(f"{stem}_") for each in given)
    if name == "custom":
        return True
    return name in given
