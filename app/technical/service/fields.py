"""Custom fields: defined by admins, archived rather than deleted while there are values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.identity.utils import clean_text
from app.listing import Listed, Listing, any_of, matching
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.technical.constants import FIELDS_MAX, NAME_MAX, FieldType
from app.technical.exceptions import (
    FieldExistsError,
    FieldInUseError,
    FieldNotFoundError,
    InvalidDefinitionError,
)
from app.technical.models import Macro, Ticket, TicketField, TicketView
from app.technical.service.configuring import Configured

CONFIGURED = Configured(
    model=TicketField,
    name="ticket_field",
    told=(
        *("key", "label", "description", "type", "options", "required_on", "visible_to_customers"),
        *("editable_by_customers", "position", "archived"),
    ),
    missing=FieldNotFoundError,
    maximum=FIELDS_MAX,
)
FIELDS = Listing(
    TicketField,
    sorts={
        "position": TicketField.position,
        "created_at": TicketField.created_at,
        "key": TicketField.key,
        "label": TicketField.label,
    },
    default="position",
)
CHOICES = frozenset({FieldType.select, FieldType.multiselect})


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> TicketField:
    """A new field. ``InvalidDefinitionError``, ``FieldExistsError``, ``LimitReachedError``."""
    values = _cleaned(given)
    _check(values)
    row = await CONFIGURED.create(session, values, actor=actor)
    if row is None:
        raise FieldExistsError("Another field has this key.")
    return row


async def get(session: AsyncSession, field_id: UUID, *, principal: Principal) -> TicketField:
    """The field; ``FieldNotFoundError`` also for customers who may not see it."""
    return await CONFIGURED.get(session, field_id, *_seen_by(principal))


async def list_page(
    session: AsyncSession,
    *,
    principal: Principal,
    q: str | None,
    types: Sequence[FieldType] | None,
    archived: bool | None,
    limit: int,
    sort: str | None,
    cursor: str | None,
    total: bool,
) -> Listed[TicketField]:
    """One page, by position unless sorted otherwise. Customers list what they may see."""
    wanted = select(TicketField).where(
        *_seen_by(principal),
        any_of(TicketField.type, types),
        any_of(TicketField.archived, None if archived is None else [archived]),
        matching(q, TicketField.key, TicketField.label),
    )
    filters = {"q": q, "type": types, "archived": archived}
    return await FIELDS.fetch(
        session, wanted, limit=limit, sort=sort, cursor=cursor, total=total, filters=filters
    )


async def change(
    session: AsyncSession, field_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> TicketField:
    """Change what is given and not UNSET; values that there are stay as they are.

    ``FieldNotFoundError``, ``InvalidDefinitionError``, ``VersionMismatchError``.
    """
    row = await CONFIGURED.lock(session, field_id, expected=expected)
    values = _cleaned({name: value for name, value in given.items() if value is not UNSET})
    _check({name: getattr(row, name) for name in CONFIGURED.told} | values)
    return await CONFIGURED.change(session, row, values, actor=actor)


async def remove(
    session: AsyncSession, field_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Delete a field that nothing holds a value of. ``FieldNotFoundError``, ``FieldInUseError``."""
    row = await CONFIGURED.lock(session, field_id, expected=expected)
    used: dict[str, Any] = {
        "tickets": await _count(session, Ticket.custom.has_key(row.key)),
        "macros": await _count(session, Macro.actions["custom"].has_key(row.key)),
        "views": await _count(session, TicketView.filter["custom"].has_key(row.key)),
    }
    if any(used.values()):
        raise FieldInUseError("The field has values; archive it instead.", **used)
    await CONFIGURED.delete(session, row, actor=actor)


async def _count(session: AsyncSession, condition: Any) -> int:
    return await session.scalar(select(func.count()).where(condition)) or 0


def _seen_by(principal: Principal) -> list[Any]:
    if principal.is_staff:
        return []
    return [TicketField.visible_to_customers, TicketField.archived.is_(False)]


def _cleaned(given: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(given)
    if "label" in values:
        values["label"] = clean_text(values["label"], field="label", maximum=NAME_MAX)
    if "description" in values:
        values["description"] = redact(values["description"].strip())
    if "options" in values:
        values["options"] = [
            clean_text(each, field="options", maximum=NAME_MAX) for each in values["options"]
        ]
    return values


def _check(values: Mapping[str, Any]) -> None:
    options = values.get("options", [])
    if values["type"] in CHOICES and not options:
        _refuse("options", "Must have a choice at least")
    if values["type"] not in CHOICES and options:
        _refuse("options", "Only a select or multiselect has choices")
    if len(set(options)) < len(options):
        _refuse("options", "Must not have a choice twice")
    if values.get("editable_by_customers") and not values.get("visible_to_customers"):
        _refuse("editable_by_customers", "Customers must see what they set: set visible_to_customers too")


def _refuse(field: str, message: str) -> None:
    raise InvalidDefinitionError(f"{field}: {message}", errors=[{"field": field, "message": message}])
