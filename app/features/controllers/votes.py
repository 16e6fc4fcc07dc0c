"""Votes and subscriptions: everybody's own; the staff also vote on behalf of customers."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.exceptions import NotFoundError
from app.features.desk import Desk
from app.features.exceptions import (
    BoardArchivedError,
    PersonRequiredError,
    RequestClosedError,
    RequestLockedError,
    RequestNotFoundError,
    UnknownPersonError,
    UnknownReferenceError,
)
from app.features.models import Request
from app.features.schemas.voices import (
    FeatureSubscription,
    FeatureVoterView,
    VoteGiven,
    VoteView,
)
from app.features.service import subscriptions, voters, votes
from app.features.service.people import own_id
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

CASTING = [
    *(RequestNotFoundError, UnknownPersonError, RequestClosedError, RequestLockedError),
    BoardArchivedError,
]

WITHOUT_SOURCE, USUAL = VoteGiven(), FeatureSubscription()  # what no body says


class FeatureVoteController(Controller):
    """Votes."""

    path = "/requests/{request_id:uuid}"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @put(
        "/vote",
        operation_id="vote_for_feature_request",
        opt=documented(raises=[*CASTING, PersonRequiredError]),
    )
    async def vote_for_feature_request(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> VoteView:
        """Vote for a request, and be told when it moves. Again changes nothing."""
        person_id = own_id(principal)
        return _view(await votes.cast(session, request_id, person_id, actor=principal), person_id, voted=True)

    @delete(
        "/vote",
        operation_id="unvote_feature_request",
        status_code=200,
        opt=documented(raises=[RequestNotFoundError, PersonRequiredError, BoardArchivedError]),
    )
    async def unvote_feature_request(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> VoteView:
        """Take the vote back, of whatever was merged into the request as well. Again changes nothing."""
        person_id = own_id(principal)
        root = await votes.withdraw(session, request_id, person_id, actor=principal)
        return _view(root, person_id, voted=False)

    @get(
        "/votes",
        operation_id="list_feature_voters",
        guards=[require(Role.agent)],
        opt=documented(raises=[RequestNotFoundError]),
    )
    async def list_feature_voters(
        self,
        *,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureVoterView]:
        """List who voted for a request or what was merged into it, the first first."""
        return await voters.listed(session, request_id, principal=principal, limit=limit, cursor=cursor)

    @put(
        "/votes/{person_id:uuid}",
        operation_id="vote_for_person",
        opt=documented(raises=[*CASTING, UnknownReferenceError]),
    )
    async def vote_for_person(
        self,
        *,
        request_id: FromPath[UUID],
        person_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
        data: JSONBody[VoteGiven] = WITHOUT_SOURCE,
    ) -> VoteView:
        """Vote on behalf of a customer, with the ticket or case in which they asked. Again does nothing."""
        _check_own(principal, person_id)
        source = None
        if data.source is not None:
            source = Subject(data.source.type, data.source.id)
            await voters.check_source(session, features, source, principal=principal)
        root = await votes.cast(session, request_id, person_id, actor=principal, source=source)
        return _view(root, person_id, voted=True)

    @delete(
        "/votes/{person_id:uuid}",
        operation_id="unvote_for_person",
        status_code=200,
        opt=documented(raises=[RequestNotFoundError, BoardArchivedError]),
    )
    async def unvote_for_person(
        self,
        request_id: FromPath[UUID],
        person_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> VoteView:
        """Take a customer's vote back on their behalf. Again changes nothing."""
        _check_own(principal, person_id)
        root = await votes.withdraw(session, request_id, person_id, actor=principal)
        return _view(root, person_id, voted=False)

    @get(
        "/subscription",
        operation_id="get_feature_subscription",
        opt=documented(raises=[RequestNotFoundError, PersonRequiredError]),
    )
    async def get_feature_subscription(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureSubscription:
        """What the caller is told of a request."""
        found = await subscriptions.of(session, request_id, principal=principal)
        return FeatureSubscription(status=found.status, comments=found.comments)

    @put(
        "/subscription",
        operation_id="set_feature_subscription",
        opt=documented(raises=[RequestNotFoundError, PersonRequiredError]),
    )
    async def set_feature_subscription(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        data: JSONBody[FeatureSubscription] = USUAL,
    ) -> FeatureSubscription:
        """Say what to be told of a request; no vote changes it afterwards."""
        found = await subscriptions.subscribe(
            session, request_id, principal=principal, status=data.status, comments=data.comments
        )
        return FeatureSubscription(status=found.status, comments=found.comments)

    @delete(
        "/subscription",
        operation_id="delete_feature_subscription",
        opt=documented(raises=[RequestNotFoundError, PersonRequiredError]),
    )
    async def delete_feature_subscription(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> None:
        """Be told nothing more of a request, nor of what was merged into it, whatever happens to them."""
        await subscriptions.unsubscribe(session, request_id, principal=principal)


def _check_own(principal: Principal, person_id: UUID) -> None:
    """Customers vote for themselves: whoever else there is does not exist for them."""
    if not principal.is_staff and person_id != principal.person_id:
        raise NotFoundError("There is no such thing, or not for you.")


def _view(root: Request, person_id: UUID, *, voted: bool) -> VoteView:
    return VoteView(request_id=root.id, person_id=person_id, voted=voted, votes=root.votes)
