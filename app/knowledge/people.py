"""What rooms hold about people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


class PersonalData(Protocol):
    """A room that holds something about people, for their export and their erasure."""

    name: str  # its section in an export and in a receipt: ``conversations``

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Lock what has to be locked before the person; an erasure begins with it."""
        ...

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Everything about the person: kind of row to rows, each a JSON object."""
        ...

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Remove or make nameless everything about the person: kind of row to how many."""
        ...
