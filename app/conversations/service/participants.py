"""Participants: who takes part in a conversation, and who gets e-mail about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import (
    PARTICIPANTS_MAX,
    SINGLE_ROLES,
    MessageKind,
    ParticipantRole,
)
from app.conversations.exceptions import ParticipantNotFoundError, TooManyParticipantsError
from app.conversations.models import Conversation, Participant
from app.conversations.schemas import ParticipantView
from app.conversations.service import conversations
from app.conversations.service.listing import names_of
from app.exceptions import InvalidError
from app.identity.constants import Role
from app.identity.exceptions import UnknownPersonError
from app.identity.models import Person
from app.identity.principal import Principal
from app.identity.utils import clean_email


async def add(
    session: AsyncSession,
    conversation: Conversation,
    *,
    actor: Principal,
    role: ParticipantRole,
    person_id: UUID | None = None,
    email: str | None = None,
) -> Participant:
    """Add a person or an address in a role; once more changes nothing. A customer so added sees everything
    public in the conversation. A new requester or assignee takes the former one's place.

    Errors: ``InvalidError`` (not exactly one of the two, or no address), ``UnknownPersonError``,
    ``TooManyParticipantsError``.
    """
    address = await _address(session, person_id, email)
    locked = await conversations.lock(session, conversation.id, principal=actor)
    if role in SINGLE_ROLES:
        await _clear(session, locked, role, except_=person_id)
    values = {"conversation_id": locked.id, "role": role, "person_id": person_id, "email": address}
    statement = insert(Participant).values(values | {"added_by": actor.person_id or actor.key_id})
    made = (await session.scalars(statement.on_conflict_do_nothing().returning(Participant))).one_or_none()
    if made is None:
        return await _existing(session, locked, role, person_id, address)
    if len(await list_all(session, locked)) > PARTICIPANTS_MAX:
        raise TooManyParticipantsError(f"A conversation has {PARTICIPANTS_MAX} participants at most.")
    changes = {"requester_id": person_id} if role == ParticipantRole.requester else {}
    changed = await conversations.change(session, locked, **changes)
    await _record(session, "participant.added", changed, made, actor=actor)
    return made


async def remove(
    session: AsyncSession, conversation: Conversation, participant_id: UUID, *, actor: Principal
) -> None:
    """Take a participant out; a customer no longer sees the conversation if nothing else entitles them.

    ``ParticipantNotFoundError``.
    """
    locked = await conversations.lock(session, conversation.id, principal=actor)
    statement = delete(Participant).where(
        Participant.id == participant_id, Participant.conversation_id == locked.id
    )
    gone = (await session.scalars(statement.returning(Participant))).one_or_none()
    if gone is None:
        raise ParticipantNotFoundError("The conversation has no such participant.")
    changes = {"requester_id": None} if gone.role == ParticipantRole.requester else {}
    changed = await conversations.change(session, locked, **changes)
    await _record(session, "participant.removed", changed, gone, actor=actor)


async def unsubscribe(
    session: AsyncSession,
    conversation: Conversation,
    *,
    actor: Principal,
    person_id: UUID | None = None,
    email: str | None = None,
) -> int:
    """No more e-mail about this conversation to a person or an address; how many rows that changed."""
    address = clean_email(email).lower() if email is not None else None
    locked = await conversations.lock(session, conversation.id, principal=actor)
    statement = update(Participant).where(
        Participant.conversation_id == locked.id,
        _is(person_id, address),
        Participant.unsubscribed.is_(False),
    )
    changed = await session.scalars(statement.values(unsubscribed=True).returning(Participant))
    rows = changed.all()
    for each in rows:
        await _record(session, "participant.unsubscribed", locked, each, actor=actor)
    return len(rows)


async def list_all(session: AsyncSession, conversation: Conversation) -> Sequence[Participant]:
    """Everybody in the conversation, in the order they were added; a bounded number, so without pages."""
    statement = select(Participant).where(Participant.conversation_id == conversation.id)
    return (await session.scalars(statement.order_by(Participant.created_at, Participant.id))).all()


async def show_all(session: AsyncSession, conversation: Conversation) -> list[ParticipantView]:
    """Everybody in the conversation, as the API shows them."""
    rows = await list_all(session, conversation)
    names = await names_of(session, (each.person_id for each in rows))
    return [
        ParticipantView(
            id=each.id,
            role=ParticipantRole(each.role),
            person_id=each.person_id,
            name=names.get(each.person_id) if each.person_id is not None else None,
            email=each.email,
            unsubscribed=each.unsubscribed,
            created_at=each.created_at,
        )
        for each in rows
    ]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody whom a message goes to by e-mail; ``address`` in lower case."""

    address: str
    person_id: UUID | None
    name: str
    may_leave: bool  # a watcher or copied: neither asked nor works on it


