"""A solved ticket as a resolution note: its problem, and the solution that was accepted, of nobody's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import MessageKind, Speaker
from app.conversations.models import Conversation, Message, Participant
from app.identity.models import Account, Person
from app.technical.constants import NOTE_MAX, SUBJECT_TYPE
from app.technical.models import Ticket
from app.technical.utils.anonymity import anonymous
from app.technical.utils.pleasantries import essence, is_acknowledgement

LOOKED_AT = 50  # last public messages, among which the solution is looked for


@dataclass(frozen=True, slots=True)
class Composed:
    """The texts of a note; the title is as the ticket's subject was."""

    title: str
    problem: str = field(repr=False)
    solution: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a ticket's texts may name."""

    people: tuple[str, ...]
    accounts: tuple[str, ...]

    def removed_from(self, text: str) -> str:
        """The text of nobody's name, at most ``NOTE_MAX`` long."""
        return anonymous(text, people=self.people, accounts=self.accounts)[:NOTE_MAX].strip()


async def compose(session: AsyncSession, ticket: Ticket) -> Composed | None:
    """The note of a ticket that was solved just now; None when nobody of the staff has said how."""
    said = await last_messages(session, ticket.id)
    solution = solution_of(said, ticket)
    if not solution:
        return None
    named = await named_on(session, ticket)
    told = "\n\n".join(essence(each.body_text) for each in solution)
    composed = Composed(
        title=named.removed_from(ticket.subject),
        problem=named.removed_from(essence(ticket.description)),
        solution=named.removed_from(told),
    )
    return composed if composed.solution and composed.problem else None


def solution_of(said: Sequence[Message], ticket: Ticket) -> list[Message]:
    """Of public messages, newest first, those that solved the ticket, oldest first.

    The one that it was solved with; or else what the staff wrote since the customer wrote last, where a short
    "thanks, that works" is not counted as writing.
    """
    if said and said[0].speaker == Speaker.staff and said[0].created_at == ticket.solved_at:
        return [said[0]]
    rest = list(said)
    while rest and rest[0].speaker == Speaker.customer and is_acknowledgement(rest[0].body_text):
        rest.pop(0)
    answers: list[Message] = []
    for each in rest:
        if each.speaker != Speaker.staff:
            break
        answers.append(each)
    return answers[::-1]


async def named_on(session: AsyncSession, ticket: Ticket) -> Named:
    """Everybody on a ticket: requester, participants, who wrote; its account."""
    conversation = select(Conversation.id).where(
        Conversation.subject_type == SUBJECT_TYPE, Conversation.subject_id == ticket.id
    )
    takes_part = select(Participant.person_id).where(Participant.conversation_id.in_(conversation))
    wrote = select(Message.author_person_id).where(Message.conversation_id.in_(conversation))
    concerned = {each for each in (ticket.requester_id, ticket.assignee_id) if each is not None}
    people = await session.scalars(
        select(Person.name).where(
            or_(Person.id.in_(concerned), Person.id.in_(takes_part), Person.id.in_(wrote))
        )
    )
    accounts = await session.scalars(select(Account.name).where(Account.id == ticket.account_id))
    return Named(tuple(people), tuple(accounts))


async def last_messages(session: AsyncSession, ticket_id: UUID) -> Sequence[Message]:
    """Public ones by people, newest first."""
    statement = (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.subject_type == SUBJECT_TYPE,
            Conversation.subject_id == ticket_id,
            Message.kind == MessageKind.public,
            Message.automatic.is_(False),
            Message.redacted_at.is_(None),
        )
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(LOOKED_AT)
    )
    return (await session.scalars(statement)).all()
