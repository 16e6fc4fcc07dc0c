"""Ratings of solved tickets (CSAT)."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.openapi import documented
from app.technical.exceptions import NotRateableError, RatingNotFoundError, TicketNotFoundError
from app.technical.schemas.ratings import SatisfactionRatingCreate, SatisfactionRatingView
from app.technical.service import ratings


class RatingController(Controller):
    """A ticket's rating."""

    path = "/tickets/{ticket_id:uuid}/csat"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="rate_ticket",
        status_code=200,
        opt=documented(raises=[TicketNotFoundError, PermissionDeniedError, NotRateableError]),
    )
    async def rate_ticket(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[SatisfactionRatingCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> SatisfactionRatingView:
        """Rate the solution of one's own ticket, within 30 days; again replaces the rating."""
        rating = await ratings.rate(session, ticket_id, actor=principal, **structs.asdict(data))
        return convert(rating, SatisfactionRatingView, from_attributes=True)

    @get(
        operation_id="get_ticket_rating",
        opt=documented(raises=[TicketNotFoundError, RatingNotFoundError]),
    )
    async def get_ticket_rating(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> SatisfactionRatingView:
        """Get the rating of a ticket."""
        rating = await ratings.show(session, ticket_id, principal=principal)
        return convert(rating, SatisfactionRatingView, from_attributes=True)
