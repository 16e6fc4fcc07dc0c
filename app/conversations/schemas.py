"""What a desk's routes about messages take and give, and the routes of attachments.

A struct is for `JSONBody` and for answers; the service takes its fields by name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.datastructures import UploadFile
from msgspec import Meta, Struct

from app.conversations.constants import (
    ATTACHMENTS_MAX,
    BODY_MAX_BYTES,
    BodyFormat,
    Channel,
    MessageKind,
    ParticipantRole,
    Speaker,
    TextStatus,
)
from app.identity.constants import Role

EMAIL_PATTERN = r"^[^\s@\x00-\x1f\x7f-\x9f]+@[^\s@\x00-\x1f\x7f-\x9f]+$"


class AttachmentForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file to send, in a multipart form; an empty field counts as left out."""

    file: UploadFile
    conversation_id: Annotated[
        UUID | None, Meta(description="The only conversation that it may be sent in; any, when left out.")
    ] = None


class AttachmentView(Struct, frozen=True, kw_only=True):
    """A file that was uploaded: its uploader's own until it is sent with a message."""

    id: UUID
    conversation_id: UUID | None
    message_id: Annotated[UUID | None, Meta(description="Null until it is sent.")]
    name: Annotated[str, Meta(examples=["screenshot.png"])]
    media_type: Annotated[
        str, Meta(description="What the content shows, whatever was declared.", examples=["image/png"])
    ]
    size: Annotated[int, Meta(description="Bytes.", examples=[48213])]
    sha256: Annotated[str, Meta(description="Of the content, hexadecimal.")]
    content_id: Annotated[
        str | None,
        Meta(description="Its `cid:` in the e-mail that it came with, if it was shown in the text."),
    ]
    text_status: Annotated[TextStatus, Meta(description="Whether its text can be searched.")]
    created_at: datetime


class Author(Struct, frozen=True, kw_only=True):
    """Who wrote a message; a person who was erased has no name and no id."""

    person_id: UUID | None
    name: Annotated[str | None, Meta(examples=["Ada Lovelace"])]
    role: Role
    key_id: Annotated[UUID | None, Meta(description="The API key, if it was no person; for staff.")] = None
    email: Annotated[
        str | None,
        Meta(description="Of a sender who is no person here; for staff.", examples=["ada@example.com"]),
    ] = None


class MessageView(Struct, frozen=True, kw_only=True):
    """A message in a conversation."""

    id: UUID
    number: Annotated[int, Meta(description="Counts within the conversation, from 1.", examples=[3])]
    kind: MessageKind
    speaker: Speaker
    channel: Channel
    automatic: Annotated[bool, Meta(description="Written by no person, such as a receipt or absence note.")]
    author: Author
    format: BodyFormat
    body: Annotated[str, Meta(description="As it was written, without card numbers.")]
    html: Annotated[str, Meta(description="Safe to show: links only, no images, scripts or styles.")]
    in_reply_to: UUID | None
    attachments: list[AttachmentView]
    version: int
    created_at: datetime
    edited_at: datetime | None
    redacted_at: Annotated[datetime | None, Meta(description="When its text was removed for good.")]


class MessageCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new message; notes are the staff's."""

    body: Annotated[
        str,
        Meta(
            max_length=BODY_MAX_BYTES,
            description="Markdown (CommonMark) or plain text, 64 KiB at most; empty only with attachments.",
            examples=["The **second** payment is missing. Invoice INV-204."],
        ),
    ] = ""
    kind: Annotated[MessageKind, Meta(description="`public` or, for staff, `note`.")] = MessageKind.public
    format: Annotated[BodyFormat, Meta(description="`markdown` or `text`.")] = BodyFormat.markdown
    attachments: Annotated[
        list[UUID],
        Meta(max_length=ATTACHMENTS_MAX, description="Ids of the author's own uploads, not sent before."),
    ] = []
    in_reply_to: UUID | None = None


class MessageUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new text of a message."""

    body: Annotated[
        str, Meta(min_length=1, max_length=BODY_MAX_BYTES, examples=["The second payment is missing."])
    ]


class ParticipantView(Struct, frozen=True, kw_only=True):
    """Somebody in a conversation: a person, or an e-mail address that no person has."""

    id: UUID
    role: ParticipantRole
    person_id: UUID | None
    name: str | None
    email: str | None
    unsubscribed: Annotated[bool, Meta(description="Gets no e-mail about the conversation.")]
    created_at: datetime