async def recipients(
    session: AsyncSession, conversation: Conversation, *, kind: MessageKind, besides: UUID | None = None
) -> Sequence[Recipient]:
    """Whom a message of this kind goes to by e-mail, each address once, in their order.

    Active participants that have an address and did not unsubscribe, without the person ``besides`` (its
    author); of the staff alone, unless it is public.
    """
    address = func.lower(func.coalesce(Participant.email, Person.email))
    may_leave = func.bool_and(Participant.role.in_((ParticipantRole.watcher, ParticipantRole.cc)))
    # One of those who share an address; Postgres has no min() of ids.
    person_id = func.min(cast(Person.id, Text))
    statement = (
        select(address, person_id, func.coalesce(func.min(Person.name), ""), may_leave)
        .select_from(Participant)
        .outerjoin(Person, Person.id == Participant.person_id)
        .where(Participant.conversation_id == conversation.id, address.is_not(None))
        .where(or_(Person.id.is_(None), Person.active))
        .group_by(address)
        .having(func.bool_and(~Participant.unsubscribed))
        .order_by(address)
    )
    if besides is not None:
        statement = statement.where(Participant.person_id.is_distinct_from(besides))
    if kind != MessageKind.public:
        statement = statement.where(Person.role != Role.customer)
    return [
        Recipient(row[0], UUID(row[1]) if row[1] else None, row[2], row[3])
        for row in await session.execute(statement)
    ]


async def _address(session: AsyncSession, person_id: UUID | None, email: str | None) -> str | None:
    if (person_id is None) == (email is None):
        message = "Give a person or an e-mail address"
        raise InvalidError(message, errors=[{"field": "person_id", "message": message}])
    # Held before the conversation is locked, as an erasure does.
    held = {"read": True, "key_share": True}
    if person_id is not None and await session.get(Person, person_id, with_for_update=held) is None:
        raise UnknownPersonError("There is no such person.", person_id=person_id)
    if email is None:
        return None
    return clean_email(email).lower()


async def _clear(
    session: AsyncSession, conversation: Conversation, role: ParticipantRole, *, except_: UUID | None
) -> None:
    statement = delete(Participant).where(
        Participant.conversation_id == conversation.id,
        Participant.role == role,
        Participant.person_id.is_distinct_from(except_),
    )
    await session.execute(statement)


async def _existing(
    session: AsyncSession,
    conversation: Conversation,
    role: ParticipantRole,
    person_id: UUID | None,
    email: str | None,
) -> Participant:
    statement = select(Participant).where(
        Participant.conversation_id == conversation.id, Participant.role == role, _is(person_id, email)
    )
    return (await session.scalars(statement)).one()


def _is(person_id: UUID | None, email: str | None) -> ColumnElement[bool]:
    return Participant.email == email if person_id is None else Participant.person_id == person_id


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    conversation: Conversation,
    participant: Participant,
    *,
    actor: Principal,
) -> None:
    """Without the address: events are not searched when a person is erased."""
    after = {
        "participant_id": participant.id,
        "role": participant.role,
        "participant_person_id": participant.person_id,
    }
    await conversations.record(session, type, conversation, actor=actor, after=after)
