"""Reading the log in its order, so that nobody who goes on from the last event misses one.

The order is (transaction, number) and not the order of ids or of numbers alone: who draws a number first may
commit last. Readers stop below the oldest transaction still under way (``event_horizon``), since behind it
nothing can appear any more. So an event is shown as late as the longest writing transaction around it lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    and_,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.constants import BEGINNING
from app.events.models import Event
from app.events.service.access import owned_by, visible_to
from app.events.utils import START, Filters, Place, refuse
from app.identity.principal import Principal

IS_COMPLETE = Event.transaction < func.event_horizon(type_=BigInteger)


async def read_events(
    session: AsyncSession, *, principal: Principal, filters: Filters, after: Place, limit: int
) -> Sequence[Event]:
    """The next events that the caller may see, oldest first, at most ``limit``."""
    conditions = [IS_COMPLETE, later_than(after), *matching(filters)]
    statement = in_order(visible_to(principal), conditions, limit=limit)
    return (await session.scalars(statement)).all()


async def latest(session: AsyncSession, *, principal: Principal) -> Event | None:
    """The newest event that the caller may see."""
    statement = in_order(visible_to(principal), [IS_COMPLETE], limit=1, newest_first=True)
    return (await session.scalars(statement)).one_or_none()


async def place_of(
    session: AsyncSession, event_id: UUID, *, principal: Principal, field: str, settled: bool = True
) -> Place:
    """Where an event stands; ``BEGINNING`` is before all of them.

    ``InvalidError`` naming ``field`` when there is no such event, the caller may not see it, or it is not yet
    settled: an earlier one may still come. One of theirs that was emptied by an erasure still is a place.
    """
    if event_id == BEGINNING:
        return START
    owned = visible_to(principal) if principal.is_staff else owned_by(principal)
    statement = select(Event.transaction, Event.number).where(Event.id == event_id, or_(*owned))
    if settled:
        statement = statement.where(IS_COMPLETE)
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        refuse(field, "No such event")
    return Place(found.transaction, found.number)


def later_than(place: Place) -> ColumnElement[bool]:
    """Behind this place in the log."""
    return tuple_(Event.transaction, Event.number) > place


def earlier_than(place: Place) -> ColumnElement[bool]:
    """Before this place in the log."""
    return tuple_(Event.transaction, Event.number) < place


def matching(filters: Filters) -> list[ColumnElement[bool]]:
    """The filters as conditions."""
    conditions: list[ColumnElement[bool]] = []
    if filters.subjects:
        conditions.append(
            or_(
                *(
                    and_(Event.subject_type == kind, Event.subject_id == identity)
                    for kind, identity in filters.subjects
                )
            )
        )
    if filters.types and "*" not in filters.types:
        conditions.append(or_(*map(_of_type, filters.types)))
    return conditions


def _of_type(wanted: str) -> ColumnElement[bool]:
    if wanted.endswith(".*"):
        return Event.type.startswith(wanted[:-1], autoescape=True)
    return Event.type == wanted


def in_order(
    branches: list[ColumnElement[bool]],
    conditions: Sequence[ColumnElement[bool]],
    *,
    limit: int,
    newest_first: bool = False,
) -> Executable:
    """Events of any branch that fulfil all conditions.

    Each branch is read from its own index and cut before they are put together: one condition with OR would
    walk through everybody's events in search of a customer's few. The limit stands in the statement, since a
    plan for any limit expects a large one.
    """
    number: ColumnElement[int] = literal_column(str(int(limit)))
    keys = (Event.transaction, Event.number)
    order = [each.desc() if newest_first else each.asc() for each in keys]
    parts = [select(Event).where(each, *conditions).order_by(*order).limit(number) for each in branches]
    if len(parts) == 1:
        return parts[0]
    together = union_all(*parts)
    columns = (together.selected_columns.transaction, together.selected_columns.number)
    order = [each.desc() if newest_first else each.asc() for each in columns]
    return select(Event).from_statement(together.order_by(*order).limit(number))
