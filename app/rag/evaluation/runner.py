"""Running a judged set through the real pipeline, in a schema of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from uuid import UUID

import numpy as np
from sqlalchemy import text

from app.config import Settings
from app.database import Database, create_engine
from app.knowledge import Outcome
from app.rag.evaluation import dataset, metrics
from app.rag.evaluation.report import AnswersReport, ArmReport, Arms, Estimate, Latency, Report
from app.rag.evidence import Composition, Statement
from app.rag.ingest import fold_statistics
from app.rag.language import hard_tokens, supported_hard_tokens
from app.rag.retrieval import Hit, Scope
from app.rag.runtime import Rag, open_rag
from app.rag.service import collections, documents

DEPTH = 100  # chunks fetched, so that ten documents remain when several chunks are of one
CONCURRENCY = 4  # documents on their way into the index at once
SCOPE = Scope(audiences=("public",))
Progress = Callable[[str], None]
Prepare = Callable[[Settings, Database], Awaitable[None]]


async def evaluate_folder(
    settings: Settings,
    database: Database,
    folder: Path,
    *,
    prepare: Prepare,
    limit: int | None = None,
    progress: Progress,
) -> Report:
    """Index the set's corpus in a schema of its own, judge search and answers, and drop it again.

    ``prepare`` brings that schema up to date.
    """
    judged = dataset.load(folder, limit=limit)
    async with own_schema(settings, database, prepare) as scratch, open_rag(settings, scratch) as rag:
        started = time.monotonic()
        names = await index(scratch, rag, judged.corpus)
        progress(f"{len(judged.corpus)} documents indexed in {time.monotonic() - started:.0f} s")
        arms, latency = await _judge_search(scratch, rag, judged, names)
        progress(f"{len(judged.queries)} queries searched")
        answers = await _judge_answers(scratch, rag, judged.questions, names) if judged.questions else None
        return Report(queries=len(judged.queries), arms=arms, latency_ms=latency, answers=answers)


@asynccontextmanager
async def own_schema(settings: Settings, database: Database, prepare: Prepare) -> AsyncIterator[Database]:
    """A database of its own beside everything else, dropped at the end of the block."""
    schema = f"eval_{token_hex(6)}"
    owner = create_engine(database.dsn("owner"))
    scratch = Database(settings, schema=schema)
    try:
        async with owner.begin() as connection:
            await connection.execute(text(f"create schema {schema}"))
        await scratch.start()
        await prepare(settings, scratch)
        yield scratch
    finally:
        await scratch.stop()
        async with owner.begin() as connection:
            await connection.execute(text(f"drop schema if exists {schema} cascade"))
        await owner.dispose()


async def index(database: Database, rag: Rag, corpus: Sequence[dataset.CorpusDocument]) -> dict[UUID, str]:
    """Take every document in; returns the set's id of each."""
    async with database.session() as session:
        shelf = (await collections.create(session, name="evaluation")).id
    names: dict[UUID, str] = {}
    slots = asyncio.Semaphore(CONCURRENCY)

    async def take_in(each: dataset.CorpusDocument) -> None:
        async with slots:
            async with database.session() as session:
                document = await documents.take_in(
                    session,
                    documents.Upload(
                        collection_id=shelf,
                        content=each.text.encode() or b"-",
                        media_type="text/plain",
                        title=each.title or None,
                        audience="public",
                    ),
                )
            await rag.ingestor.ingest(document.id, document.latest_version)
            names[document.id] = each.id

    await asyncio.gather(*(take_in(each) for each in corpus))
    async with database.session() as session:
        await fold_statistics(session)
    owner = create_engine(database.dsn("owner"), schema=database.schema)
    async with owner.begin() as connection:
        await connection.execute(text("analyze chunk, chunk_embedding, document, lexeme_statistic"))
    await owner.dispose()
    return names


async def _judge_search(
    database: Database, rag: Rag, judged: dataset.JudgedSet, names: dict[UUID, str]
) -> tuple[Arms, Latency]:
    rankings: dict[str, list[list[str]]] = {"bm25": [], "dense": [], "fused": []}
    took: list[float] = []
    for query in judged.queries:
        started = time.perf_counter()
        embedding = await rag.embedder.embed_query(query.text)
        async with database.session() as session:
            hits = await rag.retriever.search(
                session, query=query.text, embedding=embedding, scope=SCOPE, limit=DEPTH, candidates=DEPTH
            )
        took.append((time.perf_counter() - started) * 1000)
        by_words = sorted((hit for hit in hits if hit.rank_bm25), key=lambda hit: hit.rank_bm25 or 0)
        by_meaning = sorted((hit for hit in hits if hit.rank_dense), key=lambda hit: hit.rank_dense or 0)
        for arm, ranked in (("bm25", by_words), ("dense", by_meaning), ("fused", hits)):
            rankings[arm].append(_documents(ranked, names, exclude=query.id))
    grades = [judged.grades[query.id] for query in judged.queries]
    arms = {arm: _arm(ranked, grades) for arm, ranked in rankings.items()}
    p50, p95 = (round(float(value), 1) for value in np.percentile(took or [0.0], [50, 95]))
    return Arms(**arms), Latency(p50=p50, p95=p95)


