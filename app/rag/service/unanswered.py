"""Unanswered questions: what people asked in vain, by what they asked for, until a document closes it.

A job puts each question beside the nearest one that was asked before, if that is near enough. A closed one
is open again when it is asked in vain once more. Clusters hold no words: what is shown are the answers'
questions, so that nothing is left when these are erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.database import Database
from app.events import Subject
from app.identity.principal import SYSTEM, Principal
from app.jobs import JobHandler
from app.knowledge import Embeds, Outcome
from app.listing import Listing, any_of
from app.preconditions import ANYTHING, Expected
from app.rag.exceptions import QuestionClusterNotFoundError, UnknownDocumentError
from app.rag.models import Answer, Document, QuestionCluster, UnansweredQuestion
from app.rag.schemas import AskedQuestion, QuestionStatus, UnansweredReason, UnansweredView

CLUSTER_TYPE = "question_cluster"
SAME_FROM = 0.8  # cosine of questions that ask for the same
EXAMPLES = 5
CLAIM = text("select pg_advisory_xact_lock(8390876208524944899)")  # questions are placed one after another
FRESH = {"populate_existing": True}

_member = UnansweredQuestion.__table__.c
ASKED: Any = (
    select(func.count())
    .where(_member.cluster_id == QuestionCluster.id)
    .correlate(QuestionCluster)
    .scalar_subquery()
)
CLUSTERS = Listing(
    QuestionCluster,
    sorts={"asked": ASKED, "created_at": QuestionCluster.created_at},
    default="-asked",
    never_null=["asked"],
)


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The job."""

    answer_id: UUID


def unanswered_handler(database: Database, embeds: Embeds) -> JobHandler:
    """The job that puts a question beside those that ask for the same."""

    async def handle(payload: bytes, attempts: int) -> None:
        await place(database, embeds, msgspec.json.decode(payload, type=Placed).answer_id)

    return handle


async def place(database: Database, embeds: Embeds, answer_id: UUID) -> None:
    """Put an answer's question into its cluster; again changes nothing.

    No connection is held while the model works.
    """
    async with database.session() as session:
        answer = await session.get(Answer, answer_id)
    if answer is None:
        return  # erased since
    vector = list(await embeds.embed_query(answer.standalone_question))
    abstained = answer.outcome == Outcome.ABSTAINED
    reason = UnansweredReason.ABSTAINED if abstained else UnansweredReason.DISLIKED
    async with database.session() as session:
        await session.execute(CLAIM)
        held = select(Answer.id).where(Answer.id == answer_id).with_for_update(read=True, key_share=True)
        if await session.scalar(held) is None:
            return
        if await session.get(UnansweredQuestion, answer_id) is not None:
            return
        cluster_id = await _nearest(session, embeds.model_id, vector)
        if cluster_id is None:
            made = insert(QuestionCluster).values(status=QuestionStatus.OPEN).returning(QuestionCluster.id)
            cluster_id = (await session.execute(made)).scalar_one()
        else:
            await _open_again(session, cluster_id, asked_at=answer.created_at)
        row = {"answer_id": answer_id, "cluster_id": cluster_id, "reason": reason}
        row |= {"model_id": embeds.model_id, "embedding": vector, "created_at": answer.created_at}
        await session.execute(insert(UnansweredQuestion).values(row))


def listed(statuses: Sequence[QuestionStatus] | None) -> Select[QuestionCluster]:
    """Clusters that a list shows; those whose questions were erased are none."""
    members = select(_member.answer_id).where(_member.cluster_id == QuestionCluster.id)
    return select(QuestionCluster).where(any_of(QuestionCluster.status, statuses), members.exists())


async def close(
    session: AsyncSession,
    cluster_id: UUID,
    *,
    actor: Principal,
    document_id: UUID | None,
    expected: Expected = ANYTHING,
) -> QuestionCluster:
    """Say that it is answered from now on, by a document. ``QuestionClusterNotFoundError``,
    ``VersionMismatchError``, ``UnknownDocumentError``."""
    cluster = await _lock(session, cluster_id, expected)
    if document_id is not None and await session.get(Document, document_id) is None:
        raise UnknownDocumentError("There is no such document.", field="document_id")
    values = {"status": QuestionStatus.CLOSED, "document_id": document_id, "closed_by": actor.person_id}
    return await _change(session, cluster, values | {"closed_at": datetime.now(UTC)}, actor=actor)


