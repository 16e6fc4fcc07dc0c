"""Refund policies: who may approve how much, and give how much credit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import APPROVAL_HOURS_MAX, NAME_MAX, POLICY_LINES_MAX
from app.billing.schemas.money import Amount, CurrencyCode
from app.identity.constants import Role

ONE_LINE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*\S[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
PolicyName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["Autumn 2026"])
]
ApprovalHours = Annotated[
    int,
    Meta(ge=1, le=APPROVAL_HOURS_MAX, description="An approval that was not used by then expires."),
]


class ApprovalLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a role may approve in a currency. A role without any approves nothing."""

    role: Annotated[Role, Meta(description="`agent`, `lead` or `admin`.")]
    currency: Annotated[
        CurrencyCode | None, Meta(description="Null: every currency that the role has no own limit in.")
    ] = None
    per_request: Annotated[
        Amount | None, Meta(description="Minor units; null: any amount. At most `per_day`.")
    ] = None
    per_day: Annotated[
        Amount | None, Meta(description="Minor units an approver and UTC day; null: any amount.")
    ] = None


class GoodwillLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much credit may be given as goodwill in a currency."""

    currency: CurrencyCode
    per_grant: Annotated[
        dict[Role, Amount],
        Meta(max_length=3, description="Minor units, by role.", examples=[{"lead": 40000}]),
    ]
    per_quarter: Annotated[
        Amount | None, Meta(description="Minor units an account and quarter; null: any amount.")
    ] = None


class RefundPolicyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next version of the policy, whole."""

    name: PolicyName
    limits: Annotated[
        list[ApprovalLimit],
        Meta(
            min_length=1,
            max_length=POLICY_LINES_MAX,
            examples=[[{"role": "lead", "currency": "EUR", "per_request": 200000, "per_day": 800000}]],
        ),
    ]
    goodwill: Annotated[list[GoodwillLimit], Meta(max_length=POLICY_LINES_MAX, examples=[[]])] = []
    approval_hours: ApprovalHours = 72


class RefundPolicyView(Struct, frozen=True, kw_only=True):
    """One version of the policy; it never changes, the newest is in force."""

    version: int
    in_force: bool
    name: str
    limits: list[ApprovalLimit]
    goodwill: list[GoodwillLimit]
    approval_hours: int
    created_by_id: UUID | None
    created_at: datetime
