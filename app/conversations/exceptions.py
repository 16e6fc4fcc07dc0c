"""What the conversations room refuses, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import (
    ConflictError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnprocessableError,
    UnsupportedMediaError,
)


class ConversationNotFoundError(NotFoundError):
    """There is no such conversation for the caller."""

    code = "conversation_not_found"
    title = "Conversation not found"


class MessageNotFoundError(NotFoundError):
    """There is no such message for the caller."""

    code = "message_not_found"
    title = "Message not found"


class ParticipantNotFoundError(NotFoundError):
    """There is no such participant in the conversation."""

    code = "participant_not_found"
    title = "Participant not found"


class AttachmentNotFoundError(NotFoundError):
    """There is no such attachment for the caller."""

    code = "attachment_not_found"
    title = "Attachment not found"


class ConversationExistsError(ConflictError):
    """The subject has a conversation already; ``id`` is its."""

    code = "conversation_exists"
    title = "Conversation exists"


class MessageExistsError(ConflictError):
    """An e-mail with this Message-ID is stored already; ``id`` is its message's."""

    code = "message_exists"
    title = "Message exists"


class MessageRedactedError(ConflictError):
    """The message's text was removed for good; it cannot be changed."""

    code = "message_redacted"
    title = "Message redacted"


class EmptyMessageError(InvalidError):
    """A message without text and attachments."""

    code = "empty_message"
    title = "Empty message"


class MessageTooLargeError(TooLargeError):
    """The message's text is longer than a message's may be; ``maximum`` bytes of UTF-8."""

    code = "message_too_large"
    title = "Message too large"


class UnknownAttachmentError(UnprocessableError):
    """The message names an upload that is not the author's, is sent already or has gone."""

    code = "unknown_attachment"
    title = "Unknown attachment"


class UnknownReplyError(UnprocessableError):
    """The message that this one answers is not in the conversation."""

    code = "unknown_reply"
    title = "Unknown message to reply to"


class TooManyAttachmentsError(UnprocessableError):
    """More attachments than a message may have."""

    code = "too_many_attachments"
    title = "Too many attachments"


class TooManyParticipantsError(UnprocessableError):
    """More participants than a conversation may have."""

    code = "too_many_participants"
    title = "Too many participants"


class TooManyUploadsError(ConflictError):
    """The caller has uploaded as many files as may wait to be sent; send them, or wait a day."""

    code = "too_many_uploads"
    title = "Too many uploads"


class EmptyAttachmentError(UnprocessableError):
    """The file has no content."""

    code = "attachment_empty"
    title = "Attachment empty"


class AttachmentTooLargeError(TooLargeError):
    """The file is larger than an attachment may be; ``maximum`` bytes."""

    code = "attachment_too_large"
    title = "Attachment too large"


class AttachmentRefusedError(UnsupportedMediaError):
    """The file is a program, or its name has an ending that makes a computer run it."""

    code = "attachment_refused"
    title = "Attachment refused"
