"""Demand: what is asked for, in numbers that are shown with what they are made of.

Of a whole merge group, and everything once: a voter, an account whose people vote, a ticket that points to
several of its requests. Votes, revenue and rates are those of a moment; open work is only known of now. All
requests are looked up together, in a number of statements that does not grow with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.desk import Desk
from app.features.models import VOTERS, Rate, Request
from app.features.schemas.comments import FeatureLinkView
from app.features.schemas.demand import FeatureDemandView, FeatureRevenue, FeatureTrend
from app.features.service import links, rates, showing
from app.features.utils.conversion import convert, summed
from app.identity.models import Person
from app.identity.principal import Principal
from app.knowledge import Amount
from app.listing import among

TICKET = "ticket"
MONTH = timedelta(days=30)
WEEK = timedelta(days=7)
WEEKS = 12


@dataclass(slots=True)
class Account:
    """An account among the voters'."""

    voters: int
    voted_at: datetime
    paid: Sequence[Amount] = ()


@dataclass(slots=True)
class Asked:
    """What the numbers of one request are made of."""

    dates: list[datetime] = field(default_factory=list)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    without_account: int = 0
    links: Sequence[FeatureLinkView] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """A request's numbers, and what they are made of."""

    view: FeatureDemandView
    asked: Asked
    rates: Mapping[str, Rate]


async def of(
    session: AsyncSession,
    desk: Desk,
    requests: Sequence[Request],
    *,
    principal: Principal,
    as_of: datetime | None = None,
    currency: str | None = None,
) -> list[Demand]:
    """Demand for each of these roots, in their order. ``InvalidError`` for no active currency."""
    if currency is not None:
        rates.check_currency(currency)
    asked = {each.id: Asked() for each in requests}
    await _add_voters(session, asked, as_of)
    await _add_revenue(session, desk, asked, as_of)
    if as_of is None:
        pointing = await links.linked(session, desk, list(asked), principal=principal)
        for root_id, each in asked.items():
            each.links = pointing[root_id]
    valid = {} if currency is None else await rates.valid(session, currency, at=as_of)
    return [
        Demand(_view(each, asked[each.id], as_of, currency, valid), asked[each.id], valid)
        for each in requests
    ]


async def _add_voters(session: AsyncSession, asked: Mapping[UUID, Asked], as_of: datetime | None) -> None:
    statement = (
        select(VOTERS.c.root_id, VOTERS.c.voted_at, Person.account_id)
        .join(Person, Person.id == VOTERS.c.person_id)
        .where(among(VOTERS.c.root_id, asked))
        .order_by(VOTERS.c.voted_at)
    )
    if as_of is not None:
        statement = statement.where(VOTERS.c.voted_at <= as_of)
    for row in await session.execute(statement):
        each = asked[row.root_id]
        each.dates.append(row.voted_at)
        if row.account_id is None:
            each.without_account += 1
        else:
            each.accounts.setdefault(row.account_id, Account(0, row.voted_at)).voters += 1


async def _add_revenue(
    session: AsyncSession, desk: Desk, asked: Mapping[UUID, Asked], as_of: datetime | None
) -> None:
    wanted = sorted({account_id for each in asked.values() for account_id in each.accounts})
    paid: dict[UUID, list[Amount]] = {}
    for revenue in desk.revenue:
        found = await revenue.net_paid(session, wanted, as_of=as_of)
        for account_id, amounts in found.items():
            paid.setdefault(account_id, []).extend(amounts)
    for each in asked.values():
        for account_id, account in each.accounts.items():
            account.paid = summed(paid.get(account_id, ()))


def _view(
    request: Request,
    asked: Asked,
    as_of: datetime | None,
    currency: str | None,
    valid: Mapping[str, Rate],
) -> FeatureDemandView:
    paid = summed([amount for account in asked.accounts.values() for amount in account.paid])
    open_links = [each for each in asked.links if each.is_open]
    tickets = [each for each in open_links if each.type == TICKET]
    issues = {each.issue_id for each in tickets if each.issue_id is not None}
    is_now = as_of is None
    return FeatureDemandView(
        request=showing.brief(request),
        as_of=as_of,
        votes=len(asked.dates),
        accounts=len(asked.accounts),
        without_account=asked.without_account,
        revenue=paid,
        converted=None if currency is None else _converted(paid, currency, valid),
        open_tickets=len(tickets) if is_now else None,
        open_cases=len(open_links) - len(tickets) if is_now else None,
        known_issues=len(issues) if is_now else None,
        trend=trend(asked.dates, as_of or datetime.now(UTC)),
    )


def _converted(paid: Sequence[Amount], currency: str, valid: Mapping[str, Rate]) -> FeatureRevenue:
    found = convert(paid, currency, {code: rate.rate for code, rate in valid.items()})
    return FeatureRevenue(total=found.total, complete=found.is_complete, unconverted=list(found.unconverted))


def trend(dates: Sequence[datetime], at: datetime) -> FeatureTrend:
    """How many votes came in the 30 days up to ``at``, the 30 before, and in each of twelve weeks."""
    ages = [at - each for each in dates]
    last = sum(timedelta() <= age < MONTH for age in ages)
    previous = sum(MONTH <= age < 2 * MONTH for age in ages)
    weeks = [sum(WEEK * n <= age < WEEK * (n + 1) for age in ages) for n in reversed(range(WEEKS))]
    return FeatureTrend(last_30_days=last, previous_30_days=previous, change=last - previous, weeks=weeks)
