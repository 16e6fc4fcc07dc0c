"""Names and limits of the billing desk, the table of a case's transitions, and the ledger's books."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

DESK = "billing"
SUBJECT_TYPE = "billing_case"
NUMBER_PREFIX = "BIL-"

AMOUNT_MAX = 10**15  # minor units: what every JSON reader takes as an exact integer, with room for sums
TITLE_MAX = 300
NAME_MAX = 120
REASON_MAX = 500
NOTE_MAX = 4_000
EXTERNAL_ID_MAX = 255
LINES_MAX = 500  # of one invoice or credit note
IMPORT_ITEMS_MAX = 500
REFERENCES_MAX = 50  # of one case


class CaseKind(StrEnum):
    """What a customer wants, or what happened to them."""

    refund_request = "refund_request"
    duplicate_charge = "duplicate_charge"
    dispute = "dispute"
    invoice_question = "invoice_question"
    credit_request = "credit_request"
    plan_change = "plan_change"
    cancellation = "cancellation"


class CaseStatus(StrEnum):
    """Where a case stands."""

    new = "new"
    open = "open"
    awaiting_customer = "awaiting_customer"
    awaiting_approval = "awaiting_approval"
    awaiting_provider = "awaiting_provider"
    resolved = "resolved"
    closed = "closed"


class CasePriority(StrEnum):
    """How soon it is to be worked on, as the staff decide."""

    low = "low"
    normal = "normal"
    high = "high"
    urgent = "urgent"


class CaseSource(StrEnum):
    """How a case came."""

    api = "api"
    email = "email"
    dispute = "dispute"  # opened by a dispute at the provider
    follow_up = "follow_up"


class Mover(StrEnum):
    """In what capacity somebody moves a case to another status."""

    staff = "staff"
    lead = "lead"
    requester = "requester"
    reply = "reply"  # a customer's public message
    refund = "refund"  # what a refund request does on its way
    timer = "timer"


WORKING = (
    CaseStatus.open,
    CaseStatus.awaiting_customer,
    CaseStatus.awaiting_approval,
    CaseStatus.awaiting_provider,
)
# Whose turn it is not ours: clocks stand still. Waiting for an approval is our own time.
PAUSED = frozenset({CaseStatus.awaiting_customer, CaseStatus.awaiting_provider})
UNFINISHED = frozenset({CaseStatus.new, *WORKING})

_STAFF = frozenset({Mover.staff, Mover.lead})

# (from, to) → who. What is not in it is illegal; closed is final: a reply to it opens a follow-up.
TRANSITIONS: Mapping[tuple[CaseStatus, CaseStatus], frozenset[Mover]] = MappingProxyType(
    {(CaseStatus.new, to): _STAFF | {Mover.refund} for to in WORKING}
    | {(CaseStatus.new, CaseStatus.resolved): _STAFF | {Mover.requester, Mover.refund}}
    | {(one, to): _STAFF | {Mover.refund} for one in WORKING for to in WORKING if one is not to}
    | {(CaseStatus.awaiting_customer, CaseStatus.open): _STAFF | {Mover.reply, Mover.refund}}
    | {(each, CaseStatus.resolved): _STAFF | {Mover.requester, Mover.refund} for each in WORKING}
    | {
        (CaseStatus.resolved, CaseStatus.open): _STAFF | {Mover.reply, Mover.refund},
        (CaseStatus.resolved, CaseStatus.closed): frozenset({Mover.timer, Mover.lead}),
    }
)


class SubscriptionStatus(StrEnum):
    """As the provider calls them."""

    incomplete = "incomplete"
    incomplete_expired = "incomplete_expired"
    trialing = "trialing"
    active = "active"
    past_due = "past_due"
    unpaid = "unpaid"
    paused = "paused"
    canceled = "canceled"


class Interval(StrEnum):
    """How often a subscription is billed."""

    day = "day"
    week = "week"
    month = "month"
    year = "year"


class InvoiceStatus(StrEnum):
    """Where an invoice stands; `unknown` when only its id was heard of."""

    unknown = "unknown"
    draft = "draft"
    open = "open"
    paid = "paid"
    uncollectible = "uncollectible"
    void = "void"


class PaymentStatus(StrEnum):
    """Where a payment stands; `unknown` when only its id was heard of."""

    unknown = "unknown"
    pending = "pending"
    failed = "failed"
    canceled = "canceled"
    succeeded = "succeeded"


class RefundStatus(StrEnum):
    """Where a refund stands: `pending` from its reserve on, whether or not the provider was called."""

    pending = "pending"
    succeeded = "succeeded"
    canceled = "canceled"
    failed = "failed"


class DisputeStatus(StrEnum):
    """As the provider calls them; a `warning` is an inquiry, which takes no money."""

    warning_needs_response = "warning_needs_response"
    warning_under_review = "warning_under_review"
    warning_closed = "warning_closed"
    needs_response = "needs_response"
    under_review = "under_review"
    prevented = "prevented"
    won = "won"
    lost = "lost"


OPEN_DISPUTES = frozenset({DisputeStatus.needs_response, DisputeStatus.under_review})
ANSWERABLE = frozenset({DisputeStatus.warning_needs_response, DisputeStatus.needs_response})


class CreditNoteStatus(StrEnum):
    """Whether a credit note holds."""

    issued = "issued"
    void = "void"


class RequestStatus(StrEnum):
    """How far a refund request has come."""

    requested = "requested"
    approved = "approved"
    rejected = "rejected"
    canceled = "canceled"
    expired = "expired"
    executing = "executing"  # reserved; the provider has been or will be called
    refunded = "refunded"
    failed = "failed"


class RefundReason(StrEnum):
    """Why money goes back."""

    duplicate = "duplicate"
    fraudulent = "fraudulent"
    requested_by_customer = "requested_by_customer"
    billing_error = "billing_error"
    service_failure = "service_failure"
    goodwill = "goodwill"
    other = "other"


class CreditKind(StrEnum):
    """Where a customer's credit comes from."""

    goodwill = "goodwill"
    service = "service"  # an availability target was missed
    referral = "referral"
    overpayment = "overpayment"
    adjustment = "adjustment"


