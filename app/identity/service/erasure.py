"""What identity itself holds about a person, handed out and erased; ``app.privacy`` does all rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.models import ApiKey, Person
from app.identity.service.people import LOCK_SUBJECT
from app.identity.utils import erased_subject, subject_lock

ERASED_NAME = "erased person"
KEY_FIELDS = ("id", "prefix", "name", "role", "created_at", "expires_at", "revoked_at", "last_used_at")


async def export_keys(session: AsyncSession, person_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """The person's API keys, without what could be used."""
    keys = await session.scalars(
        select(ApiKey).where(ApiKey.person_id == person_id).order_by(ApiKey.created_at, ApiKey.id)
    )
    return {"api_keys": [{name: getattr(key, name) for name in KEY_FIELDS} for key in keys]}


async def lock_for_erasure(session: AsyncSession, person_id: UUID) -> Person | None:
    """The person, whom nobody changes, makes anew or writes for until the transaction ends; None: no such."""
    external_id = await session.scalar(select(Person.external_id).where(Person.id == person_id))
    if external_id is not None:  # first, as does whoever makes a person
        await session.execute(LOCK_SUBJECT, {"number": subject_lock(external_id)})
    return await session.get(Person, person_id, with_for_update=True, populate_existing=True)


async def erase_person(session: AsyncSession, person: Person) -> Sequence[UUID]:
    """Make the locked person nameless and their keys useless; ids of the keys.

    Kept are the id, to which others refer, account and role, and a hash of the external id.
    """
    if person.erased_at is None:
        subject = None if person.external_id is None else erased_subject(person.external_id)
        await session.execute(
            update(Person)
            .where(Person.id == person.id)
            .values(
                external_id=None,
                name=ERASED_NAME,
                email=None,
                active=False,
                sees_account=False,
                erased_at=func.now(),
                erased_subject=subject,
            )
            .execution_options(synchronize_session=False)
        )
    keys = await session.scalars(
        update(ApiKey)
        .where(ApiKey.person_id == person.id, ApiKey.name != ERASED_NAME)
        .values(name=ERASED_NAME, revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    return keys.all()
