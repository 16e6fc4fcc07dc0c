"""What the mail room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.datastructures import UploadFile
from msgspec import Meta, Struct

from app.mail.constants import (
    ADDRESS_MAX,
    EVERYTHING,
    SCOPE_MAX,
    InboundStatus,
    OutgoingStatus,
    SuppressionReason,
    Verdict,
)

ADDRESS_PATTERN = r"^[^\s@\x00-\x1f\x7f-\x9f]+@[^\s@\x00-\x1f\x7f-\x9f]+$"
SCOPE_PATTERN = r"^(\*|[a-z][a-z0-9_]*)$"


class InboundMailReceipt(Struct, frozen=True, kw_only=True):
    """That a mail was taken in. The same mail again gets the receipt of the first."""

    id: UUID
    status: InboundStatus
    verdict: Annotated[Verdict | None, Meta(description="What became of it; null until it is processed.")]
    duplicate: Annotated[bool, Meta(description="Whether it had been taken in before.")]


class InboundMailForm(Struct, frozen=True, kw_only=True):
    """A form of a mail provider; its other fields are not read."""

    email: Annotated[UploadFile, Meta(description="The raw message; also as `raw` or `body-mime`.")]


class MailSubject(Struct, frozen=True, kw_only=True):
    """What a mail belongs to."""

    type: Annotated[str, Meta(examples=["ticket"])]
    id: UUID


class InboundMailView(Struct, frozen=True, kw_only=True):
    """A mail that came in, and what became of it."""

    id: UUID
    message_id: Annotated[str, Meta(examples=["CAF=x1@mail.example.com"])]
    sender: Annotated[str | None, Meta(description="As the mail says; null until it is read, and erased.")]
    title: str | None
    size: Annotated[int, Meta(description="Bytes of the raw message.")]
    status: InboundStatus
    verdict: Verdict | None
    reason: Annotated[str | None, Meta(description="What led to the verdict.", examples=["auto_submitted"])]
    error: Annotated[str | None, Meta(description="Kind of the last failure, while it is not processed.")]
    attempts: Annotated[int, Meta(description="Failed attempts to process it.")]
    person_id: UUID | None
    desk: str | None
    subject: MailSubject | None
    created_at: datetime
    processed_at: datetime | None


class OutgoingMailView(Struct, frozen=True, kw_only=True):
    """A mail of ours, and how far it has got."""

    id: UUID
    message_id: str
    template: Annotated[str, Meta(examples=["reply"])]
    recipient: Annotated[str | None, Meta(description="Null when its person was erased.")]
    title: str | None
    automatic: bool
    scope: str | None
    status: OutgoingStatus
    error: Annotated[str | None, Meta(description="Why it was not sent, or not yet.", examples=["550 5.1.1"])]
    attempts: int
    next_attempt_at: datetime | None
    person_id: UUID | None
    subject: MailSubject | None
    created_at: datetime
    sent_at: datetime | None


class MailSuppressionView(Struct, frozen=True, kw_only=True):
    """An address that gets no mail."""

    id: UUID
    address: Annotated[str, Meta(examples=["ada@example.com"])]
    scope: Annotated[str, Meta(description="Of which mails; `*`: of all.", examples=["*"])]
    reason: SuppressionReason
    source: Annotated[str, Meta(description="What put it on the list.", examples=["delivery_report"])]
    created_at: datetime


class MailSuppressionCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address to suppress by hand."""

    address: Annotated[
        str,
        Meta(min_length=3, max_length=ADDRESS_MAX, pattern=ADDRESS_PATTERN, examples=["ada@example.com"]),
    ]
    scope: Annotated[str, Meta(min_length=1, max_length=SCOPE_MAX, pattern=SCOPE_PATTERN)] = EVERYTHING
