"""Payment providers: their events, and the sandbox."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.providers.sandbox import FaultKind
from app.billing.schemas.fields import ONE_LINE
from app.billing.schemas.money import Amount

FAULTS_MAX = 1_000


class EventOutcome(StrEnum):
    """What came of an event."""

    applied = "applied"
    ignored = "ignored"
    duplicate = "duplicate"


class ProviderEventReceipt(Struct, frozen=True, kw_only=True):
    """That an event was taken in."""

    id: Annotated[str, Meta(description="The provider's id of the event.", examples=["evt_1Nxyz"])]
    outcome: Annotated[
        EventOutcome,
        Meta(
            description="`ignored`: it says nothing that is kept here. `duplicate`: it was taken in before."
        ),
    ]


class SandboxFaultCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next calls to the sandbox fail."""

    kind: FaultKind
    count: Annotated[int, Meta(ge=1, le=FAULTS_MAX)] = 1


class SandboxFaultView(Struct, frozen=True, kw_only=True):
    """A fault to come."""

    id: int
    kind: FaultKind
    remaining: int


class SandboxFaults(Struct, frozen=True, kw_only=True):
    """The faults to come, next first."""

    items: list[SandboxFaultView]


class SandboxDisputeCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dispute that a cardholder of the sandbox opens."""

    payment_id: UUID
    amount: Annotated[Amount | None, Meta(description="All that was captured when left out.")] = None
    reason: Annotated[str, Meta(min_length=1, max_length=120, pattern=ONE_LINE, examples=["fraudulent"])] = (
        "general"
    )
    evidence_due_at: datetime | None = None


class Decision(StrEnum):
    """How a bank decides."""

    won = "won"
    lost = "lost"


class SandboxDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the bank of the sandbox decides."""

    decision: Decision


class SandboxDispute(Struct, frozen=True, kw_only=True):
    """A dispute of the sandbox."""

    id: UUID
    payment_id: UUID
    status: str
    amount: int
    currency: str
    exponent: int
    evidence_due_at: datetime | None