class Provider(StrEnum):
    """Where a mirrored thing comes from."""

    stripe = "stripe"
    sandbox = "sandbox"
    manual = "manual"  # imported from a system that is not connected
    tridesk = "tridesk"  # issued here


class Book(StrEnum):
    """The ledger's accounts; entries are signed, a debit is positive."""

    receivable = "receivable"  # what customers owe
    cash = "cash"  # what lies at the provider or the bank
    revenue = "revenue"
    tax = "tax"  # owed to the tax office
    refunds = "refunds"  # given back, until a credit note explains it
    refunds_payable = "refunds_payable"  # reserved for refunds that are on their way
    customer_credit = "customer_credit"  # what we owe as credit
    disputes_held = "disputes_held"  # taken by the provider while a dispute is open
    disputes_lost = "disputes_lost"
    goodwill = "goodwill"  # the expense behind credit that was given
    bad_debt = "bad_debt"
    out_of_band = "out_of_band"  # settled outside the provider


REQUEST_PREFIX = "REF-"

# (from, to) of a refund request. Refunded → failed: some banks return a refund days after they took it.
REQUEST_TRANSITIONS: Mapping[RequestStatus, frozenset[RequestStatus]] = MappingProxyType(
    {
        RequestStatus.requested: frozenset(
            {RequestStatus.approved, RequestStatus.rejected, RequestStatus.canceled}
        ),
        RequestStatus.approved: frozenset(
            {RequestStatus.executing, RequestStatus.canceled, RequestStatus.expired}
        ),
        RequestStatus.executing: frozenset({RequestStatus.refunded, RequestStatus.failed}),
        RequestStatus.refunded: frozenset({RequestStatus.failed}),
    }
)
REFUND_RANKS: Mapping[RefundStatus, int] = MappingProxyType(
    {RefundStatus.pending: 0, RefundStatus.succeeded: 1, RefundStatus.canceled: 1, RefundStatus.failed: 2}
)
SPLIT_DAYS = 7  # requests on one payment or invoice that are approved within it count as one
POLICY_SUBJECT = UUID("6b1f0f2e-6d0f-7c7e-9a59-3f6c7c0d24aa")  # events know the policy, all versions, as this
POLICY_LINES_MAX = 300
APPROVAL_HOURS_MAX = 30 * 24
NOTE_NUMBER = "CN-{:06d}"  # of a credit note; consecutive but for what was rolled back
COMPARABLE_CREDITS = (CreditKind.goodwill, CreditKind.service)  # from which the next one is suggested
SUGGESTION_CASES = 9  # nearest similar cases, whose median it is
SUGGESTION_FROM = 0.2  # a match's probability; a judgement: similar, and not yet the same
