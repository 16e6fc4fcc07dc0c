"""Who may see which conversation, message and attachment: one rule, as conditions of a query.

Staff see everything. A customer sees the conversations that they asked for or take part in, and those of
their account if they may; in them the public messages, and the attachments of those.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, false, or_, select, true

from app.conversations.constants import MessageKind
from app.conversations.models import Attachment, Conversation, Message, Participant
from app.identity.principal import Principal


def conversations_of(principal: Principal) -> ColumnElement[bool]:
    """Conversations that the caller may see."""
    if principal.is_staff:
        return true()
    conditions: list[ColumnElement[bool]] = [false()]
    if principal.person_id is not None:
        takes_part = select(Participant.conversation_id).where(Participant.person_id == principal.person_id)
        conditions += [Conversation.requester_id == principal.person_id, Conversation.id.in_(takes_part)]
    if principal.sees_account and principal.account_id is not None:
        conditions.append(Conversation.account_id == principal.account_id)
    return or_(*conditions)


def messages_of(principal: Principal) -> ColumnElement[bool]:
    """Of the messages of a conversation that the caller sees, those that they may read."""
    return true() if principal.is_staff else Message.kind == MessageKind.public


def attachments_of(principal: Principal) -> ColumnElement[bool]:
    """What the caller uploaded and has not sent, and what was sent with a message that they may read."""
    sent = select(Message.id).join(Conversation, Conversation.id == Message.conversation_id)
    readable = sent.where(conversations_of(principal), messages_of(principal))
    unsent = and_(Attachment.message_id.is_(None), uploaded_by(principal))
    return or_(unsent, Attachment.message_id.in_(readable))


def uploaded_by(principal: Principal) -> ColumnElement[bool]:
    """Uploads of the same person, whatever their key; of the same key, where it is nobody's."""
    if principal.person_id is not None:
        return Attachment.uploader_person_id == principal.person_id
    return and_(
        Attachment.uploader_person_id.is_(None),
        Attachment.uploader_key_id.is_not_distinct_from(principal.key_id),
    )
