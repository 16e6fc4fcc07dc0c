"""Dispute evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.billing.constants import DisputeStatus
from app.billing.schemas.fields import NO_NUL
from app.billing.utils.packs import FIELD_MAX
from app.sla import ClockView

EvidenceText = Annotated[str, Meta(max_length=FIELD_MAX, pattern=NO_NUL)]


class EvidencePack(Struct, frozen=True, kw_only=True):
    """What the bank is told, by the names of Stripe's API; empty where there is nothing to say."""

    product_description: str = ""
    service_date: str = ""
    access_activity_log: str = ""
    refund_policy_disclosure: str = ""
    refund_refusal_explanation: str = ""
    cancellation_policy_disclosure: str = ""
    cancellation_rebuttal: str = ""
    duplicate_charge_explanation: str = ""
    uncategorized_text: str = ""


class EvidenceUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts to replace; what is left out stays, an empty one is removed."""

    product_description: EvidenceText | UnsetType = UNSET
    service_date: EvidenceText | UnsetType = UNSET
    access_activity_log: EvidenceText | UnsetType = UNSET
    refund_policy_disclosure: EvidenceText | UnsetType = UNSET
    refund_refusal_explanation: EvidenceText | UnsetType = UNSET
    cancellation_policy_disclosure: EvidenceText | UnsetType = UNSET
    cancellation_rebuttal: EvidenceText | UnsetType = UNSET
    duplicate_charge_explanation: EvidenceText | UnsetType = UNSET
    uncategorized_text: EvidenceText | UnsetType = UNSET


class EvidenceSubmit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The word that evidence is final."""

    confirm: Annotated[bool, Meta(description="Nothing can be added afterwards.")] = False


class EvidenceView(Struct, frozen=True, kw_only=True):
    """The evidence of a dispute: as it would be submitted, or as it was."""

    dispute_id: UUID
    dispute_status: DisputeStatus
    due_at: datetime | None
    is_edited: Annotated[
        bool, Meta(description="Whether it is kept; one that is not is assembled afresh for each look.")
    ]
    pack: EvidencePack
    characters: int
    submitted_at: datetime | None
    submitted_by_id: UUID | None
    accepted_at: Annotated[datetime | None, Meta(description="When the provider had it.")]
    attempts: int
    last_error: Annotated[str | None, Meta(description="Why the provider refused the last submission.")]
    clocks: list[ClockView]
    version: int
