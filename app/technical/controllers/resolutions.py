"""What a solved ticket taught."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.exceptions import UnknownAccountError
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.preconditions import Expected
from app.technical.desk import Desk
from app.technical.exceptions import ResolutionNotFoundError, TicketNotFoundError
from app.technical.models import Resolution, Ticket
from app.technical.schemas.resolutions import ResolutionReview, ResolutionUpdate, ResolutionView
from app.technical.service import resolution
from app.technical.utils.numbers import TICKETS

MISSING = (TicketNotFoundError, ResolutionNotFoundError)


class ResolutionController(Controller):
    """Resolution notes."""

    path = "/tickets/{ticket_id:uuid}/resolution"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - likewise

    @get(operation_id="get_ticket_resolution", opt=documented(raises=MISSING))
    async def get_ticket_resolution(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ResolutionView:
        """Get the resolution note that solving a ticket made: problem and solution, of nobody's name."""
        return _view(*await resolution.show(session, ticket_id, principal=principal))

    @patch(operation_id="update_ticket_resolution", opt=documented(raises=MISSING))
    async def update_ticket_resolution(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[ResolutionUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> ResolutionView:
        """Correct a note. A reviewed one that an agent corrects is the staff's until its next review."""
        texts = structs.asdict(data)
        return _view(
            *await resolution.edit(session, desk, ticket_id, actor=principal, expected=expected, **texts)
        )

    @post(
        "/review",
        operation_id="review_ticket_resolution",
        status_code=200,
        guards=[require(Role.lead)],
        opt=documented(raises=[*MISSING, UnknownAccountError]),
    )
    async def review_ticket_resolution(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[ResolutionReview],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> ResolutionView:
        """Let customers find a note, or take it back to the staff. Leads only.

        Names, addresses, telephone numbers and secrets that the house knows of are taken out of it; whether
        it tells anything else of its customer is what the review is for.
        """
        fields = structs.asdict(data)
        return _view(
            *await resolution.review(session, desk, ticket_id, actor=principal, expected=expected, **fields)
        )

    @delete(operation_id="delete_ticket_resolution", opt=documented(raises=MISSING))
    async def delete_ticket_resolution(
        self,
        *,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> None:
        """Withdraw a note from searches and answers. Only solving the ticket anew makes another."""
        await resolution.withdraw(session, desk, ticket_id, actor=principal, expected=expected)


def _view(ticket: Ticket, note: Resolution) -> ResolutionView:
    shown = {each.name: getattr(note, each.name, None) for each in structs.fields(ResolutionView)}
    return convert(shown | {"number": TICKETS.shown(ticket.number)}, ResolutionView)
