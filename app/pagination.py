"""Keyset pagination: ``Page[T]`` and opaque cursors.

A cursor is the (sort key, id) of the last row shown, so a list stays stable while rows come and go, and
page 1,000 costs what page 1 costs. ``app.listing`` adds sorting, filters and totals to it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, NoReturn, TypeVar

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import BigInteger, DateTime, Integer, Select, SmallInteger, Uuid, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement
from sqlalchemy.types import TypeEngine

from app.exceptions import InvalidError

T = TypeVar("T")
Row = TypeVar("Row")
Sortable = ColumnElement[Any] | InstrumentedAttribute[Any]

CURSOR_MAX = 2048  # characters; a text that is sorted by may have some 300
MOMENT = DateTime(timezone=True)
IDENTITY = Uuid()
BITS = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))  # the first two are Integers as well

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="Items a page, 1 to 100.")]
Cursor = Annotated[
    str | None,
    QueryParameter(name="cursor", max_length=CURSOR_MAX, description="`next_cursor` of the page before."),
]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; ``next_cursor`` is null on the last."""

    items: list[T]
    next_cursor: str | None = None
    total: Annotated[
        int | None, msgspec.Meta(description="Items on all pages together; null unless asked for.")
    ] = None


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the sort key of its last row, its id, and what the list was asked for.

    ``scope`` is empty for lists with one order and no filters.
    """

    key: Any
    id: Any
    scope: str = ""


def encode_cursor(position: Position) -> str:
    """Opaque, URL-safe text of a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(
    cursor: str, *, key: TypeEngine[Any] = MOMENT, identity: TypeEngine[Any] = IDENTITY
) -> Position:
    """The position in a cursor, with a key and an id that columns of these types can hold.

    ``InvalidError`` when it is not one of ours.
    """
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = msgspec.json.decode(raw, type=Position)
        return Position(_fit(position.key, key), _fit(position.id, identity), position.scope)
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError):
        refuse_cursor("Unknown cursor")


def refuse_cursor(message: str) -> NoReturn:
    """Raise the ``InvalidError`` of a cursor that this list did not give out."""
    raise InvalidError(
        "The cursor is not one that this list gave out for this query.",
        errors=[{"field": "cursor", "message": message}],
    ) from None


def _fit(value: Any, column: TypeEngine[Any]) -> Any:
    """The value as the column has it; ``ValueError`` or msgspec's for what it cannot hold, which Postgres
    or its driver would only refuse later, without a name."""
    if value is None:
        return None
    value = msgspec.convert(value, column.python_type)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)
    if isinstance(value, str) and "\0" in value:
        raise ValueError("NUL")
    if type(value) is int and not -(2 ** (_bits(column) - 1)) <= value < 2 ** (_bits(column) - 1):
        raise ValueError("out of range")
    return value


def _bits(column: TypeEngine[Any]) -> int:
    return next((bits for kind, bits in BITS if isinstance(column, kind)), 64)


def after(
    statement: Select[Any],
    *,
    key: Sortable,
    id: Sortable,  # noqa: A002 - the column's name
    cursor: str | None,
    limit: int,
) -> Select[Any]:
    """Order newest first, start behind the cursor, and fetch one row more than the page shows.

    ``key`` is never null. For a choice of orders and filters: ``app.listing``.
    """
    if cursor is not None:
        position = decode_cursor(cursor, key=key.type, identity=id.type)
        if position.scope:
            refuse_cursor("Given out for another list")
        if position.key is None or position.id is None:
            refuse_cursor("Unknown cursor")
        statement = statement.where(beyond(key, id, position, descending=True))
    return statement.order_by(key.desc(), id.desc()).limit(limit + 1)


def beyond(key: Sortable, identity: Sortable, position: Position, *, descending: bool) -> ColumnElement[bool]:
    """Rows behind a position whose key is not null, among rows whose key is not null."""
    row = tuple_(key, identity)
    there = tuple_(literal(position.key, key.type), literal(position.id, identity.type))
    return row < there if descending else row > there


def page(
    rows: Sequence[Row], *, limit: int, show: Callable[[Row], T], position: Callable[[Row], Position]
) -> Page[T]:
    """Cut the extra row that ``after`` fetched and turn it into the next cursor."""
    shown = rows[:limit]
    following = encode_cursor(position(shown[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in shown], next_cursor=following)
