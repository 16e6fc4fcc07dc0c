"""Keyset pagination: ``Page[T]`` and opaque cursors.

A cursor is the (sort key, id) of the last row shown, so a list stays stable while rows come and go, and
page 1,000 costs what page 1 costs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.exceptions import InvalidError

T = TypeVar("T")
Row = TypeVar("Row")

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="Items a page, 1 to 100.")]
Cursor = Annotated[
    str | None,
    QueryParameter(name="cursor", max_length=512, description="`next_cursor` of the page before."),
]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; ``next_cursor`` is null on the last."""

    items: list[T]
    next_cursor: str | None = None


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the sort key of its last row, and its id."""

    key: datetime
    id: UUID


def encode_cursor(position: Position) -> str:
    """Opaque, URL-safe text of a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """The position in a cursor; ``InvalidError`` when it is not one of ours."""
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=Position)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidError(
            "The cursor is not one that this list gave out.",
            errors=[{"field": "cursor", "message": "Unknown cursor"}],
        ) from error


def after(
    statement: Select[Any],
    *,
    key: InstrumentedAttribute[datetime],
    id: InstrumentedAttribute[UUID],  # noqa: A002 - the column's name
    cursor: str | None,
    limit: int,
) -> Select[Any]:
    """Order newest first, start behind the cursor, and fetch one row more than the page shows."""
    if cursor is not None:
        position = decode_cursor(cursor)
        statement = statement.where(tuple_(key, id) < (position.key, position.id))
    return statement.order_by(key.desc(), id.desc()).limit(limit + 1)


def page(
    rows: Sequence[Row], *, limit: int, show: Callable[[Row], T], position: Callable[[Row], Position]
) -> Page[T]:
    """Cut the extra row that ``after`` fetched and turn it into the next cursor."""
    shown = rows[:limit]
    following = encode_cursor(position(shown[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in shown], next_cursor=following)
