"""Likely duplicates, looked for every night: clusters that a product person merges, or says are none.

Looking compares every request with its board, by reading alone; what was found is stored at the end in one
transaction. Cut off anywhere it has changed nothing, and is done again. Clusters are locked before requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.database import Database
from app.events import Subject
from app.features.constants import CLUSTER_TYPE, UNFINISHED, ClusterStatus
from app.features.desk import Desk
from app.features.exceptions import ClusterDecidedError, ClusterNotFoundError, UnknownRequestError
from app.features.models import Board, Cluster, ClusterMember, Merge, Request
from app.features.service import likeness, merging
from app.features.service.changes import subject_of
from app.features.utils.clustering import clusters
from app.identity.principal import Principal
from app.jobs import JobHandler
from app.listing import Listing, any_of
from app.matching import DUPLICATE_FROM
from app.preconditions import ANYTHING, Expected

REFRESH_JOB = "features-duplicates"
REFRESH_HOURS = 24.0
NEIGHBOURS = 10  # that each request is compared with, the likest ones
REFRESH_LOCK = text("select pg_advisory_xact_lock(8390876208524944898)")  # one stores at a time
CLUSTERS = Listing(Cluster, sorts={"created_at": Cluster.created_at}, default="-created_at")

Pairs = Mapping[frozenset[UUID], float]  # two requests, and the probability that they are one


async def refresh(database: Database, desk: Desk) -> int:
    """Look for likely duplicates, and bring the open clusters in line with them; how many there are."""
    pairs = await _look(database, desk)
    async with database.session() as session:
        await session.execute(REFRESH_LOCK)
        return await _store(session, pairs)


def refresh_handler(database: Database, desk: Desk) -> JobHandler:
    """The job that somebody asked for."""

    async def handle(payload: bytes, attempts: int) -> None:
        await refresh(database, desk)

    return handle


def listed(statuses: Sequence[ClusterStatus] | None) -> Select[Cluster]:
    """Clusters that a list shows."""
    return select(Cluster).where(any_of(Cluster.status, statuses))


async def get(session: AsyncSession, cluster_id: UUID) -> Cluster:
    """The cluster; ``ClusterNotFoundError``."""
    found = await session.get(Cluster, cluster_id, populate_existing=True)
    if found is None:
        raise ClusterNotFoundError("There is no such cluster.")
    return found


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


async def members(session: AsyncSession, cluster_ids: Sequence[UUID]) -> list[tuple[ClusterMember, Request]]:
    """Who is in which, those with the most votes first."""
    statement = (
        select(ClusterMember, Request)
        .join(Request, Request.id == ClusterMember.request_id)
        .where(ClusterMember.cluster_id.in_(cluster_ids))
        .order_by(Request.votes.desc(), Request.number)
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]


def _rank(request: Request) -> tuple[bool, int, int]:
    """What is shipped or declined takes no votes: it is the target only of its like."""
    return (request.status not in UNFINISHED, -request.votes, request.number)


async def _look(database: Database, desk: Desk) -> Pairs:
    """Likely pairs of the same board, of which one at least is not finished."""
    wanted = (
        select(Request.id, Request.board_id)
        .join(Board, Board.id == Request.board_id)
        .where(Request.merged_into_id.is_(None), Request.status.in_(UNFINISHED))
        .where(Request.hidden_at.is_(None), Board.archived_at.is_(None))
        .order_by(Request.id)
    )
    async with database.session() as session:
        requests = (await session.execute(wanted)).all()
    pairs: dict[frozenset[UUID], float] = {}
    for request_id, board_id in requests:
        board: Any = select(Request.id).where(
            Request.board_id == board_id, Request.merged_into_id.is_(None), Request.hidden_at.is_(None)
        )
        async with database.session() as session:
            matches = await desk.matcher.similar(
                session,
                subject=subject_of(request_id),
                types=likeness.TYPES,
                audiences=likeness.AUDIENCE,
                within=board,
                limit=NEIGHBOURS,
            )
        for each in matches:
            if each.probability >= DUPLICATE_FROM:
                pair = frozenset({request_id, each.id})
                pairs[pair] = max(each.probability, pairs.get(pair, 0.0))
    return pairs


async def _store(session: AsyncSession, pairs: Pairs) -> int:
    locked, standing = await _open(session)
    merged = set(await session.scalars(select(Request.id).where(Request.merged_into_id.is_not(None))))
    likeliest_first = sorted(
        (pair for pair in pairs if not pair & merged), key=lambda pair: (-pairs[pair], sorted(pair))
    )
    found = clusters(((min(pair), max(pair)) for pair in likeliest_first), apart=await _dismissed(session))
    wanted = [frozenset(each) for each in found]
    kept = {standing[ids] for ids in wanted if ids in standing}
    await session.execute(delete(Cluster).where(Cluster.id.in_(locked - kept)))
    likelihoods = _likelihoods(pairs, wanted)
    for ids in wanted:
        cluster_id = standing.get(ids)
        if cluster_id is None:
            made = insert(Cluster).values(status=ClusterStatus.open).returning(Cluster.id)
            cluster_id = (await session.execute(made)).scalar_one()
        rows = [
            {"cluster_id": cluster_id, "request_id": each, "probability": likelihoods[each]}
            for each in sorted(ids)
        ]
        row = insert(ClusterMember)
        latest = {"probability": row.excluded.probability}
        keys = ["cluster_id", "request_id"]
        await session.execute(row.values(rows).on_conflict_do_update(index_elements=keys, set_=latest))
    return len(wanted)


def _likelihoods(pairs: Pairs, wanted: Sequence[frozenset[UUID]]) -> dict[UUID, float]:
    """Of each member that it is one with another of its cluster."""
    cluster_of = {each: ids for ids in wanted for each in ids}
    found: dict[UUID, float] = {}
    for pair, probability in pairs.items():
        for each in pair:
            if pair <= cluster_of.get(each, frozenset()):
                found[each] = max(probability, found.get(each, 0.0))
    return found


async def _dismissed(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    """Pairs that somebody said are none."""
    groups = (await _members_by(session, ClusterStatus.dismissed)).values()
    return [pair for ids in groups for pair in combinations(sorted(ids), 2)]


async def _open(session: AsyncSession) -> tuple[set[UUID], dict[frozenset[UUID], UUID]]:
    """Open clusters, locked: who decides one waits, or had decided it before. Their ids, and one by its
    members: when a decision was taken back there may be a second one of the same."""
    open_ones = select(Cluster.id).where(Cluster.status == ClusterStatus.open).order_by(Cluster.id)
    locked = set(await session.scalars(open_ones.with_for_update()))
    members_by = await _members_by(session, ClusterStatus.open)
    standing: dict[frozenset[UUID], UUID] = {}
    for cluster_id in sorted(locked & members_by.keys()):
        standing.setdefault(members_by[cluster_id], cluster_id)
    return locked, standing


async def _members_by(session: AsyncSession, status: ClusterStatus) -> dict[UUID, frozenset[UUID]]:
    """Who is in each cluster of a status."""
    found: dict[UUID, set[UUID]] = {}
    statement = (
        select(ClusterMember.cluster_id, ClusterMember.request_id)
        .join(Cluster, Cluster.id == ClusterMember.cluster_id)
        .where(Cluster.status == status)
    )
    for cluster_id, request_id in await session.execute(statement):
        found.setdefault(cluster_id, set()).add(request_id)
    return {cluster_id: frozenset(ids) for cluster_id, ids in found.items()}


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
