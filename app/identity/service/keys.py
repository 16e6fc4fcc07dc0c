"""API keys: made, listed, revoked, and when they were last used."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.exceptions import NotFoundError, PermissionDeniedError
from app.identity.constants import KEY_MAX_LIFETIME, LAST_USED_RESOLUTION, Role
from app.identity.exceptions import InvalidKeyRequestError, UnknownPersonError
from app.identity.keys import generate_key, hash_key, key_prefix
from app.identity.models import ApiKey, Person
from app.identity.principal import SYSTEM, Principal
from app.identity.utils import clean_name
from app.listing import Listing

KEYS = Listing(ApiKey, sorts={"created_at": ApiKey.created_at, "name": ApiKey.name}, default="-created_at")


async def create_key(
    session: AsyncSession,
    *,
    name: str,
    role: Role,
    person_id: UUID | None = None,
    expires_at: datetime | None = None,
    created_by: Principal | None = None,
) -> tuple[ApiKey, str]:
    """(key, its text). The text is not stored and cannot be had again. ``created_by`` None: the command line.

    Errors: ``PermissionDeniedError`` for a role above the creator's, ``InvalidKeyRequestError``,
    ``UnknownPersonError``.
    """
    creator = created_by or SYSTEM
    if not creator.at_least(role):
        raise PermissionDeniedError("A key cannot have a higher role than the one who makes it.")
    _check_expiry(expires_at)
    await _check_person(session, person_id=person_id, role=role)
    values = {
        "name": clean_name(name),
        "role": role,
        "person_id": person_id,
        "expires_at": expires_at,
        "created_by": creator.person_id or creator.key_id,
    }
    while True:  # until the prefix is a new one; of 2 * 10**14 it nearly always is
        text = generate_key()
        statement = insert(ApiKey).values(
            values | {"prefix": key_prefix(text), "secret_hash": hash_key(text)}
        )
        statement = statement.on_conflict_do_nothing(index_elements=["prefix"])
        key = (await session.scalars(statement.returning(ApiKey))).one_or_none()
        if key is not None:
            await _record(session, "api_key.created", key, actor=creator)
            return key, text


async def _record(session: AsyncSession, type: str, key: ApiKey, *, actor: Principal) -> None:  # noqa: A002 - the event's type
    """For the audit, without the secret and whatever could tell it."""
    made = {"name": key.name, "role": key.role, "person_id": key.person_id, "expires_at": key.expires_at}
    was_made = type == "api_key.created"
    await events.record(
        session,
        type,
        subject=Subject("api_key", key.id),
        actor=actor,
        before=None if was_made else {"revoked_at": None},
        after=made | {"prefix": key.prefix} if was_made else {"revoked_at": key.revoked_at},
        person_id=key.person_id,
        audit=True,
    )


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise InvalidKeyRequestError("expires_at needs a time zone.")
    if not datetime.now(UTC) < expires_at < datetime.now(UTC) + KEY_MAX_LIFETIME:
        raise InvalidKeyRequestError("expires_at must lie in the future, and within a hundred years.")


async def _check_person(session: AsyncSession, *, person_id: UUID | None, role: Role) -> None:
    if person_id is None:
        if role == Role.customer:
            raise InvalidKeyRequestError("A customer's key needs a person.")
        return
    # Locked, so that no erasure comes between now and the commit.
    person = await session.get(
        Person, person_id, with_for_update={"read": True, "key_share": True}, populate_existing=True
    )
    if person is None or person.erased_at is not None:
        raise UnknownPersonError("There is no such person.", person_id=person_id)
    if role > person.role:
        raise InvalidKeyRequestError("A person's key cannot have a higher role than the person.")


async def revoke_key(session: AsyncSession, key_id: UUID, *, actor: Principal = SYSTEM) -> ApiKey:
    """Stop a key from its next request on; again changes nothing. ``NotFoundError`` when there is none.

    The last admin's key may go too: the command line can always make another.
    """
    key = await session.get(ApiKey, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFoundError("There is no such key.")
    if key.revoked_at is not None:
        return key
    statement = update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=func.now()).returning(ApiKey)
    key = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    await _record(session, "api_key.revoked", key, actor=actor)
    return key


async def record_key_use(session: AsyncSession, key_id: UUID) -> None:
    """Note that a key was used, at most once a minute; of callers at once one writes and none waits."""
    due = (
        select(ApiKey.id)
        .where(ApiKey.id == key_id)
        .where(or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - LAST_USED_RESOLUTION))
        .with_for_update(skip_locked=True)
    )
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id.in_(due))
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )
