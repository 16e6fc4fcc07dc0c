"""What the desk knows of a person: handed out, or taken away. The ledger holds no personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events, matching
from app.billing.models import Case, RefundRequest
from app.billing.service.cases.changes import FRESH, record, state_of, subject_of
from app.identity.principal import SYSTEM

ERASED = "(erased)"
CASES = (Case.id, Case.number, Case.kind, Case.subject, Case.description, Case.status, Case.created_at)
REQUESTS = (
    *(RefundRequest.id, RefundRequest.number, RefundRequest.amount, RefundRequest.currency),
    *(RefundRequest.reason, RefundRequest.note, RefundRequest.status, RefundRequest.created_at),
)


@dataclass(slots=True)
class BillingData:
    """``knowledge.PersonalData``: cases that somebody opened, refunds that they asked for."""

    name: str = "billing"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Lock their requests and cases: these are locked before their people, by everybody."""
        await session.execute(_requests_of(person_id).with_only_columns(RefundRequest.id).with_for_update())
        await session.execute(_cases_of(person_id).with_only_columns(Case.id).with_for_update())

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The cases that they opened and the refunds that they asked for themselves."""
        cases = await session.execute(_cases_of(person_id).with_only_columns(*CASES))
        requests = await session.execute(_requests_of(person_id).with_only_columns(*REQUESTS))
        return {
            "cases": [msgspec.to_builtins(dict(row)) for row in cases.mappings()],
            "refund_requests": [msgspec.to_builtins(dict(row)) for row in requests.mappings()],
        }

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Their cases and requests stay, as numbers without words; so does all that money did."""
        cases = (await session.scalars(_cases_of(person_id).with_for_update())).all()
        emptied = 0
        for case in cases:
            await matching.remove(session, subject_of(case.id))
            emptied += await events.forget(session, subject_of(case.id))
            await _empty(session, case)
        if cases:
            await matching.forget_words(session)
        requests = (await session.scalars(_requests_of(person_id).with_for_update())).all()
        for request in requests:
            request.note, request.requested_by_id = "", None
        await session.flush()
        return {"cases": len(cases), "refund_requests": len(requests), "events": emptied}


def _cases_of(person_id: UUID) -> Select[Case]:
    return select(Case).where(Case.requester_id == person_id).order_by(Case.id)


def _requests_of(person_id: UUID) -> Select[RefundRequest]:
    return select(RefundRequest).where(RefundRequest.requested_by_id == person_id).order_by(RefundRequest.id)


async def _empty(session: AsyncSession, case: Case) -> None:
    """What remains is told by one more event: those before it say nothing any more."""
    statement = (
        update(Case)
        .where(Case.id == case.id)
        .values(subject=ERASED, description="", requester_id=None, version=Case.version + 1)
        .returning(Case)
    )
    left = (await session.scalars(statement, execution_options=FRESH)).one()
    await record(session, "billing_case.erased", left, actor=SYSTEM, after=state_of(left))
