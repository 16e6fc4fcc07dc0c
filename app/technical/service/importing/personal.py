"""What imports know of a person: rows that could not be taken, in which their address stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.models import Person
from app.technical.models import TicketImportError

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
SHORTEST = 6  # letters of an address or id, fewer of which stand in too many rows by chance


class ImportsData:
    """``knowledge.PersonalData``: the raw text of such rows. What was taken in is the tickets' to tell."""

    name = "imports"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Nothing: what is here is locked after the person."""

    async def export(self, session: AsyncSession, person_id: UUID) -> Rows:
        """The rows by their import and line: others stand in them too."""
        named = await _named(session, person_id)
        if named is None:
            return {"import_errors": []}
        found = await session.execute(
            select(TicketImportError.import_id, TicketImportError.line).where(named)
        )
        rows = [{"import_id": str(row.import_id), "line": row.line} for row in found]
        return {"import_errors": rows}

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Empty the rows. The file of an import under way goes with its end, which is soon."""
        named = await _named(session, person_id)
        if named is None:
            return {"import_errors": 0}
        statement = update(TicketImportError).where(named).values(raw=None)
        emptied = await session.scalars(statement.returning(TicketImportError.id))
        return {"import_errors": len(emptied.all())}


async def _named(session: AsyncSession, person_id: UUID) -> Any:
    person = await session.get(Person, person_id)
    words = [each for each in (person.email, person.external_id) if each] if person is not None else []
    words = [each.lower() for each in words if len(each) >= SHORTEST]
    if not words:
        return None
    return or_(*(func.strpos(func.lower(TicketImportError.raw), each) > 0 for each in words))
