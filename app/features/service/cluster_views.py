"""Clusters of likely duplicates as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import ClusterStatus
from app.features.models import Cluster
from app.features.schemas.likeness import FeatureClusterMember, FeatureClusterView
from app.features.service import clusters, showing


async def show_all(session: AsyncSession, rows: Sequence[Cluster]) -> list[FeatureClusterView]:
    """Clusters with who is in them."""
    of: dict[UUID, list[FeatureClusterMember]] = {}
    boards: dict[UUID, UUID] = {}
    for member, request in await clusters.members(session, [each.id for each in rows]):
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
