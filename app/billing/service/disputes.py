"""What follows from a dispute: its evidence clock, and the case that somebody has to work on."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.billing.constants import (
    ANSWERABLE,
    OPEN_DISPUTES,
    TRANSITIONS,
    CaseKind,
    CasePriority,
    CaseSource,
    CaseStatus,
    DisputeStatus,
    Mover,
)
from app.billing.models import Case, Dispute, DisputeEvidence
from app.billing.service import cases
from app.billing.utils.money import formatted
from app.events import Subject
from app.identity.principal import SYSTEM, Principal
from app.sla import ClockKind

DISPUTE_TYPE = "dispute"
WARN_BEFORE = (72 * 3600, 24 * 3600)  # seconds before the evidence is due
CONCERNS = OPEN_DISPUTES | ANSWERABLE


def dispute_subject(dispute: Dispute) -> Subject:
    """What clocks and events know a dispute as."""
    return Subject(DISPUTE_TYPE, dispute.id)


async def followed(session: AsyncSession, dispute: Dispute, *, actor: Principal = SYSTEM) -> None:
    """Called after each change of a locked dispute; called again it changes nothing.

    While evidence is wanted its clock runs towards the provider's deadline; a decision ends it. There is one
    case a dispute, once it is known whose it is; it is resolved with the decision.
    """
    await _follow_clock(session, dispute, actor=actor)
    case = await session.scalar(
        select(Case).where(Case.dispute_id == dispute.id, Case.source == CaseSource.dispute)
    )
    concerns = dispute.status in CONCERNS
    if case is None and concerns and dispute.account_id is not None:
        await cases.open_case(session, None, _case_of(dispute), actor=SYSTEM)
    elif case is not None and not concerns and case.status != CaseStatus.resolved:
        locked = await cases.lock(session, case.id)
        if Mover.refund in TRANSITIONS.get((CaseStatus(locked.status), CaseStatus.resolved), frozenset()):
            await cases.move(
                session,
                locked,
                CaseStatus.resolved,
                actor=SYSTEM,
                as_=Mover.refund,
                reason=f"The dispute is {dispute.status}.",
            )


async def _follow_clock(session: AsyncSession, dispute: Dispute, *, actor: Principal) -> None:
    at, subject = datetime.now(UTC), dispute_subject(dispute)
    submitted = await session.scalar(
        select(DisputeEvidence.submitted_at).where(DisputeEvidence.dispute_id == dispute.id)
    )
    if dispute.status in ANSWERABLE and submitted is None:
        if dispute.evidence_due_at is not None:
            await sla.start_deadline(
                session, subject, due_at=dispute.evidence_due_at, at=at, warn_before=WARN_BEFORE, actor=actor
            )
    elif submitted is not None or dispute.status == DisputeStatus.under_review:
        await sla.satisfy(session, subject, {ClockKind.evidence}, at=at, actor=actor)
    else:
        await sla.cancel(session, subject, at=at, kinds={ClockKind.evidence}, actor=actor)


def _case_of(dispute: Dispute) -> dict[str, object]:
    amount = formatted(dispute.amount, dispute.currency, dispute.exponent)
    reason = (dispute.reason or "no reason given").replace("_", " ")
    due = ""
    if dispute.evidence_due_at is not None:
        due = f" Evidence is due by {dispute.evidence_due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    return {
        "kind": CaseKind.dispute,
        "subject": f"Dispute of {amount}: {reason}",
        "description": f"The cardholder's bank disputes {amount} ({reason}).{due}",
        "priority": CasePriority.urgent,
        "source": CaseSource.dispute,
        "account_id": dispute.account_id,
        "payment_id": dispute.payment_id,
        "dispute_id": dispute.id,
    }
