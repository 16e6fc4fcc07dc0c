"""Tickets and cases that ask for a request, and what customers said in them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.exceptions import NotFoundError
from app.features.desk import Desk
from app.features.exceptions import (
    BoardArchivedError,
    NotLinkableError,
    QuoteNotFoundError,
    RequestNotFoundError,
    TooManyQuotesError,
    UnknownReferenceError,
)
from app.features.schemas.comments import (
    FeatureLinkCreate,
    FeatureLinked,
    FeatureLinkView,
    FeatureQuoteCreate,
    FeatureQuoteView,
)
from app.features.service import links, quotes
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

CaseTypePath = Annotated[
    str, PathParameter(pattern="^[a-z_]+$", max_length=64, description="Such as ticket.")
]


class FeatureLinks(Struct, frozen=True, kw_only=True):
    """What points to a request."""

    items: list[FeatureLinkView]


class FeatureLinkController(Controller):
    """Links: for the staff."""

    path = "/requests/{request_id:uuid}/links"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_feature_links", opt=documented(raises=[RequestNotFoundError]))
    async def list_feature_links(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> FeatureLinks:
        """All tickets and cases that point to the request or to what was merged into it."""
        return FeatureLinks(items=await links.of(session, features, request_id, principal=principal))

    @post(
        operation_id="link_feature_request",
        opt=documented(
            raises=[RequestNotFoundError, BoardArchivedError, UnknownReferenceError, NotLinkableError]
        ),
    )
    async def link_feature_request(
        self,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureLinkCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> FeatureLinked:
        """Link a ticket or case in which this is asked for; who asked votes. Again changes nothing."""
        case = Subject(data.type, data.id)
        made = await links.link(session, features, request_id, case, vote=data.vote, actor=principal)
        shown = await quotes.show(session, made.quotes, principal=principal)
        return FeatureLinked(
            link=links.show(made.request_id, made.item),
            voted=made.voted,
            no_vote=made.no_vote,
            quotes=list(shown.values()),
        )

    @delete(
        "/{subject_type:str}/{subject_id:uuid}",
        operation_id="unlink_feature_request",
        opt=documented(raises=[RequestNotFoundError, UnknownReferenceError, NotLinkableError]),
    )
    async def unlink_feature_request(
        self,
        *,
        request_id: FromPath[UUID],
        subject_type: CaseTypePath,
        subject_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> None:
        """Take a link away; who voted still votes. Again changes nothing."""
        case = Subject(subject_type, subject_id)
        await links.unlink(session, features, request_id, case, actor=principal)


class FeatureQuoteController(Controller):
    """Said by customers."""

    path = "/requests/{request_id:uuid}/quotes"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_feature_quotes", opt=documented(raises=[RequestNotFoundError]))
    async def list_feature_quotes(
        self,
        *,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureQuoteView]:
        """Sentences in which customers ask for it, as far as the caller may read the messages. What was
        redacted or rewritten there is gone here: a page may have fewer than `limit`."""
        return await quotes.listed(session, request_id, principal=principal, limit=limit, cursor=cursor)

    @post(
        operation_id="create_feature_quote",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[RequestNotFoundError, UnknownReferenceError, QuoteNotFoundError, TooManyQuotesError]
        ),
    )
    async def create_feature_quote(
        self,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureQuoteCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> FeatureQuoteView:
        """Quote a customer's sentence, word for word as it stands in a public message."""
        case = Subject(data.type, data.id)
        made = await quotes.add(session, features, request_id, case, data.sentence, actor=principal)
        return (await quotes.show(session, [made], principal=principal))[made.id]

    @delete(
        "/{quote_id:uuid}",
        operation_id="delete_feature_quote",
        guards=[require(Role.agent)],
        opt=documented(raises=[RequestNotFoundError, NotFoundError]),
    )
    async def delete_feature_quote(
        self,
        request_id: FromPath[UUID],
        quote_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Take a quote away; the message stays."""
        await quotes.remove(session, request_id, quote_id, actor=principal)
