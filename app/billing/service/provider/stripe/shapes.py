"""What every reader of Stripe's objects needs: members taken out of JSON that may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from app.billing.exceptions import InvalidEventError

Object = Mapping[str, Any]


WHOLE_MAX = 10**13  # minor units; a hundred of them in one, where Stripe counts coarser, stay in bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """``mirror.record_<thing>(…, external_id, **values)``."""

    thing: str
    external_id: str
    values: dict[str, Any] = field(default_factory=dict)


def storable(value: Any) -> Any:
    """Without NUL, which the database takes in no text."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {storable(name): storable(each) for name, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, list) else value


def tax_of(thing: Object) -> int:
    if thing.get("total_taxes") or thing.get("total_tax_amounts"):
        taxes = [*list_of(thing, "total_taxes")] or [*list_of(thing, "total_tax_amounts")]
        return sum(whole(each.get("amount"), default=0) for each in taxes)
    if thing.get("tax") is not None:
        return whole(thing.get("tax"), default=0)
    if thing.get("total_excluding_tax") is not None:
        return whole(thing.get("total"), default=0) - whole(thing.get("total_excluding_tax"), default=0)
    return 0


def text_of(thing: Object, name: str) -> str:
    value = thing.get(name)
    if not isinstance(value, str) or not value or len(value) > 255:
        raise invalid(name, "Not a text of 1 to 255 characters")
    return value


def object_of(thing: Object, name: str) -> Object:
    value = thing.get(name)
    return value if isinstance(value, dict) else {}


def list_of(thing: Object, name: str) -> list[Object]:
    value = thing.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def reference(value: Any) -> str | None:
    """An id, or the id of what was expanded in its place."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def currency_of(thing: Object) -> str:
    value = thing.get("currency")
    if not isinstance(value, str):
        raise invalid("currency", "Missing")
    return value.upper()


def whole(value: Any, *, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > WHOLE_MAX:
        raise invalid("amount", "Not an integer of what is known here")
    return value


def decimal_of(value: Any) -> Decimal:
    try:
        found = Decimal(str(value or 0))
        is_percentage = 0 <= found <= 100
    except InvalidOperation:  # no number, or NaN, which does not compare
        is_percentage = False
    if not is_percentage:
        raise invalid("percentage", "Not a number from 0 to 100")
    return found


def moment(value: Any) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)


def uuid_of(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def one_of(states: Any, thing: Object, name: str, *, default: Any = None) -> Any:
    value = thing.get(name)
    if value is None and default is not None:
        return default
    try:
        return states(value)
    except ValueError:
        raise invalid(f"data.object.{name}", "Unknown") from None


def invalid(field_name: str, message: str) -> InvalidEventError:
    return InvalidEventError(
        "The event cannot be understood.", errors=[{"field": field_name, "message": message}]
    )
