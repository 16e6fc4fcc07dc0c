"""The vocabulary that rooms share without knowing each other; ``main`` ties them together.

Whoever implements one of these protocols registers it in ``main``; each method takes the caller's session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


class PersonalData(Protocol):
    """A room that holds something about people, for their export and their erasure."""

    name: str  # its section in an export and in a receipt: ``conversations``

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Everything about the person: kind of row to rows, each a JSON object."""
        ...

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Remove or make nameless everything about the person: kind of row to how many."""
        ...
