"""Writing events; reading them is the rest of the room."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from app.events.constants import CHANNEL
from app.logs import request_id

if TYPE_CHECKING:  # identity records events itself
    from app.identity.principal import Principal

logger = logging.getLogger(__name__)

INSERT = text("""
insert into event (type, subject_type, subject_id, actor_kind, actor_person_id, actor_key_id, actor_role,
                   account_id, person_id, customer_visible, staff_fields, audit, before, after, request_id)
values (:type, :subject_type, :subject_id, :actor_kind, :actor_person_id, :actor_key_id, :actor_role,
        :account_id, :person_id, :customer_visible, CAST(:staff_fields AS text[]), :audit,
        CAST(:before AS jsonb), CAST(:after AS jsonb), :request_id)
returning id
""")
NOTIFY = f"notify {CHANNEL}"
NOTIFY_SECONDS = 2.0
ANNOUNCED = "events.announced"  # key of the session's info: the connection that recorded
FORGET = text("select forget_events(:subject_type, :subject_id)")


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: ``Subject("ticket", id)``. Events keep their order a subject."""

    type: str
    id: UUID


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    *,
    subject: Subject,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    account_id: UUID | None = None,
    person_id: UUID | None = None,
    customer_visible: bool = False,
    staff_fields: Collection[str] = (),
    audit: bool = False,
) -> UUID:
    """Write one event in the caller's transaction; returns its id.

    ``type``: ``ticket.created``: what happened to what, past tense. ``before`` and ``after``: the fields that
    changed and no others; a thing that was made has no before, one that was deleted no after.
    ``account_id`` and ``person_id``: whose it is. With ``customer_visible`` those customers see it, without
    ``staff_fields``; everything else is for staff. ``audit``: also in the list that admins keep.

    Whatever is personal in ``before`` and ``after`` is gone after ``forget``. No secrets, no message texts.
    Listeners on ``CHANNEL`` are woken right after the commit; a process that is killed in between wakes
    nobody, so they also look by themselves now and then.
    """
    values = {
        "type": type,
        "subject_type": subject.type,
        "subject_id": subject.id,
        "actor_kind": str(actor.kind),
        "actor_person_id": actor.person_id,
        "actor_key_id": actor.key_id,
        "actor_role": str(actor.role),
        "account_id": account_id,
        "person_id": person_id,
        "customer_visible": customer_visible,
        "staff_fields": sorted(staff_fields),
        "audit": audit,
        "before": _encode(before),
        "after": _encode(after),
        "request_id": request_id.get() or None,
    }
    identity: UUID = (await session.execute(INSERT, values)).scalar_one()
    if ANNOUNCED not in session.info:
        connection = await session.connection()
        session.info[ANNOUNCED] = (await connection.get_raw_connection()).dbapi_connection
    return identity


async def forget(session: AsyncSession, subject: Subject) -> int:
    """Empty ``before`` and ``after`` of every event about a subject, for the erasure of a person.

    The rows stay: that something happened, when, and to which id. Returns how many were emptied.
    """
    found = await session.execute(FORGET, {"subject_type": subject.type, "subject_id": subject.id})
    return int(found.scalar_one())


@event.listens_for(Session, "after_commit")
def _notify(session: Session) -> None:
    """Wake the listeners by a transaction of its own.

    Within the one that recorded, NOTIFY would hold a lock of the whole server until its commit is on disk:
    commits would wait for each other, and 8 writers were as slow as 3.
    """
    if session.in_nested_transaction():
        return  # a savepoint: nothing is committed yet
    connection = session.info.pop(ANNOUNCED, None)
    if connection is None:
        return
    try:
        connection.run_async(lambda driver: driver.execute(NOTIFY, timeout=NOTIFY_SECONDS))
    except Exception as error:  # noqa: BLE001 - what is committed is committed, and readers look by themselves
        logger.warning("listeners of events were not woken: %s", type(error).__name__)


@event.listens_for(Session, "after_transaction_end")
def _forget_connection(session: Session, transaction: SessionTransaction) -> None:
    """A session that rolled back may go on with another connection."""
    if transaction.parent is None:
        session.info.pop(ANNOUNCED, None)


def _encode(fields: Mapping[str, Any] | None) -> str | None:
    return None if fields is None else msgspec.json.encode(dict(fields)).decode()
