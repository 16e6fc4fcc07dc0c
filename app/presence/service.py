"""Who has a case open: said by beats, believed for 45 seconds, told on the stream when it changes.

Times are the database's: the clocks of servers differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.events import Subject, announce
from app.events.constants import PresenceState
from app.events.schemas import EventSubject, PresenceChange
from app.identity.principal import Principal
from app.identity.service import hold_person
from app.presence.constants import KIND, LIFETIME, SHOWN_MAX, State
from app.presence.models import Presence
from app.presence.schemas import Viewer

FRESH = {"populate_existing": True}


async def beat(
    session: AsyncSession, subject: Subject, *, principal: Principal, state: State
) -> list[Viewer]:
    """The caller still has the case open, and does this; returns the others. Tells of what is new only.

    Who has it open in two windows is where the last beat came from. ``PersonDeactivatedError`` when the
    person is being erased; ``ValueError`` for the system.
    """
    await hold_person(session, principal.person_id)
    key = {"subject_type": subject.type, "subject_id": subject.id, "viewer_id": _viewer_of(principal)}
    times = {"since": func.now(), "expires_at": func.now() + LIFETIME}
    statement = insert(Presence).values(key | times | {"name": principal.name, "state": state})
    new = statement.excluded
    goes_on = and_(Presence.state == new.state, Presence.expires_at > func.now())
    changes = {
        "name": new.name,
        "state": new.state,
        "since": case((goes_on, Presence.since), else_=new.since),
        "expires_at": new.expires_at,
    }
    # One statement: of two beats at once, the second sees what the first has written, and tells nothing.
    upsert = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
    is_news = (Presence.since == func.now()).label("is_news")
    row, told = (await session.execute(upsert.returning(Presence, is_news), execution_options=FRESH)).one()
    if told:
        await _tell(session, row, PresenceState(row.state))
    return await others(session, subject, principal=principal)


async def leave(session: AsyncSession, subject: Subject, *, principal: Principal) -> None:
    """The caller has closed the case; nothing happens when it was not open."""
    statement = delete(Presence).where(_about(subject), Presence.viewer_id == _viewer_of(principal))
    for row in (await session.scalars(statement.returning(Presence), execution_options=FRESH)).all():
        await _tell(session, row, PresenceState.LEFT)


async def others(session: AsyncSession, subject: Subject, *, principal: Principal) -> list[Viewer]:
    """Who else has the case open, the longest in the same state first, 50 at most."""
    statement = (
        select(Presence)
        .where(_about(subject), Presence.expires_at > func.now())
        .where(Presence.viewer_id != _viewer_of(principal))
        .order_by(Presence.since, Presence.viewer_id)
        .limit(SHOWN_MAX)
    )
    return [_view(row) for row in await session.scalars(statement, execution_options=FRESH)]


async def purge(database: Database) -> int:
    """Count out who was not heard of any more, and say that they have left; returns how many."""
    async with database.session() as session:
        expired = select(Presence).where(Presence.expires_at <= func.now()).with_for_update(skip_locked=True)
        rows: Sequence[Presence] = (await session.scalars(expired)).all()
        for row in rows:
            await _tell(session, row, PresenceState.LEFT)
            await session.delete(row)
    return len(rows)


def _viewer_of(principal: Principal) -> UUID:
    viewer_id = principal.person_id or principal.key_id
    if viewer_id is None:
        raise ValueError("the system looks at nothing")
    return viewer_id


def _about(subject: Subject) -> ColumnElement[bool]:
    return and_(Presence.subject_type == subject.type, Presence.subject_id == subject.id)


def _view(row: Presence) -> Viewer:
    return Viewer(
        viewer_id=row.viewer_id,
        name=row.name,
        state=State(row.state),
        since=row.since,
        expires_at=row.expires_at,
    )


async def _tell(session: AsyncSession, row: Presence, state: PresenceState) -> None:
    """Without ``expires_at``: beats that change nothing are not told, so nobody could go by it."""
    change = PresenceChange(
        subject=EventSubject(type=row.subject_type, id=row.subject_id),
        viewer_id=row.viewer_id,
        name=row.name,
        state=state,
        since=row.since,
    )
    await announce(session, KIND, subject=Subject(row.subject_type, row.subject_id), data=change)


class PresenceData:
    """``knowledge.PersonalData``: a name beside a case, for a minute."""

    name = "presence"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Nothing: a viewer is held before their place."""

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Which cases they have open."""
        statement = select(Presence).where(Presence.viewer_id == person_id)
        rows = await session.scalars(statement)
        return {"open": [{"subject_type": row.subject_type, "subject_id": row.subject_id} for row in rows]}

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """They have none open."""
        gone = await session.scalars(
            delete(Presence).where(Presence.viewer_id == person_id).returning(Presence.viewer_id)
        )
        return {"open": len(gone.all())}


PRESENCE_DATA = PresenceData()
