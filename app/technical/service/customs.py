"""Values of custom fields, checked against the fields that an admin has defined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import PrincipalKind
from app.identity.principal import Principal
from app.technical.constants import FieldType, RequiredOn
from app.technical.exceptions import InvalidFieldError, MissingFieldsError
from app.technical.models import TicketField
from app.technical.utils.values import UnfitValueError, canonical, read

FRESH = {"populate_existing": True}
SHOWN_MAX = 120  # characters of a key in an error


async def checked(
    session: AsyncSession, present: Mapping[str, Any], given: Mapping[str, Any], *, actor: Principal
) -> dict[str, Any]:
    """The values with those given in place of those present; null takes one away. ``InvalidFieldError``.

    What is present already is not checked again: the field may have changed since.
    """
    new = {key: value for key, value in given.items() if key not in present or present[key] != value}
    values = dict(present) | await normalised(session, new, actor=actor)
    return {key: value for key, value in values.items() if value is not None}


async def normalised(session: AsyncSession, given: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]:
    """The values given as they are stored, null for those that take one away. ``InvalidFieldError``."""
    if not given:
        return {}
    fields = await _fields(session, given)
    values: dict[str, Any] = {}
    errors = []
    for key, value in given.items():
        try:
            values[key] = _value(fields.get(key), value, actor)
        except UnfitValueError as error:
            errors.append({"field": f"custom.{_shown(key)}", "message": str(error)})
    if errors:
        first = errors[0]
        raise InvalidFieldError(f"{first['field']}: {first['message']}", errors=errors)
    return values


async def require(
    session: AsyncSession, values: Mapping[str, Any], *, on: RequiredOn, actor: Principal
) -> None:
    """``MissingFieldsError`` unless the fields that are required then have values.

    Of a customer only those that they can give are asked for, when they open a ticket; of mail and timers
    nothing.
    """
    if actor.kind is PrincipalKind.system or (on is RequiredOn.solve and not actor.is_staff):
        return
    wanted = select(TicketField.key).where(TicketField.required_on == on, TicketField.archived.is_(False))
    if not actor.is_staff:
        wanted = wanted.where(TicketField.editable_by_customers)
    keys = await session.scalars(wanted.order_by(TicketField.position, TicketField.id))
    if missing := [key for key in keys if key not in values]:
        raise MissingFieldsError(f"Give a value for {', '.join(missing)}.", fields=missing)


async def visible(session: AsyncSession, *, principal: Principal) -> frozenset[str] | None:
    """Keys of the fields that the caller sees; None: all."""
    if principal.is_staff:
        return None
    shown = select(TicketField.key).where(TicketField.visible_to_customers, TicketField.archived.is_(False))
    return frozenset(await session.scalars(shown))


async def asked_for(
    session: AsyncSession, written: Sequence[str] | None, *, principal: Principal
) -> dict[str, Any] | None:
    """What ``key:value``, as query parameters write it, asks of the values: all of these at once.

    ``InvalidFieldError``, naming ``custom``: no such field for the caller, or none of its values.
    """
    if not written:
        return None
    pairs = [each.partition(":")[::2] for each in written]
    fields = await _fields(session, [key for key, _ in pairs], hold=False)
    seen = await visible(session, principal=principal)
    asked: dict[str, Any] = {}
    for key, text in pairs:
        field = fields.get(key)
        if field is None or (seen is not None and key not in seen):
            _refuse(f"Unknown field {_shown(key)}")
        try:
            value = read(FieldType(field.type), text, field.options)
        except UnfitValueError as error:
            _refuse(f"{key}: {error}")
        if isinstance(value, list):
            value = [*asked.get(key, []), *value]
        elif asked.get(key, value) != value:
            _refuse(f"{key} cannot have two values at once")
        asked[key] = value
    return asked


async def _fields(session: AsyncSession, keys: Iterable[str], *, hold: bool = True) -> dict[str, TicketField]:
    """By key. Held ones are not deleted before the value is there."""
    storable = {key for key in keys if key.isascii() and "\0" not in key}
    statement = select(TicketField).where(TicketField.key.in_(storable)).order_by(TicketField.id)
    if hold:
        statement = statement.with_for_update(read=True, key_share=True)
    found = await session.scalars(statement, execution_options=FRESH)
    return {each.key: each for each in found}


def _value(field: TicketField | None, value: Any, actor: Principal) -> Any:
    if field is None or not (actor.is_staff or field.visible_to_customers):
        raise UnfitValueError("Unknown field")
    if not (actor.is_staff or field.editable_by_customers):
        raise UnfitValueError("Only staff set this field")
    if value is None:
        return None
    if field.archived:
        raise UnfitValueError("The field is archived")
    return canonical(FieldType(field.type), value, field.options)


def _refuse(message: str) -> NoReturn:
    raise InvalidFieldError(f"custom: {message}", errors=[{"field": "custom", "message": message}])


def _shown(key: str) -> str:
    return key.encode("ascii", "replace").decode()[:SHOWN_MAX]
