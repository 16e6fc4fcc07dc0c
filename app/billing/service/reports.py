"""Reports: each is one statement over a period; amounts in minor units, never added across currencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from msgspec import structs
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.desk import Desk
from app.billing.schemas.reports import (
    ApprovalTimes,
    CreditsGiven,
    DisputesDecided,
    IncidentCost,
    RefundsMade,
)
from app.billing.service import issues
from app.database import load_sql
from app.identity.principal import Principal

SQL = Path(__file__).parent / "sql"
Row = TypeVar("Row", RefundsMade, ApprovalTimes, CreditsGiven, DisputesDecided, IncidentCost)

NAMES: Mapping[type[Any], str] = {
    RefundsMade: "refunds",
    ApprovalTimes: "approvals",
    CreditsGiven: "credits",
    DisputesDecided: "disputes",
    IncidentCost: "incidents",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a report is about: from ``since`` until before ``until``, UTC."""

    since: datetime
    until: datetime
    currency: str | None = None
    account_id: UUID | None = None


async def report(session: AsyncSession, kind: type[Row], asked: Asked) -> list[Row]:
    """The rows of a report, which the kind of its rows names."""
    statement = text(load_sql(SQL / f"report_{NAMES[kind]}.sql"))
    parameters = {name: getattr(asked, name) for name in Asked.__slots__}
    found = await session.execute(statement, parameters)
    return [kind(**row) for row in found.mappings()]


async def incidents(
    session: AsyncSession, desk: Desk, asked: Asked, *, principal: Principal
) -> list[IncidentCost]:
    """What known issues cost, dearest first, each with its number and title as its own desk knows it."""
    rows = await report(session, IncidentCost, asked)
    named = {
        each.issue_id: await issues.find(session, desk, each.issue_id, principal=principal) for each in rows
    }
    return [
        row
        if (item := named[row.issue_id]) is None
        else structs.replace(row, number=item.number, title=item.title)
        for row in rows
    ]


def table(rows: Sequence[Any], kind: type[Any]) -> list[list[Any]]:
    """A report as a table whose first row names the columns."""
    names = [each.name for each in structs.fields(kind)]
    return [names, *([_cell(getattr(row, name)) for name in names] for row in rows)]


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
