"""Mail that the desk sends about a ticket."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations import Posted
from app.technical.desk import Desk
from app.technical.models import Ticket


async def replied(session: AsyncSession, desk: Desk, ticket: Ticket, posted: Posted) -> None:
    """Somebody wrote something public on a ticket."""
