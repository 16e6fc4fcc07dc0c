"""Errors of the billing desk."""

from __future__ import annotations

from app.exceptions import (
    ConflictError,
    InvalidError,
    NotAuthenticatedError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnprocessableError,
)


class CaseNotFoundError(NotFoundError):
    """There is no such case, or the caller may not see it."""

    code = "case_not_found"
    title = "Case not found"


class CaseClosedError(ConflictError):
    """A closed case does not change any more; a public reply to it opens a follow-up."""

    code = "case_closed"
    title = "Case closed"


class InvalidCaseTransitionError(ConflictError):
    """The case cannot go from where it stands to there; `allowed` are the places that the caller may."""

    code = "invalid_transition"
    title = "Invalid transition"


class UnknownReferenceError(UnprocessableError):
    """Something that the request names does not exist, or is of another account; `field` says which."""

    code = "unknown_reference"
    title = "Unknown reference"


class SubscriptionNotFoundError(NotFoundError):
    """There is no such subscription, or the caller may not see it."""

    code = "subscription_not_found"
    title = "Subscription not found"


class InvoiceNotFoundError(NotFoundError):
    """There is no such invoice, or the caller may not see it."""

    code = "invoice_not_found"
    title = "Invoice not found"


class PaymentNotFoundError(NotFoundError):
    """There is no such payment, or the caller may not see it."""

    code = "payment_not_found"
    title = "Payment not found"


class RefundNotFoundError(NotFoundError):
    """There is no such refund, or the caller may not see it."""

    code = "refund_not_found"
    title = "Refund not found"


class DisputeNotFoundError(NotFoundError):
    """There is no such dispute, or the caller may not see it."""

    code = "dispute_not_found"
    title = "Dispute not found"


class CreditNoteNotFoundError(NotFoundError):
    """There is no such credit note, or the caller may not see it."""

    code = "credit_note_not_found"
    title = "Credit note not found"


class RefundRequestNotFoundError(NotFoundError):
    """There is no such refund request, or the caller may not see it."""

    code = "refund_request_not_found"
    title = "Refund request not found"


class BillingAccountNotFoundError(NotFoundError):
    """There is no such account, or the caller may not see what it pays."""

    code = "account_not_found"
    title = "Account not found"


class UnknownCurrencyError(InvalidError):
    """The currency is none of ISO 4217's active ones."""

    code = "unknown_currency"
    title = "Unknown currency"


class CurrencyMismatchError(UnprocessableError):
    """The amount is in another currency than what it is to be taken from; `currency` is that one's."""

    code = "currency_mismatch"
    title = "Currency mismatch"


class NotRefundableError(ConflictError):
    """The payment does not have that much left to refund; `refundable` is how much it has."""

    code = "not_refundable"
    title = "Not refundable"


class PaymentDisputedError(ConflictError):
    """A dispute of the payment is open: nothing of it is refunded meanwhile."""

    code = "payment_disputed"
    title = "Payment disputed"


class ProviderUnavailableError(UnavailableError):
    """The payment provider is not configured, or did not answer."""

    code = "provider_unavailable"
    title = "Provider unavailable"


class RefundPolicyNotFoundError(NotFoundError):
    """There is no such version of the refund policy."""

    code = "refund_policy_not_found"
    title = "Refund policy not found"


class RequestTransitionError(ConflictError):
    """The refund request cannot go from where it stands to there; `allowed` is where it can."""

    code = "invalid_transition"
    title = "Invalid transition"


class ApprovalExpiredError(ConflictError):
    """The approval was not used in time; the money is to be asked for anew."""

    code = "approval_expired"
    title = "Approval expired"


class SelfApprovalError(PermissionDeniedError):
    """Nobody approves what they asked for themselves, with whichever of their credentials."""

    code = "self_approval"
    title = "Self-approval"


class ApprovalLimitError(PermissionDeniedError):
    """More than the caller's role may approve; `left` is what they still may, `roles` who could."""

    code = "approval_limit"
    title = "Approval limit"


class ContradictionError(InvalidError):
    """Amounts that contradict each other; `errors` names the field."""

    code = "contradicting_amounts"
    title = "Contradicting amounts"


class NotCreditableError(ConflictError):
    """The invoice, or one of its lines, does not have that much left to credit; `left` is what it has."""

    code = "not_creditable"
    title = "Not creditable"


class AllocationMismatchError(UnprocessableError):
    """What exceeds the owed part must be refunded, credited and settled elsewhere exactly: `excess`."""

    code = "allocation_mismatch"
    title = "Allocation mismatch"


class NotVoidableError(ConflictError):
    """It is void already, was not issued here, or its money is on its way; `reason` says which."""

    code = "not_voidable"
    title = "Not voidable"


class CreditGrantNotFoundError(NotFoundError):
    """There is no such credit, or the caller may not see it."""

    code = "credit_grant_not_found"
    title = "Credit not found"


class CreditCapError(ConflictError):
    """More goodwill than the policy allows the role, or the account in its quarter; `left` is what it may."""

    code = "credit_cap"
    title = "Credit cap"


class ProviderSignatureError(NotAuthenticatedError):
    """The event is not signed as the provider signs, or too long ago; nothing of it was taken."""

    code = "invalid_signature"
    title = "Invalid signature"


class ProviderEventsOffError(NotFoundError):
    """This server takes no events of that provider: it has no secret to check them by."""

    code = "provider_events_off"
    title = "Provider events are off"


class InvalidEventError(InvalidError):
    """The event is signed and cannot be understood; `errors` says what is missing."""

    code = "invalid_event"
    title = "Invalid event"


class EvidenceSubmittedError(ConflictError):
    """The evidence was submitted already, for good; `submitted_at`."""

    code = "evidence_submitted"
    title = "Evidence submitted"


class EvidenceOverdueError(ConflictError):
    """The bank's deadline for evidence has passed; `due_at`."""

    code = "evidence_overdue"
    title = "Evidence overdue"


class DisputeNotAnswerableError(ConflictError):
    """The dispute is under review or decided: the bank takes no evidence any more."""

    code = "dispute_not_answerable"
    title = "Dispute not answerable"


class EmptyEvidenceError(UnprocessableError):
    """There is no evidence to submit."""

    code = "evidence_empty"
    title = "Evidence empty"


class ConfirmationRequiredError(UnprocessableError):
    """This cannot be undone and must be confirmed; `characters` says what would be sent."""

    code = "confirmation_required"
    title = "Confirmation required"
