"""Clusters of likely duplicates as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import ClusterStatus
from app.features.exceptions import ClusterNotFoundError
from app.features.models import Cluster, ClusterMember, Request
from app.features.schemas.likeness import FeatureClusterMember, FeatureClusterView
from app.features.service import showing
from app.listing import Listing, any_of

CLUSTERS = Listing(Cluster, sorts={"created_at": Cluster.created_at}, default="-created_at")


def listed(statuses: Sequence[ClusterStatus] | None) -> Select[Cluster]:
    """Clusters that a list shows."""
    return select(Cluster).where(any_of(Cluster.status, statuses))


async def get(session: AsyncSession, cluster_id: UUID) -> Cluster:
    """The cluster; ``ClusterNotFoundError``."""
    found = await session.get(Cluster, cluster_id, populate_existing=True)
    if found is None:
        raise ClusterNotFoundError("There is no such cluster.")
    return found


async def show_all(session: AsyncSession, rows: Sequence[Cluster]) -> list[FeatureClusterView]:
    """Clusters with who is in them."""
    of: dict[UUID, list[FeatureClusterMember]] = {}
    boards: dict[UUID, UUID] = {}
    for member, request in await _members(session, [each.id for each in rows]):
        boards[member.cluster_id] = request.board_id
        of.setdefault(member.cluster_id, []).append(
            FeatureClusterMember(
                request=showing.brief(request),
                confidence=member.probability,
                merged=request.merged_into_id is not None,
            )
        )
    return [
        FeatureClusterView(
            id=each.id,
            status=ClusterStatus(each.status),
            board_id=boards.get(each.id),
            members=of.get(each.id, []),
            target_id=each.target_id,
            decided_by=each.decided_by,
            decided_at=each.decided_at,
            version=each.version,
            created_at=each.created_at,
        )
        for each in rows
    ]


async def _members(session: AsyncSession, cluster_ids: Sequence[UUID]) -> list[tuple[ClusterMember, Request]]:
    """Who is in which, those with the most votes first."""
    statement = (
        select(ClusterMember, Request)
        .join(Request, Request.id == ClusterMember.request_id)
        .where(ClusterMember.cluster_id.in_(cluster_ids))
        .order_by(Request.votes.desc(), Request.number)
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]
