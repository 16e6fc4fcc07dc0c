"""Links between tickets, and references to other desks' things."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import convert
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.technical.constants import Relation, Status
from app.technical.exceptions import (
    InvalidLinkError,
    LinkNotFoundError,
    ReferenceNotFoundError,
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
    TooManyLinksError,
    UnknownTicketError,
)
from app.technical.schemas.relations import (
    LinkCreate,
    LinkedTicket,
    LinkList,
    LinkView,
    ReferenceCreate,
    ReferenceList,
    ReferenceView,
)
from app.technical.service import linking, references
from app.technical.utils.numbers import TICKETS

Kind = Annotated[
    Relation | None,
    QueryParameter(name="kind", description="What the other is to this one; all links, when left out."),
]


class TicketLinkController(Controller):
    """Links between tickets."""

    path = "/tickets/{ticket_id:uuid}/links"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_ticket_links", opt=documented(raises=[TicketNotFoundError]))
    async def list_ticket_links(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> LinkList:
        """The links of a ticket, made at either end, oldest first: to tickets that the caller sees."""
        found = await linking.list_links(session, ticket_id, principal=principal)
        return LinkList(links=[_view(each) for each in found])

    @post(
        operation_id="create_ticket_link",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                TicketNotFoundError,
                TicketMergedError,
                UnknownTicketError,
                InvalidLinkError,
                TooManyLinksError,
            ]
        ),
    )
    async def create_ticket_link(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[LinkCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> LinkView:
        """Link a ticket with another; once more changes nothing. Closed ones can be linked too."""
        made = await linking.link(
            session, ticket_id, relation=data.kind, other_id=data.other_id, actor=principal
        )
        return _view(made)

    @delete(
        "/{other_id:uuid}",
        operation_id="delete_ticket_link",
        guards=[require(Role.agent)],
        opt=documented(raises=[TicketNotFoundError, TicketMergedError, LinkNotFoundError]),
    )
    async def delete_ticket_link(
        self,
        *,
        ticket_id: FromPath[UUID],
        other_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        kind: Kind = None,
    ) -> None:
        """Take a link between two tickets away, or all links between them."""
        await linking.unlink(session, ticket_id, other_id, relation=kind, actor=principal)


class TicketReferenceController(Controller):
    """What of other desks tickets point to."""

    path = "/tickets/{ticket_id:uuid}/references"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_ticket_references", opt=documented(raises=[TicketNotFoundError]))
    async def list_ticket_references(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ReferenceList:
        """What of other desks a ticket points to."""
        found = await references.list_references(session, ticket_id, principal=principal)
        return ReferenceList(references=convert(found, list[ReferenceView], from_attributes=True))

    @post(
        operation_id="create_ticket_reference",
        opt=documented(
            raises=[
                TicketNotFoundError,
                TicketMergedError,
                TicketClosedError,
                InvalidLinkError,
                TooManyLinksError,
            ]
        ),
    )
    async def create_ticket_reference(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[ReferenceCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ReferenceView:
        """Let a ticket point to something of another desk, which learns of it; once more changes nothing."""
        made = await references.refer(
            session,
            ticket_id,
            subject_type=data.subject_type,
            subject_id=data.subject_id,
            actor=principal,
        )
        return convert(made, ReferenceView, from_attributes=True)

    @delete(
        "/{reference_id:uuid}",
        operation_id="delete_ticket_reference",
        opt=documented(
            raises=[TicketNotFoundError, TicketMergedError, TicketClosedError, ReferenceNotFoundError]
        ),
    )
    async def delete_ticket_reference(
        self,
        ticket_id: FromPath[UUID],
        reference_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Take a reference away."""
        await references.withdraw(session, ticket_id, reference_id, actor=principal)


def _view(linked: linking.Linked) -> LinkView:
    other = linked.other
    return LinkView(
        kind=linked.relation,
        other=LinkedTicket(
            id=other.id,
            number=TICKETS.shown(other.number),
            subject=other.subject,
            status=Status(other.status),
        ),
        created_at=linked.link.created_at,
    )
