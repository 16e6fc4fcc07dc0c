"""Query parameters that the desk's lists take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from app.billing.constants import CaseKind, CasePriority, CaseStatus
from app.listing import SEARCH_MAX, several

KindFilter = Annotated[list[CaseKind] | None, several("kind", "Cases of this kind.")]
StatusFilter = Annotated[list[CaseStatus] | None, several("status", "Cases that stand there.")]
PriorityFilter = Annotated[list[CasePriority] | None, several("priority", "Of this priority.")]
AssigneeFilter = Annotated[list[UUID] | None, several("assignee_id", "Staff: whose assignee this is.")]
UnassignedFilter = Annotated[
    bool | None, QueryParameter(name="unassigned", description="Staff: whether nobody is their assignee.")
]
RequesterFilter = Annotated[list[UUID] | None, several("requester_id", "Whose requester this is.")]
AccountFilter = Annotated[list[UUID] | None, several("account_id", "Of this account.")]
InvoiceFilter = Annotated[list[UUID] | None, several("invoice_id", "About this invoice.")]
PaymentFilter = Annotated[list[UUID] | None, several("payment_id", "About this payment.")]
DisputeFilter = Annotated[list[UUID] | None, several("dispute_id", "About this dispute.")]
SubscriptionFilter = Annotated[list[UUID] | None, several("subscription_id", "About this subscription.")]
IssueFilter = Annotated[list[UUID] | None, several("issue_id", "Staff: behind which this known issue is.")]
TagFilter = Annotated[list[str] | None, several("tag", "Staff: with this tag.")]
NumberFilter = Annotated[list[str] | None, several("number", "`BIL-7` or `7`.")]
CurrencyFilter = Annotated[list[str] | None, several("currency", "In this currency (ISO 4217).")]
WaitingFilter = Annotated[
    bool | None, QueryParameter(name="waiting", description="Whether their customer waits for an answer.")
]
QueryFilter = Annotated[
    str | None,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=SEARCH_MAX,
        description="Words in subject, description and messages; or a number.",
    ),
]
UpdatedAfter = Annotated[
    datetime | None, QueryParameter(name="updated_after", description="Changed then or later.")
]
UpdatedBefore = Annotated[
    datetime | None, QueryParameter(name="updated_before", description="Changed before.")
]
