"""Notices by mail: whatever is due of a person goes out as one mail, once.

A person's mail and the marks of what it tells are one transaction, with the person's row locked: any number
of workers may be at it, and each may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.features.constants import NoticeKind
from app.features.desk import Desk
from app.features.models import Notice, NoticePreference, ReleaseRequest, Request
from app.features.service.notices.reading import listed, show_all
from app.features.service.subscriptions import wanting
from app.features.utils import notice_text
from app.identity.constants import PrincipalKind
from app.identity.models import Person
from app.identity.principal import Principal

SCOPE = "features"  # what a reader unsubscribes from by the link in such a mail
MAIL_SECONDS = 30.0  # between two looks at what is due


async def mail_due(database: Database, desk: Desk, *, at: datetime | None = None) -> int:
    """Mail what is due at ``at`` (now); how many people got one.

    While outgoing mail is off, what is due is not kept: nobody wants last year's notices on the day that it
    is turned on.
    """
    at, mailed = at or datetime.now(UTC), 0
    while True:
        async with database.session() as session:
            person = await _claim(session, at)
            if person is None:
                return mailed
            mailed += await _mail(session, desk, person, at)


async def _claim(session: AsyncSession, at: datetime) -> Person | None:
    """Somebody whom nobody else is mailing."""
    due = exists().where(Notice.person_id == Person.id, Notice.mail_due_at <= at)
    claim = select(Person).where(due).order_by(Person.id).limit(1)
    locking = claim.with_for_update(key_share=True, skip_locked=True)
    return await session.scalar(locking, execution_options={"populate_existing": True})


async def _mail(session: AsyncSession, desk: Desk, person: Person, at: datetime) -> bool:
    told = await _due(session, person, at) if desk.mailer.is_on and await _may_mail(session, person) else []
    mail = None
    if told:
        shown = await show_all(session, told)
        mail = await desk.mailer.send(
            session,
            template="notice",
            to=person.email or "",
            to_name=person.name,
            person_id=person.id,
            title=notice_text.title(shown),
            context={"heading": "News about what you asked for", "body": notice_text.body(shown)},
            scope=SCOPE,
        )
    over = update(Notice).where(Notice.person_id == person.id, Notice.mail_due_at <= at)
    await session.execute(over.values(mail_due_at=None).execution_options(synchronize_session=False))
    if mail is None:
        return False
    mine = update(Notice).where(Notice.id.in_([each.id for each in told]))
    values = {"mailed_at": at, "mail_id": mail.id}
    await session.flush()
    await session.execute(mine.values(values).execution_options(synchronize_session=False))
    return True


async def _may_mail(session: AsyncSession, person: Person) -> bool:
    if person.email is None or person.erased_at is not None or not person.active:
        return False
    declined = select(NoticePreference.person_id).filter_by(person_id=person.id, email=False)
    return await session.scalar(declined) is None


async def _due(session: AsyncSession, person: Person, at: datetime) -> Sequence[Notice]:
    """What is due, may still be seen, and is still wanted; oldest first."""
    mine = listed(principal=_as(person)).where(Notice.mail_due_at <= at)
    found = (await session.scalars(mine.order_by(Notice.created_at, Notice.id))).all()
    of_release: dict[UUID | None, set[UUID]] = {}
    shipped = select(ReleaseRequest).where(ReleaseRequest.release_id.in_([each.release_id for each in found]))
    for row in await session.scalars(shipped):
        of_release.setdefault(row.release_id, set()).add(row.request_id)
    about: dict[UUID, set[UUID | None]] = {
        each.id: {*of_release.get(each.release_id, ()), each.request_id} for each in found
    }
    roots = await _roots(session, {request_id for ids in about.values() for request_id in ids})
    wants = {
        what: await _wanted(session, person.id, list(roots.values()), what) for what in ("status", "comments")
    }
    return [
        each
        for each in found
        if {roots[request_id] for request_id in about[each.id]}
        & wants["comments" if each.kind == NoticeKind.comment else "status"]
    ]


async def _roots(session: AsyncSession, request_ids: set[UUID | None]) -> dict[UUID | None, UUID]:
    root = func.coalesce(Request.merged_into_id, Request.id)
    found = await session.execute(select(Request.id, root.label("root")).where(Request.id.in_(request_ids)))
    return {each.id: each.root for each in found}


async def _wanted(session: AsyncSession, person_id: UUID, root_ids: Sequence[UUID], what: str) -> set[UUID]:
    wanted = wanting(root_ids, what="status" if what == "status" else "comments").subquery()
    mine = select(wanted.c.root_id).where(wanted.c.person_id == person_id)
    return set(await session.scalars(mine))


def _as(person: Person) -> Principal:
    """What a person may see is what they are told of."""
    return Principal(
        kind=PrincipalKind.system,
        role=person.role,
        person_id=person.id,
        account_id=person.account_id,
        name=person.name,
    )
