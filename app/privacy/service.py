"""The export and the erasure of a person, one transaction over all rooms.

An erasure holds the person's row ``FOR UPDATE``. Whoever writes something of theirs holds it too
(``identity.service.hold_person``), so that each of their writes comes before, and is erased, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events, idempotency
from app.events import Subject
from app.exceptions import PermissionDeniedError
from app.identity import Principal, Role
from app.identity import service as identity
from app.identity.models import Person
from app.knowledge import PersonalData
from app.privacy.exceptions import ErasureNotFoundError, PersonNotFoundError
from app.privacy.models import Erasure

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


async def export_person(
    session: AsyncSession, person_id: UUID, *, principal: Principal, rooms: Sequence[PersonalData]
) -> tuple[Person, dict[str, Rows]]:
    """(the person, room to kind of row to rows). For admins and for the person themselves.

    Errors: ``PersonNotFoundError``, ``PermissionDeniedError`` for others of the staff.
    """
    if principal.person_id != person_id and not principal.at_least(Role.admin):
        if principal.is_staff:
            raise PermissionDeniedError("Only an admin exports what is stored about others.")
        raise PersonNotFoundError("There is no such person.")
    # Waits for an erasure: half of a person is no export.
    person = await session.get(Person, person_id, with_for_update={"read": True, "key_share": True})
    if person is None:
        raise PersonNotFoundError("There is no such person.")
    sections = {room.name: await room.export(session, person_id) for room in rooms}
    return person, {"identity": await identity.export_keys(session, person_id), **sections}


async def erase_person(
    session: AsyncSession, person_id: UUID, *, principal: Principal, rooms: Sequence[PersonalData]
) -> Erasure:
    """Remove or make nameless whatever is stored about a person; what refers to them stays, and finds nobody.

    Again it finds what is left, usually nothing, and adds it to the receipt. ``PersonNotFoundError``.
    """
    for room in rooms:
        await room.hold(session, person_id)
    person = await identity.lock_for_erasure(session, person_id)
    if person is None:
        raise PersonNotFoundError("There is no such person.")
    first = person.erased_at is None
    counts = {room.name: dict(await room.erase(session, person_id)) for room in rooms}
    counts["idempotency"] = {"answers": await idempotency.forget(session, person_id)}
    # Last: until now the other rooms could look up names and addresses.
    keys = await identity.erase_person(session, person)
    emptied = [await events.forget(session, Subject("api_key", key_id)) for key_id in keys]
    emptied.append(await events.forget(session, Subject("person", person_id)))
    counts["identity"] = {"people": int(first), "api_keys": len(keys)}
    counts["events"] = {"events": sum(emptied)}
    if first:
        await events.record(
            session,
            "person.erased",
            subject=Subject("person", person_id),
            actor=principal,
            person_id=person_id,
            audit=True,
        )
    return await _keep_receipt(session, person_id, counts)


async def get_receipt(session: AsyncSession, person_id: UUID) -> Erasure:
    """The receipt of a person's erasure; ``ErasureNotFoundError``."""
    receipt = await session.scalar(select(Erasure).where(Erasure.person_id == person_id))
    if receipt is None:
        raise ErasureNotFoundError("There is no such person, or they have not been erased.")
    return receipt


async def _keep_receipt(session: AsyncSession, person_id: UUID, counts: dict[str, dict[str, int]]) -> Erasure:
    earlier = await session.scalar(select(Erasure.counts).where(Erasure.person_id == person_id))
    total = _added(earlier or {}, counts)
    statement = insert(Erasure).values(person_id=person_id, counts=total)
    statement = statement.on_conflict_do_update(
        index_elements=["person_id"],
        set_={"counts": total, "updated_at": func.now()},
        where=Erasure.counts != statement.excluded.counts,
    )
    await session.execute(statement)
    receipt = select(Erasure).where(Erasure.person_id == person_id)
    return (await session.scalars(receipt.execution_options(populate_existing=True))).one()


def _added(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        room: {
            kind: one.get(room, {}).get(kind, 0) + other.get(room, {}).get(kind, 0)
            for kind in sorted({*one.get(room, {}), *other.get(room, {})})
        }
        for room in sorted({*one, *other})
    }
