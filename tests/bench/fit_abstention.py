"""Fits the abstention score on judged questions: ``python -m tests.bench.fit_abstention DIR…``

Each DIR has answers.jsonl with ``is_impossible``; every set and both kinds of question weigh the same. The
sample company's own questions take part. Logistic regression with a small ridge, by Newton's method.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.config import Settings
from app.database import Database
from app.rag.evaluation import dataset
from app.rag.evaluation.runner import SCOPE, index, own_schema
from app.rag.evidence import Signals
from app.rag.extractive import extract
from app.rag.retrieval import Scope
from app.rag.runtime import Rag, open_rag
from app.rag.service import collections, documents
from app.sample import SEEDS
from app.setup import bring_up_to_date

QUESTIONS = 400  # of each set
RIDGE = 0.5
Set = tuple[NDArray[np.float64], NDArray[np.float64]]


async def main(folders: list[Path]) -> None:
    """Collect the signals of every question, fit, and print."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        database = Database(settings)
        await database.start()
        try:
            sets = {"sample company": await _sample(settings, database)}
            for each in folders:
                sets[each.name] = await _judged(settings, database, each)
        finally:
            await database.stop()
    weights, bias = _fit(list(sets.values()))
    names = [field.name for field in fields(Signals)]
    print(
        {name: round(float(weight), 2) for name, weight in zip(names, weights, strict=True)}, round(bias, 2)
    )
    for name, (signals, labels) in sets.items():
        score = 1 / (1 + np.exp(-(signals @ weights + bias)))
        yes, no = (
            np.percentile(score[labels == 1], [10, 25, 50]),
            np.percentile(score[labels == 0], [50, 75, 90]),
        )
        print(
            f"{name}: AUC {_auc(score, labels):.3f};"
            f" answerable p10/25/50 {yes.round(2)}, not p50/75/90 {no.round(2)}"
        )


async def _signals(database: Database, rag: Rag, question: str, scope: Scope) -> Signals:
    embedding = await rag.answerer.embed(question)
    async with database.session() as session:
        material = await rag.answerer.retrieve(
            session, question=question, standalone=question, embedding=embedding, history=(), scope=scope
        )
    return (await extract(question, material.hits, rag.embedder)).signals


async def _judged(settings: Settings, database: Database, folder: Path) -> Set:
    judged = dataset.load(folder, limit=QUESTIONS)
    async with (
        own_schema(settings, database, bring_up_to_date) as scratch,
        open_rag(settings, scratch) as rag,
    ):
        await index(scratch, rag, judged.corpus)
        rows = [astuple(await _signals(scratch, rag, each.question, SCOPE)) for each in judged.questions]
    return np.array(rows), np.array([float(not each.is_impossible) for each in judged.questions])


async def _sample(settings: Settings, database: Database) -> Set:
    questions = json.loads((SEEDS / "questions.json").read_text(encoding="utf-8"))
    company = json.loads((SEEDS / "company.json").read_text(encoding="utf-8"))
    scope = Scope(audiences=("public", "customers", "staff"))
    async with (
        own_schema(settings, database, bring_up_to_date) as scratch,
        open_rag(settings, scratch) as rag,
    ):
        async with scratch.session() as session:
            shelf = (await collections.create(session, name="sample")).id
        for page in company["documents"]:
            path = SEEDS / page["path"]
            async with scratch.session() as session:
                upload = documents.Upload(
                    collection_id=shelf, content=path.read_bytes(), filename=path.name, title=page["title"]
                )
                document = await documents.take_in(session, upload)
            await rag.ingestor.ingest(document.id, 1)
        rows = [astuple(await _signals(scratch, rag, each["question"], scope)) for each in questions]
    return np.array(rows), np.array([float(each["document"] is not None) for each in questions])


def _fit(sets: list[Set]) -> tuple[NDArray[np.float64], float]:
    signals = np.vstack([each for each, _ in sets])
    labels = np.concatenate([each for _, each in sets])
    balance = np.concatenate([np.where(y == 1, 0.5 / y.sum(), 0.5 / (1 - y).sum()) for _, y in sets])
    balance *= len(labels) / balance.sum()
    mean, spread = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    design = np.c_[(signals - mean) / spread, np.ones(len(signals))]
    ridge = np.r_[np.full(signals.shape[1], RIDGE), 1e-9]
    w = np.zeros(design.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ w))
        gradient = design.T @ (balance * (p - labels)) + ridge * w
        hessian = (design * (balance * p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        w -= np.linalg.solve(hessian, gradient)
    weights = w[:-1] / spread
    return weights, float(w[-1] - weights @ mean)


def _auc(score: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Chance that an answerable question scores above another; by ranks (Mann and Whitney 1947)."""
    ranks = score.argsort().argsort() + 1.0
    positives = labels.sum()
    negatives = len(labels) - positives
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


if __name__ == "__main__":
    asyncio.run(main([Path(each) for each in sys.argv[1:]]))
