"""Merging tickets, undoing that, and splitting them."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.exceptions import TooManyParticipantsError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.preconditions import Expected
from app.technical.desk import Desk
from app.technical.exceptions import (
    DifferentCustomersError,
    InvalidMergeError,
    InvalidSplitError,
    NotMergedError,
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
    UnknownRequesterError,
    UnknownTicketError,
)
from app.technical.schemas.relations import MergeCreate, SplitCreate
from app.technical.schemas.tickets import TicketView
from app.technical.service import merging, showing, splitting, unmerging

OVER = (TicketNotFoundError, TicketMergedError, TicketClosedError)


class TicketMergeController(Controller):
    """One ticket of several, several of one."""

    path = "/tickets/{ticket_id:uuid}"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/merge",
        operation_id="merge_ticket",
        status_code=200,
        opt=documented(
            raises=[
                *OVER,
                UnknownTicketError,
                InvalidMergeError,
                DifferentCustomersError,
                TooManyParticipantsError,
            ]
        ),
    )
    async def merge_ticket(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[MergeCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> TicketView:
        """Merge a ticket into another one of the same customer.

        Messages, participants, links, references and clocks go on with the target, whose own fields stay as
        they are; the clock that has waited longest is kept. What was merged into this ticket before points to
        the target as well. This one comes back, with `merged_into_id`; it takes no more changes until the
        merge is undone.
        """
        merged = await merging.merge(
            session,
            desk,
            ticket_id,
            target_id=data.target_id,
            reason=data.reason,
            actor=principal,
            expected=expected,
        )
        return await showing.show(session, merged, principal=principal)

    @post(
        "/unmerge",
        operation_id="unmerge_ticket",
        status_code=200,
        opt=documented(raises=[TicketNotFoundError, NotMergedError]),
    )
    async def unmerge_ticket(
        self,
        *,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> TicketView:
        """Undo the merge of a ticket: it is again as it was.

        What was written after the merge stays with the target, and so does what was split off it. A reply
        given meanwhile counts for both.
        """
        ticket = await unmerging.unmerge(session, desk, ticket_id, actor=principal, expected=expected)
        return await showing.show(session, ticket, principal=principal)

    @post(
        "/split",
        operation_id="split_ticket",
        opt=documented(raises=[*OVER, InvalidSplitError, UnknownRequesterError]),
    )
    async def split_ticket(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[SplitCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> TicketView:
        """Make a ticket of some messages of this one: of the same customer, linked as related.

        Its description is the text of the first public message among them, unless another is given. The
        first message of this ticket, which is its description, stays.
        """
        made = await splitting.split(
            session,
            desk,
            ticket_id,
            message_ids=data.message_ids,
            subject=data.subject,
            description=data.description,
            actor=principal,
            expected=expected,
        )
        return await showing.show(session, made, principal=principal)
