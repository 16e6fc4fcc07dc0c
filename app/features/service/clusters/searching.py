"""The nightly search for likely duplicates.

Looking compares every request with its board, by reading alone; what was found is stored at the end in one
transaction. Cut off anywhere it has changed nothing, and is done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.features.constants import UNFINISHED, ClusterStatus
from app.features.desk import Desk
from app.features.models import Board, Cluster, ClusterMember, Request
from app.features.service import likeness
from app.features.service.changes import subject_of
from app.features.utils.clustering import clusters
from app.jobs import JobHandler
from app.matching import DUPLICATE_FROM

REFRESH_JOB = "features-duplicates"
REFRESH_HOURS = 24.0
NEIGHBOURS = 10  # that each request is compared with, the likest ones
REFRESH_LOCK = text("select pg_advisory_xact_lock(8390876208524944898)")  # one stores at a time

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
