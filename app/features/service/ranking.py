"""Requests by their demand: ranked over all that match, shown page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import InvalidError
from app.features.desk import Desk
from app.features.models import Request
from app.features.schemas.demand import FeatureDemandView
from app.features.service import demand
from app.identity.principal import Principal
from app.pagination import Page, Position, decode_cursor, encode_cursor, refuse_cursor


class Rank(StrEnum):
    """By what requests are ranked, the greatest first."""

    votes = "votes"
    accounts = "accounts"
    revenue = "revenue"  # converted; needs a currency
    open_tickets = "open_tickets"
    known_issues = "known_issues"
    trend = "trend"


KEYS: Mapping[Rank, Callable[[FeatureDemandView], int]] = {
    Rank.votes: lambda each: each.votes,
    Rank.accounts: lambda each: each.accounts,
    Rank.revenue: lambda each: 0 if each.converted is None else each.converted.total.amount,
    Rank.open_tickets: lambda each: each.open_tickets or 0,
    Rank.known_issues: lambda each: each.known_issues or 0,
    Rank.trend: lambda each: each.trend.change,
}


async def ranked(
    session: AsyncSession,
    desk: Desk,
    wanted: Select[Request],
    *,
    by: Rank,
    principal: Principal,
    as_of: datetime | None,
    currency: str | None,
    limit: int,
    cursor: str | None,
    filters: Mapping[str, Any],
) -> Page[FeatureDemandView]:
    """A page of the requests of a statement.

    ``InvalidError``: revenue without a currency, no active currency, a cursor of another list.
    """
    if by is Rank.revenue and currency is None:
        message = "Needed to rank by revenue: currencies are not added up"
        raise InvalidError(f"currency: {message}", errors=[{"field": "currency", "message": message}])
    requests = (await session.scalars(wanted)).all()
    found = await demand.of(session, desk, requests, principal=principal, as_of=as_of, currency=currency)
    rows = sorted((each.view for each in found), key=lambda each: _position(each, by))
    scope = _scope(by=by, as_of=as_of, currency=currency, **filters)
    start = _start(rows, by, cursor, scope)
    shown = rows[start : start + limit]
    if start + limit >= len(rows):
        return Page(items=shown, total=len(rows))
    last = shown[-1]
    position = Position(KEYS[by](last), last.request.id, scope)
    return Page(items=shown, next_cursor=encode_cursor(position), total=len(rows))


def _start(rows: Sequence[FeatureDemandView], by: Rank, cursor: str | None, scope: str) -> int:
    if cursor is None:
        return 0
    position = decode_cursor(cursor, key=BigInteger())
    if position.scope != scope or position.key is None or position.id is None:
        refuse_cursor("Given out for another list")
    there = (-position.key, position.id)
    return sum(_position(each, by) <= there for each in rows)


def _position(view: FeatureDemandView, by: Rank) -> tuple[int, UUID]:
    return -KEYS[by](view), view.request.id


def _scope(**asked: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(asked, order="sorted"), digest_size=9).hexdigest()
