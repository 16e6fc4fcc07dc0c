"""Lists: sorting, filters, search and totals, by one convention.

Once a list::

    PEOPLE = Listing(
        Person, sorts={"created_at": Person.created_at, "name": Person.name}, default="-created_at"
    )

A service asks, a controller shows::

    statement = select(Person).where(
        any_of(Person.role, roles),
        within(Person.created_at, created_after, created_before),
        matching(q, Person.name, Person.email),
    )
    found = await PEOPLE.fetch(
        session, statement, sort=sort, cursor=cursor, limit=limit, filters={"role": roles, "q": q, ...}
    )
    return found.page(show)

The handler's parameters are ``Sort``, ``Cursor``, ``Limit``, ``Total``, ``Search``, ``CreatedAfter``,
``CreatedBefore``; its ``opt=documented(listing=PEOPLE)`` publishes the keys that it sorts by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import ARRAY, Select, Uuid, and_, any_, func, literal, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from app.exceptions import InvalidError
from app.models import Base
from app.pagination import (
    Page,
    Position,
    Sortable,
    beyond,
    decode_cursor,
    encode_cursor,
    refuse_cursor,
)

T = TypeVar("T")
Row = TypeVar("Row", bound=Base)

SEARCH_MAX = 200
FILTERS_MAX = 50  # values of one filter
SORT_MAX = 64
SCOPE_BYTES = 9  # of the digest in a cursor; a mistake is to be noticed, not an attack

Sort = Annotated[
    str | None,
    QueryParameter(name="sort", max_length=SORT_MAX, description="The order; with `-` the greatest first."),
]
Total = Annotated[
    bool, QueryParameter(name="total", description="Also count the items on all pages together.")
]
Search = Annotated[
    str | None,
    QueryParameter(
        name="q", min_length=1, max_length=SEARCH_MAX, description="A part of the text; case does not matter."
    ),
]
CreatedAfter = Annotated[
    datetime | None, QueryParameter(name="created_after", description="Made at this time or later.")
]
CreatedBefore = Annotated[
    datetime | None, QueryParameter(name="created_before", description="Made before this time.")
]


def several(name: str, description: str) -> QueryParameter:
    """A filter that may be given several times; any of its values will do."""
    return QueryParameter(
        name=name, max_items=FILTERS_MAX, description=f"{description} Several: any of them."
    )


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """The rows of one page."""

    rows: Sequence[Row]
    next_cursor: str | None
    total: int | None

    def page(self, show: Callable[[Row], T]) -> Page[T]:
        """As the API shows them."""
        return Page(items=[show(row) for row in self.rows], next_cursor=self.next_cursor, total=self.total)


class Listing(Generic[Row]):
    """How the rows of a model are listed; they have an ``id`` that tells equal sort keys apart.

    ``sorts``: name to column or expression (text of some 300 characters at most: it travels in the cursor).
    ``default``: one of them, with ``-`` for descending. Rows whose key is null come last in either direction;
    say ``never_null`` of expressions that are not, so that an index can be used.
    """

    def __init__(
        self,
        model: type[Row],
        *,
        sorts: Mapping[str, Sortable],
        default: str,
        never_null: Collection[str] = (),
    ) -> None:
        self.sorts = dict(sorts)
        self.default = default
        self._id: Sortable = model.__table__.c.id
        self._table = str(model.__tablename__)
        self._never_null = frozenset(never_null) | {
            name for name, column in sorts.items() if getattr(column, "nullable", True) is False
        }
        self._order(default)

    def __deepcopy__(self, memo: dict[int, Any]) -> Listing[Row]:
        """The framework copies handlers with what they declare; columns in use cannot be copied."""
        return self

    @property
    def sort_names(self) -> list[str]:
        """What ``sort`` may be."""
        return [sign + name for name in self.sorts for sign in ("", "-")]

    async def fetch(
        self,
        session: AsyncSession,
        statement: Select[Row],
        *,
        limit: int,
        sort: str | None = None,
        cursor: str | None = None,
        filters: Mapping[str, Any] | None = None,
        total: bool = False,
    ) -> Listed[Row]:
        """One page of ``statement``, which selects the model and has no order of its own.

        ``filters``: what the caller asked for, so that a cursor is refused under another question.
        ``InvalidError`` for an unknown ``sort`` or a cursor of another list.
        """
        name, descending = self._order(sort or self.default)
        key, scope = self.sorts[name], self._scope(name, filters or {}, descending=descending)
        ordered = self._ordered(statement.add_columns(key), name, descending=descending)
        if cursor is not None:
            ordered = ordered.where(self._beyond(name, cursor, scope, descending=descending))
        found = (await session.execute(ordered.limit(limit + 1))).all()
        rows = [each[0] for each in found[:limit]]
        following = None
        if len(found) > limit:
            following = encode_cursor(Position(found[limit - 1][1], rows[-1].id, scope))
        return Listed(rows, following, await self._count(session, statement) if total else None)

    async def _count(self, session: AsyncSession, statement: Select[Any]) -> int:
        counted = select(func.count()).select_from(statement.with_only_columns(self._id).subquery())
        return int((await session.execute(counted)).scalar_one())

    def _order(self, sort: str) -> tuple[str, bool]:
        """(name, whether it descends)."""
        name = sort.removeprefix("-")
        if name not in self.sorts:
            message = f"Not one of {', '.join(self.sort_names)}"
            raise InvalidError(f"sort: {message}", errors=[{"field": "sort", "message": message}])
        return name, sort.startswith("-")

    def _ordered(self, statement: Select[Any], name: str, *, descending: bool) -> Select[Any]:
        key = self.sorts[name].desc() if descending else self.sorts[name].asc()
        if name not in self._never_null:
            key = key.nulls_last()
        return statement.order_by(key, self._id.desc() if descending else self._id.asc())

    def _beyond(self, name: str, cursor: str, scope: str, *, descending: bool) -> ColumnElement[bool]:
        key = self.sorts[name]
        position = decode_cursor(cursor, key=key.type, identity=self._id.type)
        if position.scope != scope:
            refuse_cursor("Given out for another list, sort or other filters")
        nullable = name not in self._never_null
        if position.id is None or (position.key is None and not nullable):
            refuse_cursor("Unknown cursor")
        if position.key is None:
            behind = self._id < position.id if descending else self._id > position.id
            return and_(key.is_(None), behind)
        further = beyond(key, self._id, position, descending=descending)
        return or_(further, key.is_(None)) if nullable else further

    def _scope(self, name: str, filters: Mapping[str, Any], *, descending: bool) -> str:
        """What the list was asked for, in a few letters; the order of a filter's values does not matter."""
        asked = {
            key: sorted(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value)
            for key, value in filters.items()
            if value is not None
        }
        text = msgspec.json.encode([self._table, name, descending, sorted(asked.items())])
        return hashlib.blake2b(text, digest_size=SCOPE_BYTES).hexdigest()


