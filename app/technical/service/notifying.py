"""Mail that the desk sends about a ticket: what was written goes to who takes part in it.

Written in the transaction of what it tells; nothing while outgoing mail is off.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations import Posted, mailing
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service.changes import subject_of
from app.technical.utils.numbers import TICKETS

TEAM = "Support"
RECEIVED = (
    "We have received your message and will answer as soon as we can. To add something, answer this mail."
)


async def replied(session: AsyncSession, desk: Desk, ticket: Ticket, posted: Posted) -> None:
    """A message goes to everybody on the ticket but its author, a note to the staff among them."""
    await mailing.spread(
        session,
        desk.mailer,
        posted,
        subject=subject_of(ticket.id),
        title=title_of(ticket),
        team=TEAM,
    )


async def received(session: AsyncSession, desk: Desk, ticket: Ticket, *, address: str, **told: Any) -> None:
    """A receipt for who opened a ticket by mail; automatic, so that no machine answers it."""
    await desk.mailer.send(
        session,
        template="notice",
        to=address,
        title=title_of(ticket),
        context={"heading": f"Your request {TICKETS.shown(ticket.number)}", "body": RECEIVED},
        subject=subject_of(ticket.id),
        automatic=True,
        **told,
    )


def title_of(ticket: Ticket) -> str:
    """``[TEC-42] Export fails``: people find it by the number; answers are found by their headers."""
    return f"[{TICKETS.shown(ticket.number)}] {ticket.subject}"
