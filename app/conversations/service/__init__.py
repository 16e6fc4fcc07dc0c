"""The rules of conversations; no HTTP, and never a commit.

Rows are locked in the order: the desk's own, person, conversation (each by id), message, attachment.
"""

from __future__ import annotations

from app.conversations.service import attachments, participants
from app.conversations.service.conversations import get, give, lock, open_conversation
from app.conversations.service.listing import (
    MESSAGES,
    list_messages,
    show_attachment,
    show_message,
    show_messages,
)
from app.conversations.service.messages import edit, find_by_email, redact
from app.conversations.service.messages import get as get_message
from app.conversations.service.moving import move
from app.conversations.service.personal import CONVERSATIONS_DATA
from app.conversations.service.posting import Posted, post
from app.conversations.service.searching import Found, search, subjects_matching

__all__ = [
    "CONVERSATIONS_DATA",
    "MESSAGES",
    "Found",
    "Posted",
    "attachments",
    "edit",
    "find_by_email",
    "get",
    "get_message",
    "give",
    "list_messages",
    "lock",
    "move",
    "open_conversation",
    "participants",
    "post",
    "redact",
    "search",
    "show_attachment",
    "show_message",
    "show_messages",
    "subjects_matching",
]
