"""Releases: the staff draft and ship them, everybody who sees the board reads what shipped."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import ReleaseStatus
from app.features.controllers.requests import BoardFilter
from app.features.desk import Desk
from app.features.exceptions import (
    BoardArchivedError,
    DifferentBoardError,
    InvalidRequestTransitionError,
    ReleaseNotFoundError,
    ReleaseShippedError,
    UnknownBoardError,
    UnknownRequestError,
)
from app.features.schemas.releases import FeatureReleaseChange, FeatureReleaseCreate, FeatureReleaseView
from app.features.service import release_views, releases
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

StatusFilter = Annotated[list[ReleaseStatus] | None, several("status", "Drafts, or what shipped.")]


class FeatureReleaseController(Controller):
    """Releases."""

    path = "/releases"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_feature_release",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[UnknownBoardError, BoardArchivedError, UnknownRequestError, DifferentBoardError]
        ),
    )
    async def create_feature_release(
        self,
        data: JSONBody[FeatureReleaseCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureReleaseView:
        """Draft a release. For the staff."""
        made = await releases.create(session, actor=principal, **structs.asdict(data))
        return await release_views.show(session, made, principal=principal)

    @get(operation_id="list_feature_releases", opt=documented(listing=releases.RELEASES))
    async def list_feature_releases(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        board_id: BoardFilter = None,
        status: StatusFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureReleaseView]:
        """List releases of boards that the caller may see; drafts are the staff's."""
        found = await releases.RELEASES.fetch(
            session,
            releases.listed(principal=principal, boards=board_id, statuses=status),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"board_id": board_id, "status": status},
        )
        shown = await release_views.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{release_id:uuid}",
        operation_id="get_feature_release",
        opt=documented(raises=[ReleaseNotFoundError], conditional=False),
    )
    async def get_feature_release(
        self,
        release_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureReleaseView:
        """Get a release."""
        release = await releases.get(session, release_id, principal=principal)
        return await release_views.show(session, release, principal=principal)

    @patch(
        "/{release_id:uuid}",
        operation_id="update_feature_release",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                *(ReleaseNotFoundError, ReleaseShippedError, BoardArchivedError, UnknownRequestError),
                DifferentBoardError,
            ]
        ),
    )
    async def update_feature_release(
        self,
        *,
        release_id: FromPath[UUID],
        data: JSONBody[FeatureReleaseChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureReleaseView:
        """Change a draft; of what shipped the words alone."""
        changed = await releases.change(
            session, release_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await release_views.show(session, changed, principal=principal)

    @delete(
        "/{release_id:uuid}",
        operation_id="delete_feature_release",
        guards=[require(Role.agent)],
        opt=documented(raises=[ReleaseNotFoundError, ReleaseShippedError]),
    )
    async def delete_feature_release(
        self,
        release_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Throw a draft away."""
        await releases.remove(session, release_id, actor=principal, expected=expected)

    @post(
        "/{release_id:uuid}/ship",
        operation_id="ship_feature_release",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                *(ReleaseNotFoundError, ReleaseShippedError, BoardArchivedError),
                *(InvalidRequestTransitionError, UnknownRequestError, DifferentBoardError),
            ]
        ),
    )
    async def ship_feature_release(
        self,
        release_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> FeatureReleaseView:
        """Ship a release with its requests: who waits for any of them is told once, and each linked ticket
        and case gets a proposed reply."""
        shipped = await releases.ship(session, features, release_id, actor=principal, expected=expected)
        return await release_views.show(session, shipped, principal=principal)
