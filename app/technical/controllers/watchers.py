"""Who watches a ticket, and what happened on it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import ParticipantRole
from app.conversations.exceptions import ParticipantNotFoundError, TooManyParticipantsError
from app.conversations.schemas import ParticipantView
from app.exceptions import PermissionDeniedError
from app.identity.exceptions import UnknownPersonError
from app.identity.principal import Principal
from app.openapi import documented
from app.pagination import Cursor, Limit
from app.technical.exceptions import TicketClosedError, TicketMergedError, TicketNotFoundError
from app.technical.schemas.relations import WatcherCreate, WatcherList
from app.technical.schemas.timeline import TimelinePage
from app.technical.service import timeline, watching

NewestFirst = Annotated[
    bool, QueryParameter(name="newest_first", description="Begin with what happened last.")
]


class TicketWatcherController(Controller):
    """Watchers of tickets."""

    path = "/tickets/{ticket_id:uuid}/watchers"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_ticket_watchers", opt=documented(raises=[TicketNotFoundError]))
    async def list_ticket_watchers(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> WatcherList:
        """Who watches a ticket or is in copy. Customers do not see which of the staff do."""
        return WatcherList(watchers=await watching.list_watchers(session, ticket_id, principal=principal))

    @post(
        operation_id="create_ticket_watcher",
        opt=documented(
            raises=[
                TicketNotFoundError,
                TicketMergedError,
                TicketClosedError,
                PermissionDeniedError,
                UnknownPersonError,
                TooManyParticipantsError,
            ]
        ),
    )
    async def create_ticket_watcher(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[WatcherCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ParticipantView:
        """Watch a ticket; once more changes nothing.

        Customers add themselves. The staff add anybody, who then sees everything public on the ticket.
        """
        return await watching.watch(
            session,
            ticket_id,
            role=ParticipantRole(data.role),
            person_id=data.person_id,
            email=data.email,
            actor=principal,
        )

    @delete(
        "/{participant_id:uuid}",
        operation_id="delete_ticket_watcher",
        opt=documented(raises=[TicketNotFoundError, TicketMergedError, ParticipantNotFoundError]),
    )
    async def delete_ticket_watcher(
        self,
        ticket_id: FromPath[UUID],
        participant_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Stop watching a ticket. Customers take themselves away, the staff anybody who watches."""
        await watching.unwatch(session, ticket_id, participant_id, actor=principal)


class TicketTimelineController(Controller):
    """What happened on tickets."""

    path = "/tickets/{ticket_id:uuid}/timeline"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_ticket_timeline", opt=documented(raises=[TicketNotFoundError]))
    async def list_ticket_timeline(
        self,
        *,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        newest_first: NewestFirst = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> TimelinePage:
        """What happened on a ticket: its events and messages, in the order in which they came.

        Customers see public messages and what events tell them.
        """
        return await timeline.page(
            session, ticket_id, principal=principal, newest_first=newest_first, limit=limit, cursor=cursor
        )
