"""People that a request names: voters, authors, subscribers."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.exceptions import PersonRequiredError, UnknownPersonError
from app.features.service.access import is_open_to
from app.identity.models import Person
from app.identity.principal import Principal


async def check_person(session: AsyncSession, person_id: UUID, *, board_id: UUID) -> Person:
    """A person who may see the board, kept from being erased until the commit; ``UnknownPersonError``."""
    person = await session.get(
        Person, person_id, with_for_update={"key_share": True, "read": True}, populate_existing=True
    )
    if person is None or person.erased_at is not None:
        raise UnknownPersonError("There is no such person.", field="person_id")
    if not await is_open_to(session, board_id, person):
        raise UnknownPersonError("This person may not see the board.", field="person_id")
    return person


def own_id(principal: Principal) -> UUID:
    """The caller as a person; ``PersonRequiredError`` for a key that belongs to nobody."""
    if principal.person_id is None:
        raise PersonRequiredError("This key belongs to no person; use one that does.")
    return principal.person_id
