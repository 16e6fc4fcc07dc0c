"""Mail about a case: what was written goes to who takes part in it, in the transaction of what it tells."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.billing.constants import SUBJECT_TYPE
from app.billing.desk import Desk
from app.billing.models import Case
from app.billing.service.cases.changes import subject_of
from app.billing.utils.numbers import CASES
from app.conversations import Posted
from app.conversations.constants import MessageKind, Speaker
from app.conversations.models import Message
from app.identity.models import Person

TEAM = "Billing"


async def replied(session: AsyncSession, desk: Desk, case: Case, posted: Posted) -> None:
    """A message goes to everybody on the case but its author, a note to the staff among them.

    Watchers and who was copied may unsubscribe from the case; requester and assignee take part in it.
    """
    if not desk.mailer.is_on:
        return
    message = posted.message
    author = await _author(session, message)
    readers = await conversations.participants.recipients(
        session, posted.conversation, kind=MessageKind(message.kind), besides=message.author_person_id
    )
    for reader in readers:
        if reader.address == (message.author_email or "").lower():
            continue
        await desk.mailer.send(
            session,
            template="reply",
            to=reader.address,
            to_name=reader.name,
            person_id=reader.person_id,
            from_name=author,
            title=title_of(case),
            context={"body": message.body_text, "body_html": message.body_html, "author": author},
            subject=subject_of(case.id),
            automatic=message.automatic,
            scope=f"{SUBJECT_TYPE}:{case.id}" if reader.may_leave else None,
        )


def title_of(case: Case) -> str:
    """``[BIL-7] Charged twice``: people find it by the number; answers are found by their headers."""
    return f"[{CASES.shown(case.number)}] {case.subject}"


async def _author(session: AsyncSession, message: Message) -> str:
    """Customers are named by their address at most where they are no person here."""
    if message.author_person_id is not None:
        person = await session.get(Person, message.author_person_id)
        if person is not None:
            return person.name
    return message.author_email or TEAM if message.speaker == Speaker.customer else TEAM
