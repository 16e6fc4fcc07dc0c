"""Conversations: what is said about a desk's subject, by whom, with which files.

A desk gives each of its subjects a conversation and adds what its own rules make of a message::

    subject = Subject("ticket", ticket.id)
    await conversations.open_conversation(session, subject, actor=principal, requester_id=..., account_id=...)

    conversation = await conversations.get(session, subject, principal=principal)  # 404 if not the caller's
    posted = await conversations.post(session, conversation, author=principal, **structs.asdict(data))
    if posted.is_first_reply: ...  # the desk's own state and clocks, in the same transaction
    return await conversations.show_message(session, posted.message, principal=principal)

    return await conversations.list_messages(session, conversation, principal=principal, limit=20, cursor=...)
"""

from __future__ import annotations

from app.conversations.service import (
    CONVERSATIONS_DATA,
    MESSAGES,
    Found,
    Posted,
    attachments,
    edit,
    find_by_email,
    get,
    get_message,
    give,
    list_messages,
    lock,
    move,
    open_conversation,
    participants,
    post,
    redact,
    search,
    show_attachment,
    show_message,
    show_messages,
    subjects_matching,
)

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
