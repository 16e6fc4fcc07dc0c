"""What the searchable side of the house knows of a ticket: its likeness, and its resolution note."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.technical.desk import Desk
from app.technical.models import Ticket


async def changed(session: AsyncSession, desk: Desk, ticket: Ticket) -> None:
    """A ticket was made, or its text or its readers changed."""


async def solved(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket was solved: its problem and solution become a resolution note."""


async def reopened(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket is solved no more: its note is withdrawn in this transaction."""
