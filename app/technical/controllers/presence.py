"""Who else has a ticket open, so that two do not answer at once."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app import presence
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.presence import PresenceList, PresenceUpdate, State
from app.technical.exceptions import TicketNotFoundError
from app.technical.service import changes


class TicketPresenceController(Controller):
    """Who has a ticket open; for the staff."""

    path = "/tickets/{ticket_id:uuid}/presence"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @put(operation_id="put_ticket_presence", opt=documented(raises=[TicketNotFoundError]))
    async def put_ticket_presence(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[PresenceUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> PresenceList:
        """Say that the caller has the ticket open, every 20 seconds; the answer is who else has.

        Forgotten after 45 seconds. Changes are frames `presence` of the stream of events.
        """
        ticket = await changes.get(session, ticket_id, principal=principal)
        subject = changes.subject_of(ticket.id)
        found = await presence.beat(session, subject, principal=principal, state=State(data.state))
        return PresenceList(viewers=found)

    @get(operation_id="get_ticket_presence", opt=documented(raises=[TicketNotFoundError]))
    async def get_ticket_presence(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> PresenceList:
        """Who else has the ticket open."""
        ticket = await changes.get(session, ticket_id, principal=principal)
        found = await presence.others(session, changes.subject_of(ticket.id), principal=principal)
        return PresenceList(viewers=found)

    @delete(operation_id="delete_ticket_presence", opt=documented(raises=[TicketNotFoundError]))
    async def delete_ticket_presence(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Say that the caller has closed the ticket."""
        ticket = await changes.get(session, ticket_id, principal=principal)
        await presence.leave(session, changes.subject_of(ticket.id), principal=principal)
