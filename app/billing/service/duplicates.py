"""Payments of an account that look like one debt paid twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Interval, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.schemas.duplicates import DuplicateCharges, DuplicateGroup, DuplicatePayment
from app.billing.utils.duplicates import Charge, Group, groups_of
from app.database import load_sql

PAYMENTS_MAX = 2_000  # newest equal payments that are looked at
GROUPS_MAX = 100
NEAR = text(load_sql(Path(__file__).parent / "sql" / "duplicates.sql")).bindparams(
    bindparam("span", type_=Interval)
)
SHOWN = (
    "payment_id",
    "external_id",
    "paid_at",
    "method",
    "invoice_id",
    "invoice_number",
    "subscription_id",
    "period_start",
    "period_end",
    "refunded",
    "disputed",
)


async def find(session: AsyncSession, account_id: UUID | None, *, window_hours: int) -> DuplicateCharges:
    """Groups of equal succeeded payments that are not further apart than the window, with the evidence."""
    span = timedelta(hours=window_hours)
    values = {"account_id": account_id, "span": span, "most": PAYMENTS_MAX + 1}
    near = [dict(row) for row in (await session.execute(NEAR, values)).mappings()] if account_id else []
    rows = {row["payment_id"]: row for row in near[:PAYMENTS_MAX]}
    groups = groups_of([_charge(row) for row in rows.values()], span)
    return DuplicateCharges(
        account_id=account_id,
        window_hours=window_hours,
        groups=[_shown(group, rows) for group in groups[:GROUPS_MAX]],
        truncated=len(near) > PAYMENTS_MAX or len(groups) > GROUPS_MAX,
    )


def _charge(row: Mapping[str, Any]) -> Charge:
    return Charge(
        payment_id=row["payment_id"],
        paid_at=row["paid_at"],
        amount=row["captured"],
        currency=row["currency"],
        invoice_id=row["invoice_id"],
        subscription_id=row["subscription_id"],
        period_start=row["period_start"],
        period_end=row["period_end"],
    )


def _shown(group: Group, rows: Mapping[UUID, Mapping[str, Any]]) -> DuplicateGroup:
    members = [rows[each.payment_id] for each in group.charges]
    first = members[0]
    kept = [each for each in members if _left(each) > 0]
    return DuplicateGroup(
        strength=group.strength,
        amount=first["captured"],
        currency=first["currency"],
        exponent=first["exponent"],
        settled=len(kept) <= 1,
        payments=[
            DuplicatePayment(
                **{name: each[name] for name in SHOWN},
                seconds_after_first=int((each["paid_at"] - first["paid_at"]).total_seconds()),
                refundable=_left(each),
            )
            for each in members
        ],
    )


def _left(row: Mapping[str, Any]) -> int:
    return max(0, int(row["captured"]) - int(row["refunded"]) - int(row["lost"]))