def among(column: Sortable, ids: Collection[UUID]) -> ColumnElement[bool]:
    """One of these ids, which travel as one array: a list of parameters ends at 32,767."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))


def any_of(column: Sortable, values: Collection[Any] | None) -> ColumnElement[bool]:
    """A filter that may be repeated: any of its values; everything when it is left out."""
    return true() if values is None else column.in_(list(values))


def within(
    column: Sortable, after: datetime | None, before: datetime | None, *, name: str = "created"
) -> ColumnElement[bool]:
    """A range of time: from ``after`` (inclusive) to ``before`` (exclusive), so that ranges can follow on.

    ``InvalidError``, naming ``<name>_after`` or ``<name>_before``, for a time without a zone.
    """
    conditions: list[ColumnElement[bool]] = [true()]
    if after is not None:
        conditions.append(column >= _in_utc(after, f"{name}_after"))
    if before is not None:
        conditions.append(column < _in_utc(before, f"{name}_before"))
    return and_(*conditions)


def matching(wanted: str | None, *columns: Sortable) -> ColumnElement[bool]:
    """A search: any of the columns holds the text, whatever its case; everything when it is left out."""
    if wanted is None:
        return true()
    return or_(*(column.icontains(wanted, autoescape=True) for column in columns))


def _in_utc(moment: datetime, field: str) -> datetime:
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        message = "Expected a time with a zone"
    except OverflowError:
        message = "Out of range"
    raise InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])
