"""Requests like a text; search; likely duplicates for the product person."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.features.constants import ClusterStatus
from app.features.controllers.requests import BoardFilter, StatusFilter, TagFilter
from app.features.desk import Desk
from app.features.exceptions import (
    BoardArchivedError,
    ClusterDecidedError,
    ClusterNotFoundError,
    DifferentBoardError,
    GroupTooLargeError,
    RequestMergedError,
    UnknownRequestError,
)
from app.features.models import Cluster
from app.features.schemas.likeness import (
    FeatureClusterMerge,
    FeatureClusterView,
    FeatureDuplicatesQueued,
    FeatureRequestHits,
    FeatureSimilarQuery,
    FeatureSimilars,
)
from app.features.service import clusters, likeness, likeness_views, requests
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import SEARCH_MAX, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

Query = Annotated[
    str, QueryParameter(name="q", min_length=1, max_length=SEARCH_MAX, description="Words, or a question.")
]
Hits = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="At most so many.")]
ClusterFilter = Annotated[list[ClusterStatus] | None, several("status", "What became of them.")]
ALL_OF_THEM = FeatureClusterMerge()  # what no body says
DECIDING = [ClusterNotFoundError, ClusterDecidedError]


class FeatureLikenessController(Controller):
    """What is like a text."""

    path = "/requests"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @post("/similar", operation_id="find_similar_feature_requests", status_code=200)
    async def find_similar_feature_requests(
        self,
        data: JSONBody[FeatureSimilarQuery],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
    ) -> FeatureSimilars:
        """Requests like the one that somebody is writing, to vote for instead; asked while they type."""
        alike = await likeness.similar(
            session,
            features,
            principal=principal,
            title=data.title,
            body=data.body,
            boards=None if data.board_id is None else [data.board_id],
            limit=data.limit,
        )
        return FeatureSimilars(items=await likeness_views.similars(session, alike, principal=principal))

    @get("/search", operation_id="search_feature_requests")
    async def search_feature_requests(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        features: NamedDependency[Desk],
        q: Query,
        board_id: BoardFilter = None,
        status: StatusFilter = None,
        tag: TagFilter = None,
        limit: Hits = 20,
    ) -> FeatureRequestHits:
        """Find requests by words and by meaning in title and body, best first, without pages."""
        wanted = requests.listed(principal=principal, boards=board_id, statuses=status, tags=tag)
        alike = await likeness.search(session, features, q, wanted, limit=limit)
        return FeatureRequestHits(items=await likeness_views.hits(session, alike, principal=principal))


class FeatureDuplicatesController(Controller):
    """Likely duplicates: for the staff."""

    path = "/duplicates"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_feature_duplicates", opt=documented(listing=clusters.CLUSTERS))
    async def list_feature_duplicates(
        self,
        *,
        session: NamedDependency[AsyncSession],
        status: ClusterFilter = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureClusterView]:
        """List clusters of likely duplicates, as the nightly search found them, the newest first."""
        found = await clusters.CLUSTERS.fetch(
            session,
            clusters.listed(status),
            limit=limit,
            cursor=cursor,
            total=total,
            filters={"status": status},
        )
        shown = await clusters.show_all(session, found.rows)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{cluster_id:uuid}",
        operation_id="get_feature_duplicates",
        opt=documented(raises=[ClusterNotFoundError], conditional=False),
    )
    async def get_feature_duplicates(
        self, cluster_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> FeatureClusterView:
        """Get a cluster."""
        return await _show(session, await clusters.get(session, cluster_id))

    @post(
        "/{cluster_id:uuid}/merge",
        operation_id="merge_feature_duplicates",
        status_code=200,
        opt=documented(
            raises=[
                *(*DECIDING, UnknownRequestError, BoardArchivedError, GroupTooLargeError),
                *(DifferentBoardError, RequestMergedError),
            ]
        ),
    )
    async def merge_feature_duplicates(
        self,
        *,
        cluster_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
        data: JSONBody[FeatureClusterMerge] = ALL_OF_THEM,
    ) -> FeatureClusterView:
        """Merge a cluster into its unfinished request with the most votes, or as told."""
        merged = await clusters.merge(
            session,
            cluster_id,
            actor=principal,
            into=data.into,
            request_ids=data.request_ids,
            expected=expected,
        )
        return await _show(session, merged)

    @post(
        "/{cluster_id:uuid}/undo",
        operation_id="undo_feature_duplicates",
        status_code=200,
        opt=documented(raises=[*DECIDING, BoardArchivedError]),
    )
    async def undo_feature_duplicates(
        self,
        cluster_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureClusterView:
        """Take back what was decided: each request has exactly its own voters again."""
        undone = await clusters.undo(session, cluster_id, actor=principal, expected=expected)
        return await _show(session, undone)

    @post(
        "/{cluster_id:uuid}/dismiss",
        operation_id="dismiss_feature_duplicates",
        status_code=200,
        opt=documented(raises=DECIDING),
    )
    async def dismiss_feature_duplicates(
        self,
        cluster_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureClusterView:
        """Say that these are different things; they are not proposed together again."""
        dismissed = await clusters.dismiss(session, cluster_id, actor=principal, expected=expected)
        return await _show(session, dismissed)

    @post(
        "/refresh",
        operation_id="refresh_feature_duplicates",
        status_code=202,
        guards=[require(Role.lead)],
    )
    async def refresh_feature_duplicates(
        self, session: NamedDependency[AsyncSession]
    ) -> FeatureDuplicatesQueued:
        """Look for duplicates now, in the background, rather than tonight. For leads."""
        await jobs.enqueue(session, clusters.REFRESH_JOB, {})
        return FeatureDuplicatesQueued(queued=True)


async def _show(session: AsyncSession, cluster: Cluster) -> FeatureClusterView:
    return (await clusters.show_all(session, [cluster]))[0]
