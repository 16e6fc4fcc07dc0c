"""What the routes of identity share."""

from __future__ import annotations

from typing import Annotated, TypeVar

from litestar.params import QueryParameter
from msgspec import Struct, convert, structs

from app.bulk import BulkItem, BulkResult
from app.identity.constants import NAME_MAX
from app.identity.schemas import (
    AccountPut,
    PersonPut,
)
from app.models import Base

Shown = TypeVar("Shown", bound=Struct)
Put = TypeVar("Put", AccountPut, PersonPut)

TextFilter = Annotated[
    str | None,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=NAME_MAX,
        pattern=r"^ *[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$",
        description="A part of the name, the e-mail address or the external id; case does not matter.",
    ),
]


def show(row: Base, kind: type[Shown]) -> Shown:
    """A row as the API shows it."""
    return convert(row, kind, from_attributes=True)


def in_place(result: BulkResult[Shown], order: list[int]) -> BulkResult[Shown]:
    """The result of items that were done in another order than they came in."""
    items: list[BulkItem[Shown]] = [structs.replace(each, index=order[each.index]) for each in result.items]
    return structs.replace(result, items=sorted(items, key=lambda each: each.index))


def one_order(items: list[Put]) -> list[int]:
    """The same for every request, so that two with the same items do not wait for each other for ever."""
    return sorted(range(len(items)), key=lambda index: items[index].external_id)
