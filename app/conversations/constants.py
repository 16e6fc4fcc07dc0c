"""Names and limits of the conversations room."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class MessageKind(StrEnum):
    """Who reads a message: everybody in the conversation, or the staff (`note`, `system`)."""

    public = "public"
    note = "note"
    system = "system"


class Speaker(StrEnum):
    """On whose behalf a message speaks: the customer's side, a person of the staff, or no person."""

    customer = "customer"
    staff = "staff"
    machine = "machine"


class Channel(StrEnum):
    """How a message came in."""

    api = "api"
    email = "email"
    web = "web"


class BodyFormat(StrEnum):
    """How a message's text is written."""

    markdown = "markdown"
    text = "text"
    html = "html"


class ParticipantRole(StrEnum):
    """What somebody is to a conversation; it has one requester and one assignee at most."""

    requester = "requester"
    assignee = "assignee"
    watcher = "watcher"
    cc = "cc"


class TextStatus(StrEnum):
    """Where an attachment's text stands: `none` when it is of a kind that has none."""

    queued = "queued"
    ready = "ready"
    none = "none"
    failed = "failed"


SINGLE_ROLES = frozenset({ParticipantRole.requester, ParticipantRole.assignee})

BODY_MAX_BYTES = 64 * 1024  # of Markdown and plain text, UTF-8
HTML_MAX_BYTES = 512 * 1024  # of HTML, which comes by e-mail and is mostly markup
ATTACHMENTS_MAX = 20  # a message
PENDING_MAX = 100  # uploads of one caller that are in no message yet
PARTICIPANTS_MAX = 100  # a conversation
SUBJECT_TYPE_MAX = 64
EMAIL_MAX = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
MESSAGE_ID_MAX = 998  # RFC 5322, section 2.1.1: the longest line
NAME_MAX = 200  # characters of a file's name
QUERY_MAX = 200
TEXT_MAX = 1_000_000  # characters of an attachment's text that are kept
PURGE_BATCH = 500
ORPHAN_AGE = timedelta(hours=24)

EXTRACT_JOB = "conversations.extract"
UNNAMED = "attachment"
