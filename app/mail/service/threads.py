"""Which thread a mail belongs to, and who wrote it.

By a signed token in the address it was sent to, or by the Message-IDs it refers to, when they are of mails
that we stored or sent. Never by its subject line. Who knows a Message-ID or a token is not yet a participant:
both are forwarded and quoted. So the sender's address must be known in the thread, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.knowledge import InboundMail as Desk
from app.mail.reading import Mail
from app.mail.tokens import read_reply_token

BY_MESSAGE_ID = text("""
select message_id, subject_type, subject_id from outgoing_mail
where message_id = any (CAST(:ids AS text[])) and subject_id is not null
union all
select message_id, subject_type, subject_id from inbound_mail
where message_id = any (CAST(:ids AS text[])) and subject_id is not null and verdict = 'accepted'
limit 100
""")
IS_KNOWN = text("""
select exists (
    select from outgoing_mail
    where subject_type = :type and subject_id = :id and recipient = :address and status <> 'suppressed'
) or exists (
    select from inbound_mail
    where subject_type = :type and subject_id = :id and sender = :address and verdict = 'accepted'
)
""")
# The pattern matches the whole address and nothing else, in any case, and can use the index for searching.
PERSON = text("""
select id, account_id from person where active and email ilike :pattern limit 2
""")


@dataclass(frozen=True, slots=True)
class Author:
    """Who a mail is from, as far as its address tells."""

    address: str
    person_id: UUID | None = None
    account_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """``thread``: where the mail belongs. ``claimed``: where it says so, and its sender does not belong."""

    thread: Subject | None = None
    claimed: Subject | None = None


async def find_author(session: AsyncSession, mail: Mail) -> Author:
    """The one active person with the sender's address; nobody when several share it or the mail is forged."""
    if mail.is_forged:
        return Author(mail.sender)
    escaped = mail.sender.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    people = (await session.execute(PERSON, {"pattern": escaped})).all()
    if len(people) != 1:
        return Author(mail.sender)
    return Author(mail.sender, people[0].id, people[0].account_id)


async def find_thread(
    session: AsyncSession,
    mail: Mail,
    author: Author,
    *,
    desks: Mapping[str, Desk],
    secret: str | None,
) -> Found:
    """``desks``: by the type of their threads. ``secret``: that of reply tokens."""
    candidates = [
        *_by_token(mail, secret=secret, types=list(desks)),
        *await _by_message_id(session, mail, types=list(desks)),
    ]
    for candidate in dict.fromkeys(candidates):
        if not mail.is_forged and await _participates(session, candidate, author, desks[candidate.type]):
            return Found(thread=candidate)
    return Found(claimed=candidates[0] if candidates else None)


def _by_token(mail: Mail, *, secret: str | None, types: Sequence[str]) -> list[Subject]:
    if secret is None:
        return []
    tokens = [address.rpartition("@")[0].rpartition("+")[2] for address in mail.recipients if "+" in address]
    found = [read_reply_token(secret, token, types=types) for token in tokens]
    return [subject for subject in found if subject is not None]


async def _by_message_id(session: AsyncSession, mail: Mail, *, types: Sequence[str]) -> list[Subject]:
    """The mail that it answers first, then its ancestors, the nearest first."""
    ids = list(dict.fromkeys([*mail.in_reply_to, *reversed(mail.references)]))
    if not ids:
        return []
    rows = (await session.execute(BY_MESSAGE_ID, {"ids": ids})).all()
    known = sorted(rows, key=lambda row: ids.index(row.message_id))
    return [Subject(row.subject_type, row.subject_id) for row in known if row.subject_type in types]


async def _participates(session: AsyncSession, thread: Subject, author: Author, desk: Desk) -> bool:
    values = {"type": thread.type, "id": thread.id, "address": author.address}
    if (await session.execute(IS_KNOWN, values)).scalar_one():
        return True
    return await desk.participates(session, thread, address=author.address, person_id=author.person_id)
