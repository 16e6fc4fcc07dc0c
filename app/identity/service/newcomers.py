"""Many new customers at once, as imports bring them; by the same rules as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.events.batches import NewEvent, record_all
from app.exceptions import InvalidError
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal
from app.identity.service.changes import fields_of
from app.identity.utils import clean_email, clean_external_id, clean_name, erased_subject, subject_lock

# In the order of the numbers, so that two who do so do not wait for each other.
LOCK_SUBJECTS = text("""
select pg_advisory_xact_lock(number) from (
    select number from unnest(CAST(:numbers AS bigint[])) as given(number) order by number
) ordered
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Newcomer:
    """A customer whom nobody here knows yet."""

    name: str
    external_id: str | None = None
    email: str | None = None
    account_id: UUID | None = None


async def make_customers(
    session: AsyncSession, newcomers: Sequence[Newcomer], *, actor: Principal
) -> list[Person]:
    """Make these people, whose accounts exist; those who were made, in no order.

    Left out are those with an unusable name, address or id, who were erased, or whom somebody else has made:
    ask for each of them by ``upsert_person`` to know why.
    """
    usable = [cleaned for each in newcomers if (cleaned := _cleaned(each)) is not None]
    keys = {each.external_id for each in usable if each.external_id is not None}
    if keys:
        await session.execute(LOCK_SUBJECTS, {"numbers": [subject_lock(key) for key in keys]})
        marks = {erased_subject(key): key for key in keys}
        found = await session.scalars(
            select(Person.erased_subject).where(Person.erased_subject.in_(list(marks)))
        )
        keys -= {marks[mark] for mark in found if mark is not None}
    rows = [
        {
            "external_id": each.external_id,
            "name": each.name,
            "email": each.email,
            "account_id": each.account_id,
            "role": Role.customer,
        }
        for each in usable
        if each.external_id is None or each.external_id in keys
    ]
    if not rows:
        return []
    statement = insert(Person).values(rows).on_conflict_do_nothing(index_elements=["external_id"])
    made = list(await session.scalars(statement.returning(Person)))
    await record_all(session, [_event(each) for each in made], actor=actor)
    return made


def _cleaned(newcomer: Newcomer) -> Newcomer | None:
    try:
        return Newcomer(
            name=clean_name(newcomer.name),
            external_id=None if newcomer.external_id is None else clean_external_id(newcomer.external_id),
            email=None if newcomer.email is None else clean_email(newcomer.email),
            account_id=newcomer.account_id,
        )
    except InvalidError:
        return None


def _event(person: Person) -> NewEvent:
    return NewEvent(
        type="person.created",
        subject=Subject("person", person.id),
        after=fields_of(person),
        account_id=person.account_id,
        person_id=person.id,
    )
