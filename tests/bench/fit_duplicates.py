"""Fits the likelihood of duplicates: ``python -m tests.bench.fit_duplicates DIR…``

Logistic regression with a small ridge, by Newton's method, on the first ten matches of every other query;
sets weigh the same. Prints the weights for ``app/matching/likelihood.py``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.matching import Match, Matcher
from tests.bench.duplicates import Judged, NoModel, load, scratch

RIDGE = 0.5
SHOWN = 10
Signals = Callable[[Match], list[float]]
Rows = tuple[NDArray[np.float64], NDArray[np.float64]]


def fused(match: Match) -> list[float]:
    """Signals with vectors."""
    return [match.cosine or 0.0, match.share**0.5, match.lift or 0.0]


def words(match: Match) -> list[float]:
    """Signals without."""
    return [match.share**0.5]


def rows(compared: Sequence[Judged], signals: Signals) -> Rows:
    """Signals and labels of every pair that is shown."""
    pairs = [(signals(m), float(name in j.duplicates)) for j in compared for name, m in j.matches[:SHOWN]]
    return np.array([each for each, _ in pairs]), np.array([label for _, label in pairs])


def fit(sets: Sequence[Rows]) -> NDArray[np.float64]:
    """Weights, the bias last."""
    signals, labels = np.vstack([each for each, _ in sets]), np.concatenate([each for _, each in sets])
    balance = np.concatenate([np.full(len(each), len(labels) / len(sets) / len(each)) for _, each in sets])
    mean, spread = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    design = np.c_[(signals - mean) / spread, np.ones(len(signals))]
    ridge = np.r_[np.full(signals.shape[1], RIDGE), 1e-9]
    weights = np.zeros(design.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (balance * (p - labels)) + ridge * weights
        hessian = (design * (balance * p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        weights -= np.linalg.solve(hessian, gradient)
    scaled = weights[:-1] / spread
    return np.r_[scaled, weights[-1] - scaled @ mean]


async def main(folders: Sequence[Path]) -> None:
    """Load the sets, compare, fit, print."""
    async with scratch() as (database, rag):
        loaded = [await load(database, rag, each) for each in folders]
        for name, matcher, signals in (
            ("cosine, sqrt share, lift, bias", Matcher(rag.embeds), fused),
            ("sqrt share, bias", Matcher(NoModel()), words),
        ):
            compared = []
            for each in loaded:
                pairs = [
                    await each.compare(database, matcher),
                    await each.compare(database, matcher, without=True),
                ]
                compared.append([judged for part in pairs for judged in part[::2]])
            print(name, fit([rows(each, signals) for each in compared]).round(2))


if __name__ == "__main__":
    asyncio.run(main([Path(each) for each in sys.argv[1:]]))
