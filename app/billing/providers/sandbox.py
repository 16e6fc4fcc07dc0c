"""A provider to try the desk out with: it moves no money and shows faults on demand.

It is played in the same Postgres, in transactions of its own, as a foreign system would have its own: what it
did stays done when ours is rolled back or killed. It takes whatever refund it is asked for, more than was
captured too: that nothing is refunded twice is our rule to keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from app.billing.constants import Provider, RefundStatus
from app.billing.models import SandboxFault, SandboxRefund
from app.billing.providers.base import (
    ProviderRefusedError,
    ProviderUnknownError,
    RefundOrder,
    RefundReceipt,
)
from app.database import Database

PREFIX = "re_sandbox_"


class FaultKind(StrEnum):
    """What goes wrong with the next refund."""

    timeout = "timeout"  # nobody answers, nothing was done
    timeout_after_success = "timeout_after_success"  # it was done, and nobody answers
    refuse = "refuse"
    pending = "pending"  # it takes its time: an event tells of the end
    late_failure = "late_failure"  # it succeeds, and fails later by an event
    duplicate_event = "duplicate_event"  # its event comes twice


# What a refund is at first, and what an event tells later.
ENDS: Mapping[FaultKind | None, tuple[RefundStatus, RefundStatus | None]] = {
    FaultKind.pending: (RefundStatus.pending, RefundStatus.succeeded),
    FaultKind.late_failure: (RefundStatus.succeeded, RefundStatus.failed),
    FaultKind.duplicate_event: (RefundStatus.pending, RefundStatus.succeeded),
}


class SandboxProvider:
    """``PaymentProvider`` that only plays."""

    name = str(Provider.sandbox)

    def __init__(self, database: Database, *, patience: float = 0.0) -> None:
        self._database = database
        self._patience = patience  # seconds before a time-out is reported

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """Once for all calls with the refund's id, as the first fault that waits says."""
        fault = await self._next_fault(order.refund_id)
        if fault == FaultKind.timeout:
            await asyncio.sleep(self._patience)
            raise ProviderUnknownError("time-out")
        if fault == FaultKind.refuse:
            raise ProviderRefusedError("refused_by_sandbox")
        made = await self._made(order, fault)
        if fault == FaultKind.timeout_after_success:
            await asyncio.sleep(self._patience)
            raise ProviderUnknownError("time-out")
        return RefundReceipt(external_id=PREFIX + made.id.hex, status=RefundStatus(made.status))

    async def submit_evidence(self, dispute: str, evidence: Mapping[str, str]) -> None:
        """Taken, unless a fault waits."""
        fault = await self._next_fault(None)
        if fault in (FaultKind.timeout, FaultKind.timeout_after_success):
            raise ProviderUnknownError("time-out")
        if fault == FaultKind.refuse:
            raise ProviderRefusedError("refused_by_sandbox")

    async def _next_fault(self, refund_id: UUID | None) -> FaultKind | None:
        """Taken from the list, unless the refund was made already: then it is told, whatever waits."""
        async with self._database.session() as session:
            if refund_id is not None:
                made = select(SandboxRefund.id).where(SandboxRefund.idempotency_key == str(refund_id))
                if await session.scalar(made) is not None:
                    return None
            waiting = select(SandboxFault).order_by(SandboxFault.id).limit(1)
            fault = await session.scalar(waiting.with_for_update(skip_locked=True))
            if fault is None:
                return None
            if fault.remaining <= 1:
                await session.execute(delete(SandboxFault).where(SandboxFault.id == fault.id))
            else:
                await session.execute(
                    update(SandboxFault)
                    .where(SandboxFault.id == fault.id)
                    .values(remaining=SandboxFault.remaining - 1)
                )
            return FaultKind(fault.kind)

    async def _made(self, order: RefundOrder, fault: FaultKind | None) -> SandboxRefund:
        """The refund under its key; what events will tell of it is written down with it."""
        status, following = ENDS.get(fault, (RefundStatus.succeeded, None))
        values = {
            "idempotency_key": str(order.refund_id),
            "payment": order.payment,
            "amount": order.amount,
            "currency": order.currency,
            "status": str(status),
            "following": None if following is None else str(following),
            "repeats": 2 if fault == FaultKind.duplicate_event else 1,
            "created_at": datetime.now(UTC),
        }
        async with self._database.session() as session:
            await session.execute(insert(SandboxRefund).values(values).on_conflict_do_nothing())
            found = select(SandboxRefund).where(SandboxRefund.idempotency_key == str(order.refund_id))
            return (await session.scalars(found)).one()