def _documents(hits: Iterable[Hit], names: dict[UUID, str], *, exclude: str) -> list[str]:
    """Documents by their best chunk; a query that is itself in the corpus leaves itself out."""
    ranked = dict.fromkeys(names[hit.document_id] for hit in hits)
    ranked.pop(exclude, None)
    return list(ranked)


def _arm(rankings: list[list[str]], grades: list[dict[str, float]]) -> ArmReport:
    pairs = list(zip(rankings, grades, strict=True))
    return ArmReport(
        ndcg_at_10=metrics.mean([metrics.ndcg(ranking, grade) for ranking, grade in pairs]),
        recall_at_5=metrics.mean([metrics.recall(ranking, grade, 5) for ranking, grade in pairs]),
        recall_at_10=metrics.mean([metrics.recall(ranking, grade, 10) for ranking, grade in pairs]),
        mrr=metrics.mean([metrics.reciprocal_rank(ranking, grade) for ranking, grade in pairs]),
    )


async def _judge_answers(
    database: Database, rag: Rag, questions: Sequence[dataset.JudgedQuestion], names: dict[UUID, str]
) -> AnswersReport:
    answered: list[bool] = []
    valid: list[tuple[float, float]] = []
    precise: list[tuple[float, float]] = []
    unsupported: list[tuple[float, float]] = []
    for question in questions:
        composition = await _answer(database, rag, question.question)
        shown = composition.statements if composition.outcome is not Outcome.ABSTAINED else ()
        statements = [each for each in shown if isinstance(each, Statement)]
        answered.append(bool(statements))
        spans = await _spans(database, statements)
        valid.append((float(sum(quote == stored for quote, stored in spans)), float(len(spans))))
        if statements and not question.is_impossible:
            gold = sum(names[each.hit.document_id] in question.gold for each in statements)
            precise.append((float(gold), float(len(statements))))
        if statements:
            unsupported.append((float(any(_has_unsupported_number(each) for each in statements)), 1.0))
    has_answer = [not question.is_impossible for question in questions]
    refused_rightly = [float(not a and not h) for a, h in zip(answered, has_answer, strict=True)]
    return AnswersReport(
        has_answer_f1=metrics.f1(answered, has_answer),
        refusal_precision=metrics.ratio(refused_rightly, [float(not each) for each in answered]),
        refusal_recall=metrics.ratio(refused_rightly, [float(not each) for each in has_answer]),
        citation_validity=_ratio(valid),
        citation_precision=_ratio(precise),
        unsupported_numbers=_ratio(unsupported),
    )


def _ratio(pairs: list[tuple[float, float]]) -> Estimate:
    return metrics.ratio([above for above, _ in pairs], [below for _, below in pairs])


async def _answer(database: Database, rag: Rag, question: str) -> Composition:
    embedding = await rag.answerer.embed(question)
    async with database.session() as session:
        material = await rag.answerer.retrieve(
            session, question=question, standalone=question, embedding=embedding, history=(), scope=SCOPE
        )
    async for part in rag.answerer.compose(material):
        if isinstance(part, Composition):
            return part
    raise RuntimeError("an answer ended without its composition")


async def _spans(database: Database, statements: Sequence[Statement]) -> list[tuple[str, str]]:
    """(quote, stored text at its span) of every citation."""
    async with database.session() as session:
        return [
            (
                each.quote,
                await session.scalar(
                    text(
                        "select substr(text, :start, :length) from document_version"
                        " where document_id = :document and number = :version"
                    ),
                    {
                        "start": each.hit.start + each.start + 1,
                        "length": each.end - each.start,
                        "document": each.hit.document_id,
                        "version": each.hit.version,
                    },
                )
                or "",
            )
            for each in statements
        ]


def _has_unsupported_number(statement: Statement) -> bool:
    return not hard_tokens(statement.text) <= supported_hard_tokens(
        f"{statement.hit.header}\n{statement.hit.text}"
    )
