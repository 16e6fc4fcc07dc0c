"""What a product person makes of likely duplicates: merged, or told apart; both taken back as one.

Clusters are locked before requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.features.constants import CLUSTER_TYPE, UNFINISHED, ClusterStatus
from app.features.exceptions import ClusterDecidedError, ClusterNotFoundError, UnknownRequestError
from app.features.models import Cluster, ClusterMember, Merge, Request
from app.features.service import merging
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected


async def merge(
    session: AsyncSession,
    cluster_id: UUID,
    *,
    actor: Principal,
    into: UUID | None = None,
    request_ids: Sequence[UUID] | None = None,
    expected: Expected = ANYTHING,
) -> Cluster:
    """Merge the members, or those named, into one: the unfinished one with the most votes, unless told.

    Errors: ``ClusterNotFoundError``, ``VersionMismatchError``, ``ClusterDecidedError`` (also when nothing is
    left to merge), ``UnknownRequestError`` (no unmerged member), and those of ``merging.merge``.
    """
    cluster = await _lock(session, cluster_id, expected)
    if cluster.status != ClusterStatus.open:
        raise ClusterDecidedError(f"This cluster is {cluster.status}.", status=cluster.status)
    left = {each.id: each for each in await _unmerged(session, cluster)}
    for each in [*(request_ids or ()), *([into] if into else ())]:
        if each not in left:
            raise UnknownRequestError(f"{each} is no unmerged member of this cluster.", field="request_ids")
    chosen = set(left if request_ids is None else request_ids) | ({into} if into else set())
    if len(chosen) < 2:
        raise ClusterDecidedError("There is nothing left to merge.", status=cluster.status)
    target_id = into or min(chosen, key=lambda each: _rank(left[each]))
    sources = sorted(chosen - {target_id}, key=lambda each: left[each].number)
    for source_id in sources:
        await merging.merge(session, source_id, target_id, actor=actor)
    values = {"status": ClusterStatus.merged, "target_id": target_id, "merged_ids": sources}
    return await _decide(session, cluster, values, actor=actor)


async def undo(
    session: AsyncSession, cluster_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> Cluster:
    """Take back what merging or dismissing this cluster did; merges that were undone since stay undone.

    Errors: ``ClusterNotFoundError``, ``VersionMismatchError``, ``ClusterDecidedError`` (it is open),
    ``BoardArchivedError``.
    """
    cluster = await _lock(session, cluster_id, expected)
    if cluster.status == ClusterStatus.open:
        raise ClusterDecidedError("Nothing was done with this cluster.", status=cluster.status)
    standing = select(Merge.source_id).where(
        Merge.source_id.in_(cluster.merged_ids),
        Merge.target_id == cluster.target_id,
        Merge.undone_at.is_(None),
    )
    for source_id in sorted(await session.scalars(standing)):
        await merging.unmerge(session, source_id, actor=actor)
    values: dict[str, Any] = {"status": ClusterStatus.open, "target_id": None, "merged_ids": []}
    return await _decide(session, cluster, values, actor=actor)


async def dismiss(
    session: AsyncSession, cluster_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> Cluster:
    """Say that these are different things: they are not proposed together again.

    Errors: ``ClusterNotFoundError``, ``VersionMismatchError``, ``ClusterDecidedError``.
    """
    cluster = await _lock(session, cluster_id, expected)
    if cluster.status != ClusterStatus.open:
        raise ClusterDecidedError(f"This cluster is {cluster.status}.", status=cluster.status)
    return await _decide(session, cluster, {"status": ClusterStatus.dismissed}, actor=actor)


def _rank(request: Request) -> tuple[bool, int, int]:
    """What is shipped or declined takes no votes: it is the target only of its like."""
    return (request.status not in UNFINISHED, -request.votes, request.number)


async def _unmerged(session: AsyncSession, cluster: Cluster) -> Sequence[Request]:
    statement = (
        select(Request)
        .join(ClusterMember, ClusterMember.request_id == Request.id)
        .where(ClusterMember.cluster_id == cluster.id, Request.merged_into_id.is_(None))
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def _lock(session: AsyncSession, cluster_id: UUID, expected: Expected) -> Cluster:
    cluster = await session.get(Cluster, cluster_id, with_for_update=True, populate_existing=True)
    if cluster is None:
        raise ClusterNotFoundError("There is no such cluster.")
    expected.check(cluster.version)
    return cluster


async def _decide(
    session: AsyncSession, cluster: Cluster, values: dict[str, Any], *, actor: Principal
) -> Cluster:
    is_open = values["status"] == ClusterStatus.open
    decided = {
        "decided_at": None if is_open else datetime.now(UTC),
        "decided_by": None if is_open else actor.person_id,
        "version": Cluster.version + 1,
    }
    before = {"status": cluster.status}
    statement = update(Cluster).where(Cluster.id == cluster.id).values(**values, **decided)
    changed = (
        await session.scalars(statement.returning(Cluster), execution_options={"populate_existing": True})
    ).one()
    after = {"status": changed.status, "version": changed.version}
    subject = Subject(CLUSTER_TYPE, changed.id)
    await events.record(
        session, "feature_cluster.decided", subject=subject, actor=actor, before=before, after=after
    )
    return changed
