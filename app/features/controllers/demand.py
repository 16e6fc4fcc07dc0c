"""Demand, the rates that it is converted with, and the roadmap."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import FeatureStatus
from app.features.controllers.requests import BoardFilter, StatusFilter, TagFilter
from app.features.desk import Desk
from app.features.exceptions import RequestMergedError, RequestNotFoundError
from app.features.models import Rate
from app.features.schemas.demand import (
    FeatureDemandAccount,
    FeatureDemandDetail,
    FeatureDemandView,
    FeatureRateGiven,
    FeatureRateUsed,
    FeatureRateView,
)
from app.features.schemas.requests import FeatureRequestView
from app.features.service import changes, demand, ranking, rates, requests, roadmap, showing
from app.features.service.ranking import Rank
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

AsOf = Annotated[
    datetime | None,
    QueryParameter(name="as_of", description="Votes, revenue and rates as they were then; now, if left out."),
]
CurrencyQuery = Annotated[
    str | None,
    QueryParameter(name="currency", pattern="^[A-Z]{3}$", description="Convert into it, by given rates."),
]
CurrencyFilter = Annotated[list[str] | None, several("currency", "Of this currency.")]
IntoFilter = Annotated[
    str | None, QueryParameter(name="into", pattern="^[A-Z]{3}$", description="Into this currency.")
]
By = Annotated[
    str,
    QueryParameter(name="by", pattern=f"^({'|'.join(Rank)})$", description="The greatest first."),
]
ColumnMax = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="Of each column.")]


class FeatureRoadmapColumn(Struct, frozen=True, kw_only=True):
    """Requests of one status."""

    status: FeatureStatus
    items: list[FeatureRequestView]
    total: Annotated[int, Meta(description="How many there are; the list of requests has them all.")]


class FeatureRoadmap(Struct, frozen=True, kw_only=True):
    """What is planned and in progress, soonest first, and what shipped, latest first."""

    columns: list[FeatureRoadmapColumn]


class FeatureDemandController(Controller):
    """Demand: for the staff."""

    path = ""
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @get(
        "/requests/{request_id:uuid}/demand",
        operation_id="get_feature_demand",
        opt=documented(raises=[RequestNotFoundError, RequestMergedError]),
    )
    async def get_feature_demand(
        self,
        *,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
        as_of: AsOf = None,
        currency: CurrencyQuery = None,
    ) -> FeatureDemandDetail:
        """How much a request is asked for and what that is worth, with all that the numbers are made of."""
        request = await changes.get(session, request_id, principal=principal)
        changes.check_unmerged(request)
        (found,) = await demand.of(
            session, features, [request], principal=principal, as_of=as_of, currency=currency
        )
        used = {each.currency for each in found.view.revenue}
        return FeatureDemandDetail(
            demand=found.view,
            accounts=[
                FeatureDemandAccount(
                    account_id=account_id,
                    voters=account.voters,
                    voted_at=account.voted_at,
                    paid=list(account.paid),
                )
                for account_id, account in found.asked.accounts.items()
            ],
            rates=[_used(each) for code, each in found.rates.items() if code in used],
            links=list(found.asked.links),
        )

    @get("/demand", operation_id="list_feature_demand")
    async def list_feature_demand(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
        by: By = Rank.votes.value,
        board_id: BoardFilter = None,
        status: StatusFilter = None,
        tag: TagFilter = None,
        as_of: AsOf = None,
        currency: CurrencyQuery = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureDemandView]:
        """Rank requests by demand, over all that match."""
        return await ranking.ranked(
            session,
            features,
            requests.listed(principal=principal, boards=board_id, statuses=status, tags=tag),
            by=Rank(by),
            principal=principal,
            as_of=as_of,
            currency=currency,
            limit=limit,
            cursor=cursor,
            filters={"board_id": board_id, "status": status, "tag": tag},
        )

    @put("/rates", operation_id="give_exchange_rate", guards=[require(Role.admin)])
    async def give_exchange_rate(
        self,
        data: JSONBody[FeatureRateGiven],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureRateView:
        """Say what a currency is worth in another from a moment on. For admins; earlier rates are kept."""
        return _rate(await rates.give(session, actor=principal, **structs.asdict(data)))

    @get("/rates", operation_id="list_exchange_rates", opt=documented(listing=rates.RATES))
    async def list_exchange_rates(
        self,
        *,
        session: NamedDependency[AsyncSession],
        currency: CurrencyFilter = None,
        into: IntoFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureRateView]:
        """List rates, the latest first."""
        found = await rates.RATES.fetch(
            session,
            rates.listed(currencies=currency, into=into),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"currency": currency, "into": into},
        )
        return found.page(_rate)


class FeatureRoadmapController(Controller):
    """The roadmap: for everybody who sees a board."""

    path = "/roadmap"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="get_feature_roadmap")
    async def get_feature_roadmap(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        board_id: BoardFilter = None,
        limit: ColumnMax = 20,
    ) -> FeatureRoadmap:
        """What is planned, in progress and shipped, of the boards that the caller sees."""
        found = await roadmap.columns(session, principal=principal, boards=board_id, limit=limit)
        return FeatureRoadmap(
            columns=[
                FeatureRoadmapColumn(
                    status=each.status,
                    items=await showing.show_all(session, each.requests, principal=principal),
                    total=each.total,
                )
                for each in found
            ]
        )


def _used(rate: Rate) -> FeatureRateUsed:
    return FeatureRateUsed(
        currency=rate.currency, into=rate.target, rate=rate.rate, valid_from=rate.valid_from
    )


def _rate(rate: Rate) -> FeatureRateView:
    return FeatureRateView(
        id=rate.id,
        currency=rate.currency,
        into=rate.target,
        rate=rate.rate,
        valid_from=rate.valid_from,
        given_by=rate.given_by,
        created_at=rate.created_at,
    )
