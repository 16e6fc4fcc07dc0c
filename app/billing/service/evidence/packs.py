"""The evidence of a dispute: assembled, corrected by hand, submitted once.

Like a refund it is handed over in two transactions around the call: marked as submitted and committed, then
sent, then marked as accepted. What nobody answered is sent again under the same key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import ANSWERABLE
from app.billing.exceptions import (
    ConfirmationRequiredError,
    DisputeNotAnswerableError,
    DisputeNotFoundError,
    EmptyEvidenceError,
    EvidenceOverdueError,
    EvidenceSubmittedError,
)
from app.billing.models import Dispute, DisputeEvidence
from app.billing.service import disputes
from app.billing.service.access import money_of
from app.billing.utils.packs import bounded
from app.identity.principal import SYSTEM, Principal
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

FRESH = {"populate_existing": True}
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


async def get_dispute(session: AsyncSession, dispute_id: UUID, *, principal: Principal) -> Dispute:
    """The dispute; ``DisputeNotFoundError`` also when the caller may not see it."""
    statement = select(Dispute).where(Dispute.id == dispute_id, money_of(principal, Dispute.account_id))
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise DisputeNotFoundError("There is no such dispute.")
    return found


async def lock_dispute(session: AsyncSession, dispute_id: UUID, *, principal: Principal) -> Dispute:
    """The dispute, kept from changing; errors as ``get_dispute``."""
    await get_dispute(session, dispute_id, principal=principal)
    statement = select(Dispute).where(Dispute.id == dispute_id).with_for_update(key_share=True)
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def stored(session: AsyncSession, dispute_id: UUID) -> DisputeEvidence | None:
    """What was corrected or submitted; None while the pack is assembled afresh for who looks."""
    return await session.get(DisputeEvidence, dispute_id, populate_existing=True)


async def keep(
    session: AsyncSession,
    dispute_id: UUID,
    pack: dict[str, str],
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
    is_edit: bool = True,
) -> DisputeEvidence:
    """Keep a pack for submission; with ``is_edit`` the given texts replace those of the same name, an empty
    one removes it. Errors: ``DisputeNotFoundError``, ``EvidenceSubmittedError``, ``VersionMismatchError``."""
    dispute = await lock_dispute(session, dispute_id, principal=actor)
    row = await _locked(session, dispute.id)
    _check_open(row)
    expected.check(row.version)
    texts = (dict(row.pack) | pack) if is_edit else dict(pack)
    row.pack = bounded({name: redact(text) for name, text in texts.items() if text.strip()})
    row.version += 1
    row.last_error = None
    await session.flush()
    await _record(session, "dispute.evidence_changed", dispute, row, actor=actor)
    return row


async def submit(
    session: AsyncSession, dispute_id: UUID, *, actor: Principal, expected: Expected, confirmed: bool
) -> DisputeEvidence:
    """Mark the kept pack as submitted, before the call that hands it over.

    Errors: ``DisputeNotFoundError``, ``EvidenceSubmittedError``, ``DisputeNotAnswerableError``,
    ``EvidenceOverdueError``, ``EmptyEvidenceError``, ``VersionMismatchError``, ``ConfirmationRequiredError``
    with what would be sent.
    """
    dispute = await lock_dispute(session, dispute_id, principal=actor)
    row = await _locked(session, dispute.id)
    _check_open(row)
    expected.check(row.version)
    now = datetime.now(UTC)
    if dispute.status not in ANSWERABLE:
        raise DisputeNotAnswerableError(f"A dispute that is {dispute.status} takes no evidence.")
    if dispute.evidence_due_at is not None and dispute.evidence_due_at <= now:
        raise EvidenceOverdueError("The bank's deadline has passed.", due_at=dispute.evidence_due_at)
    if not row.pack:
        raise EmptyEvidenceError("There is nothing to submit: assemble the evidence first.")
    if not confirmed:
        raise ConfirmationRequiredError(
            "Evidence is submitted once and for all: send `confirm: true` to do it.",
            characters={name: len(text) for name, text in row.pack.items()},
        )
    row.submitted_at, row.submitted_by_id = now, actor.person_id
    row.next_attempt_at = now + FIRST_PAUSE
    row.version += 1
    await session.flush()
    await _record(session, "dispute.evidence_submitted", dispute, row, actor=actor)
    await disputes.followed(session, dispute, actor=actor)
    return row


async def accepted(session: AsyncSession, dispute_id: UUID) -> None:
    """The provider has it."""
    dispute = await lock_dispute(session, dispute_id, principal=SYSTEM)
    row = await _locked(session, dispute.id)
    if row.accepted_at is None and row.submitted_at is not None:
        row.accepted_at, row.next_attempt_at, row.last_error = datetime.now(UTC), None, None
        row.version += 1
        await session.flush()
        await _record(session, "dispute.evidence_accepted", dispute, row, actor=SYSTEM)


async def refused(session: AsyncSession, dispute_id: UUID, reason: str) -> None:
    """The provider will not take it: it can be corrected and submitted again, and its clock runs again."""
    dispute = await lock_dispute(session, dispute_id, principal=SYSTEM)
    row = await _locked(session, dispute.id)
    if row.submitted_at is None or row.accepted_at is not None:
        return
    row.submitted_at, row.submitted_by_id, row.next_attempt_at = None, None, None
    row.last_error = reason
    row.version += 1
    await session.flush()
    await _record(session, "dispute.evidence_refused", dispute, row, actor=SYSTEM)
    await disputes.followed(session, dispute, actor=SYSTEM)


async def claim(session: AsyncSession, dispute_id: UUID) -> tuple[str, dict[str, str]] | None:
    """The provider's id and the pack, for one call that is counted before it is made; None when there is
    nothing to send."""
    dispute = await session.get_one(Dispute, dispute_id)
    row = await _locked(session, dispute_id)
    if row.submitted_at is None or row.accepted_at is not None:
        return None
    now = datetime.now(UTC)
    row.called_at = row.called_at or now
    row.next_attempt_at = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row.attempts, 10))
    row.attempts += 1
    await session.flush()
    return dispute.external_id, dict(row.pack)


async def _locked(session: AsyncSession, dispute_id: UUID) -> DisputeEvidence:
    made = insert(DisputeEvidence).values(dispute_id=dispute_id).on_conflict_do_nothing()
    await session.execute(made)
    statement = select(DisputeEvidence).where(DisputeEvidence.dispute_id == dispute_id).with_for_update()
    return (await session.scalars(statement, execution_options=FRESH)).one()


def _check_open(row: DisputeEvidence) -> None:
    if row.submitted_at is not None:
        raise EvidenceSubmittedError(
            "The evidence was submitted; nothing can be added.", submitted_at=row.submitted_at
        )


async def _record(
    session: AsyncSession, kind: str, dispute: Dispute, row: DisputeEvidence, *, actor: Principal
) -> None:
    """The names of the texts, never the texts."""
    after: dict[str, Any] = {"fields": sorted(row.pack), "evidence_version": row.version}
    if row.last_error:
        after["reason"] = row.last_error
    await events.record(
        session,
        kind,
        subject=disputes.dispute_subject(dispute),
        actor=actor,
        after=after,
        account_id=dispute.account_id,
        audit=kind == "dispute.evidence_submitted",
    )
