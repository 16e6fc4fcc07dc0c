"""Rates of exchange: only those that an admin gave are ever used, each from its moment on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.currencies import EXPONENTS
from app.events import Subject
from app.exceptions import InvalidError
from app.features.constants import RATE_TYPE
from app.features.models import Rate
from app.identity.principal import Principal
from app.listing import Listing, any_of

RATES = Listing(
    Rate, sorts={"valid_from": Rate.valid_from, "created_at": Rate.created_at}, default="-valid_from"
)


async def give(
    session: AsyncSession,
    *,
    actor: Principal,
    currency: str,
    into: str,
    rate: str,
    valid_from: datetime | None = None,
) -> Rate:
    """Say what a unit is worth from a moment on; once more for the same moment takes its place.

    ``InvalidError``: no active currency, one into itself, a rate of zero.
    """
    for name, code in (("currency", currency), ("into", into)):
        check_currency(code, field=name)
    value = Decimal(rate)
    if currency == into:
        raise _invalid("into", "A currency is worth itself")
    if not value:
        raise _invalid("rate", "Above zero")
    key = {"currency": currency, "target": into, "valid_from": valid_from or datetime.now(UTC)}
    said = {"rate": value, "given_by": actor.person_id}
    row = insert(Rate).values(key | said).on_conflict_do_update(index_elements=list(key), set_=said)
    given = (await session.scalars(row.returning(Rate), execution_options={"populate_existing": True})).one()
    after = {"currency": currency, "into": into, "rate": str(value), "valid_from": given.valid_from}
    subject = Subject(RATE_TYPE, given.id)
    await events.record(session, "exchange_rate.given", subject=subject, actor=actor, after=after, audit=True)
    return given


def listed(*, currencies: Sequence[str] | None, into: str | None) -> Select[Rate]:
    """Rates that a list shows."""
    statement = select(Rate).where(any_of(Rate.currency, currencies))
    return statement if into is None else statement.where(Rate.target == into)


async def valid(session: AsyncSession, into: str, *, at: datetime | None) -> Mapping[str, Rate]:
    """By currency: the rate into this one that is in force at a time."""
    statement = (
        select(Rate)
        .where(Rate.target == into, Rate.valid_from <= (at or datetime.now(UTC)))
        .order_by(Rate.currency, Rate.valid_from.desc())
        .ext(distinct_on(Rate.currency))
    )
    return {each.currency: each for each in await session.scalars(statement)}


def check_currency(code: str, *, field: str = "currency") -> None:
    """``InvalidError`` for a code that ISO 4217 does not have in force."""
    if code not in EXPONENTS:
        raise _invalid(field, "No active currency")


def _invalid(field: str, message: str) -> InvalidError:
    return InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])
