"""Mail about a case: what was written goes to who takes part in it, in the transaction of what it tells."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.desk import Desk
from app.billing.models import Case
from app.billing.service.cases.changes import subject_of
from app.billing.utils.numbers import CASES
from app.conversations import Posted, mailing

TEAM = "Billing"


async def replied(session: AsyncSession, desk: Desk, case: Case, posted: Posted) -> None:
    """A message goes to everybody on the case but its author, a note to the staff among them."""
    await mailing.spread(
        session,
        desk.mailer,
        posted,
        subject=subject_of(case.id),
        title=title_of(case),
        team=TEAM,
    )


def title_of(case: Case) -> str:
    """``[BIL-7] Charged twice``: people find it by the number; answers are found by their headers."""
    return f"[{CASES.shown(case.number)}] {case.subject}"
