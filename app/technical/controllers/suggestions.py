"""What helps with a ticket, before and after it is opened; search by words and meaning."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import SEARCH_MAX, CreatedAfter, CreatedBefore
from app.openapi import documented
from app.technical.constants import Status
from app.technical.controllers import filters
from app.technical.desk import Desk
from app.technical.exceptions import TicketNotFoundError
from app.technical.schemas.suggestions import (
    LikelyDuplicate,
    SimilarRequest,
    SimilarTickets,
    Suggestions,
    TicketHit,
    TicketHits,
)
from app.technical.service import duplicates, listing, showing, suggesting
from app.technical.utils.excerpts import excerpt
from app.technical.utils.numbers import TICKETS

Draft = Annotated[
    bool,
    QueryParameter(
        name="draft", description="Whether to write a draft reply; without it the answer comes sooner."
    ),
]
Most = Annotated[int, QueryParameter(name="limit", ge=1, le=20, description="How many of each kind.")]
Hits = Annotated[int, QueryParameter(name="limit", ge=1, le=50, description="How many, at most.")]
Query = Annotated[
    str,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=SEARCH_MAX,
        description="What the ticket is about, in any words; the last one may be the beginning of one.",
    ),
]


class SuggestionController(Controller):
    """Suggestions, duplicates, semantic search."""

    path = "/tickets"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        "/{ticket_id:uuid}/suggestions",
        operation_id="get_ticket_suggestions",
        guards=[require(Role.agent)],
        opt=documented(raises=[TicketNotFoundError]),
    )
    async def get_ticket_suggestions(
        self,
        *,
        ticket_id: FromPath[UUID],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        draft: Draft = True,
        limit: Most = 5,
    ) -> Suggestions:
        """What may help with a ticket: a cited draft reply, similar tickets, likely duplicates, facts.

        The draft rests only on what the requester may read; passages that are the staff's come as `hints`.
        A part that cannot be had is empty, and the others come all the same.
        """
        return await suggesting.suggest(
            database, desk, ticket_id, principal=principal, draft=draft, limit=limit
        )

    @post("/similar", operation_id="find_similar_tickets", status_code=200)
    async def find_similar_tickets(
        self,
        data: JSONBody[SimilarRequest],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> SimilarTickets:
        """Look, before a ticket is opened, for what makes it needless: nothing is stored.

        Likely duplicates among the tickets that the caller may see, and known issues with their workarounds.
        """
        found = await duplicates.likely_for_text(
            session, desk, subject=data.subject, description=data.description, principal=principal
        )
        return SimilarTickets(
            duplicates=[_likely(each) for each in found],
            issues=await suggesting.public_issues(
                session,
                subject=data.subject,
                description=data.description,
                product=data.product,
                product_version=data.product_version,
            ),
        )

    @get("/search", operation_id="search_tickets", opt=documented(raises=[PermissionDeniedError]))
    async def search_tickets(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        q: Query,
        status: filters.StatusFilter = None,
        priority: filters.PriorityFilter = None,
        assignee_id: filters.AssigneeFilter = None,
        team_id: filters.TeamFilter = None,
        account_id: filters.AccountFilter = None,
        product: filters.ProductFilter = None,
        tag: filters.TagFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        limit: Hits = 20,
    ) -> TicketHits:
        """Find tickets by words and by meaning in subject and description, best first, without pages.

        Tickets with all of the words come first, then those of like meaning. Customers find their own, and
        their account's if they may. The list's `q` finds words in messages and files, too.
        """
        asked = listing.TicketFilter(
            status=status,
            priority=priority,
            assignee_id=assignee_id,
            team_id=team_id,
            account_id=account_id,
            product=product,
            tag=tag,
            created_after=created_after,
            created_before=created_before,
        )
        found = await duplicates.search(session, desk, q, asked, principal=principal, limit=limit)
        views = await showing.show_all(session, [each.ticket for each in found], principal=principal)
        return TicketHits(
            items=[
                TicketHit(
                    ticket=view,
                    score=each.match.score,
                    terms=list(each.match.terms),
                    excerpt=excerpt(each.ticket.description, each.match.terms),
                )
                for each, view in zip(found, views, strict=True)
            ]
        )


def _likely(alike: duplicates.Alike) -> LikelyDuplicate:
    ticket = alike.ticket
    return LikelyDuplicate(
        id=ticket.id,
        number=TICKETS.shown(ticket.number),
        subject=ticket.subject,
        status=Status(ticket.status),
        created_at=ticket.created_at,
        confidence=alike.match.probability,
        terms=list(alike.match.terms),
    )
