"""Who may see which conversation, message and attachment: one rule, as conditions of a query.

Staff see everything. A customer sees the conversations that they asked for or take part in, and those of
their account if they may; in them the public messages, and the attachments of those.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true, union
from sqlalchemy.orm import aliased

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


def things_of(principal: Principal, model: Any, subject_type: str) -> ColumnElement[bool]:
    """A desk's things, which have conversations of this type, that the caller may see: the rule of these, so
    that a thing and what is said on it agree. ``model`` has ``id``, ``requester_id`` and ``account_id``.

    Of a customer as one set of ids: conditions joined by ``or`` would be looked at on every row there is.
    """
    if principal.is_staff:
        return true()
    thing = aliased(model, name="own")
    entitled: list[Select[Any]] = []
    if principal.person_id is not None:
        takes_part = (
            select(Conversation.subject_id)
            .join(Participant, Participant.conversation_id == Conversation.id)
            .where(Conversation.subject_type == subject_type, Participant.person_id == principal.person_id)
        )
        entitled += [select(thing.id).where(thing.requester_id == principal.person_id), takes_part]
    if principal.sees_account and principal.account_id is not None:
        entitled.append(select(thing.id).where(thing.account_id == principal.account_id))
    condition: ColumnElement[bool] = model.id.in_(union(*entitled)) if entitled else false()
    return condition


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