async def reopen(
    session: AsyncSession, cluster_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> QuestionCluster:
    """Say that it is not. ``QuestionClusterNotFoundError``, ``VersionMismatchError``."""
    cluster = await _lock(session, cluster_id, expected)
    return await _change(session, cluster, OPEN_AGAIN, actor=actor)


async def show_all(session: AsyncSession, clusters: Sequence[QuestionCluster]) -> list[UnansweredView]:
    """Clusters with their figures and latest questions."""
    ids = [each.id for each in clusters]
    who = func.coalesce(Answer.person_id, Answer.key_id, Answer.id)
    figures = (
        select(
            UnansweredQuestion.cluster_id,
            func.count().label("asked"),
            func.count(who.distinct()).label("people"),
            func.count().filter(UnansweredQuestion.reason == UnansweredReason.DISLIKED).label("disliked"),
            func.max(UnansweredQuestion.created_at).label("last"),
        )
        .join(Answer, Answer.id == UnansweredQuestion.answer_id)
        .where(UnansweredQuestion.cluster_id.in_(ids))
        .group_by(UnansweredQuestion.cluster_id)
    )
    counted = {row.cluster_id: row for row in await session.execute(figures)}
    latest = await _latest(session, ids)
    return [
        UnansweredView(
            id=each.id,
            status=QuestionStatus(each.status),
            asked=counted[each.id].asked,
            people=counted[each.id].people,
            disliked=counted[each.id].disliked,
            last_asked_at=counted[each.id].last,
            questions=latest[each.id],
            document_id=each.document_id,
            closed_at=each.closed_at,
            version=each.version,
            created_at=each.created_at,
        )
        for each in clusters
        if each.id in counted
    ]


async def _latest(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[AskedQuestion]]:
    order = (UnansweredQuestion.created_at.desc(), UnansweredQuestion.answer_id.desc())
    rank = func.row_number().over(partition_by=UnansweredQuestion.cluster_id, order_by=order)
    ranked = (
        select(
            UnansweredQuestion.cluster_id,
            UnansweredQuestion.answer_id,
            UnansweredQuestion.reason,
            UnansweredQuestion.created_at,
            Answer.standalone_question,
            rank.label("rank"),
        )
        .join(Answer, Answer.id == UnansweredQuestion.answer_id)
        .where(UnansweredQuestion.cluster_id.in_(ids))
        .subquery()
    )
    found: dict[UUID, list[AskedQuestion]] = {}
    latest = select(ranked).where(ranked.c.rank <= EXAMPLES).order_by(ranked.c.cluster_id, ranked.c.rank)
    for row in await session.execute(latest):
        found.setdefault(row.cluster_id, []).append(
            AskedQuestion(
                answer_id=row.answer_id,
                question=row.standalone_question,
                reason=UnansweredReason(row.reason),
                asked_at=row.created_at,
            )
        )
    return found


async def _nearest(session: AsyncSession, model_id: int, vector: Sequence[float]) -> UUID | None:
    """The cluster of the nearest question of this model, compared with all: they are few."""
    distance = UnansweredQuestion.embedding.cosine_distance(vector)
    statement = (
        select(UnansweredQuestion.cluster_id, distance.label("distance"))
        .where(UnansweredQuestion.model_id == model_id)
        .order_by(distance, UnansweredQuestion.answer_id)
        .limit(1)
    )
    found = (await session.execute(statement)).one_or_none()
    return found.cluster_id if found is not None and 1 - found.distance >= SAME_FROM else None


OPEN_AGAIN: dict[str, Any] = {
    "status": QuestionStatus.OPEN,
    "document_id": None,
    "closed_by": None,
    "closed_at": None,
}


async def _open_again(session: AsyncSession, cluster_id: UUID, *, asked_at: datetime) -> None:
    cluster = await session.get(QuestionCluster, cluster_id, with_for_update=True, populate_existing=True)
    if cluster is not None and cluster.closed_at is not None and cluster.closed_at < asked_at:
        await _change(session, cluster, OPEN_AGAIN, actor=SYSTEM)


async def _lock(session: AsyncSession, cluster_id: UUID, expected: Expected) -> QuestionCluster:
    statement = listed(None).where(QuestionCluster.id == cluster_id).with_for_update(of=QuestionCluster)
    cluster = await session.scalar(statement, execution_options=FRESH)
    if cluster is None:
        raise QuestionClusterNotFoundError("There are no such questions.")
    expected.check(cluster.version)
    return cluster


async def _change(
    session: AsyncSession, cluster: QuestionCluster, values: dict[str, Any], *, actor: Principal
) -> QuestionCluster:
    """One version and one event; again changes nothing."""
    same = ("status", "document_id")
    if all(getattr(cluster, name) == values[name] for name in same):
        return cluster
    before = {name: getattr(cluster, name) for name in same}
    statement = update(QuestionCluster).where(QuestionCluster.id == cluster.id)
    statement = statement.values(version=QuestionCluster.version + 1, **values)
    changed = (await session.scalars(statement.returning(QuestionCluster), execution_options=FRESH)).one()
    after = {name: getattr(changed, name) for name in same} | {"version": changed.version}
    closed = changed.status == QuestionStatus.CLOSED
    await events.record(
        session,
        "question_cluster.closed" if closed else "question_cluster.opened",
        subject=Subject(CLUSTER_TYPE, changed.id),
        actor=actor,
        before=before,
        after=after,
    )
    return changed
