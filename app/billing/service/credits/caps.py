"""How much goodwill may still be given: by the policy in force, a grant by role, an account by quarter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import CreditKind
from app.billing.models import CreditGrant, RefundPolicy
from app.identity.constants import Role


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """Of one account, role, currency and quarter; minor units. ``per_grant`` None: the role gives none;
    ``per_quarter`` None: no limit."""

    per_grant: int | None
    per_quarter: int | None
    granted: int
    quarter: str  # 2026-Q4, UTC

    @property
    def left(self) -> int:
        """What the role may give the account in one grant now."""
        if self.per_grant is None:
            return 0
        if self.per_quarter is None:
            return self.per_grant
        return max(0, min(self.per_grant, self.per_quarter - self.granted))


async def cap_of(
    session: AsyncSession,
    policy: RefundPolicy,
    *,
    account_id: UUID,
    role: Role,
    currency: str,
    at: datetime,
) -> Cap:
    """The cap at that moment; of a locked account it holds until the commit. Voided grants do not count."""
    start, end = quarter_of(at)
    granted = select(func.coalesce(func.sum(CreditGrant.amount), 0)).where(
        CreditGrant.account_id == account_id,
        CreditGrant.kind == CreditKind.goodwill,
        CreditGrant.currency == currency,
        CreditGrant.voided_at.is_(None),
        CreditGrant.granted_at >= start,
        CreditGrant.granted_at < end,
    )
    limits = next((each for each in policy.goodwill if each["currency"] == currency), None)
    return Cap(
        per_grant=None if limits is None else _per_grant(limits["per_grant"], role),
        per_quarter=None if limits is None else limits["per_quarter"],
        granted=int(await session.scalar(granted) or 0),
        quarter=f"{start.year}-Q{start.month // 3 + 1}",
    )


def quarter_of(moment: datetime) -> tuple[datetime, datetime]:
    """Beginning and end (not of it) of the calendar quarter, UTC."""
    moment = moment.astimezone(UTC)
    first = moment.month - (moment.month - 1) % 3
    start = datetime(moment.year, first, 1, tzinfo=UTC)
    following = (moment.year, first + 3) if first < 10 else (moment.year + 1, 1)
    return start, datetime(*following, 1, tzinfo=UTC)


def _per_grant(by_role: dict[str, int], role: Role) -> int | None:
    """The role's own amount; of a role that the policy does not name, that of the next below it."""
    named = [Role(each) for each in by_role if Role(each) <= role]
    return by_role[max(named, key=lambda each: each.rank)] if named else None
