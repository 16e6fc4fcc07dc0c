"""Figures of merit for rankings, with bootstrap intervals.

nDCG as in Järvelin and Kekäläinen (2002) with the judged grade as gain and log2(rank + 1) as discount,
as trec_eval computes it; recall over all relevant documents; MRR over the first relevant one among
those returned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.rag.evaluation.report import Estimate

RESAMPLES = 1_000
SEED = 20_240_501  # fixed: the same run gives the same interval


def ndcg(ranking: Sequence[str], grades: Mapping[str, float], k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first ``k``, 0 to 1."""
    gain = sum(grades.get(each, 0.0) / math.log2(rank + 1) for rank, each in enumerate(ranking[:k], start=1))
    ideal = sum(
        grade / math.log2(rank + 1)
        for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:k], start=1)
    )
    return gain / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Part of the relevant documents among the first ``k``."""
    relevant = {each for each, grade in grades.items() if grade > 0}
    return len(relevant & set(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """1 / rank of the first relevant document; 0 when none was returned."""
    return next((1 / rank for rank, each in enumerate(ranking, start=1) if grades.get(each, 0.0) > 0), 0.0)


def mean(values: Sequence[float]) -> Estimate:
    """Mean with its 95 % percentile-bootstrap interval (Efron 1979) over queries."""
    return ratio(values, [1.0] * len(values))


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Ratio of two sums over queries, resampled together; 0 when there is nothing to divide by."""
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if not below.sum():
        return Estimate(value=0.0, low=0.0, high=0.0)
    picks = np.random.default_rng(SEED).integers(0, len(above), (RESAMPLES, len(above)))
    totals = below[picks].sum(axis=1)
    samples = np.divide(above[picks].sum(axis=1), totals, out=np.zeros(RESAMPLES), where=totals > 0)
    low, high = np.percentile(samples, [2.5, 97.5])
    return _estimate(above.sum() / below.sum(), low, high)


def f1(predicted: Sequence[bool], actual: Sequence[bool]) -> Estimate:
    """F1 of the positive class, with its bootstrap interval: 2·both / (predicted + actual)."""
    both = [2.0 * (p and a) for p, a in zip(predicted, actual, strict=True)]
    return ratio(both, [float(p) + float(a) for p, a in zip(predicted, actual, strict=True)])


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=round(float(value), 4), low=round(float(low), 4), high=round(float(high), 4))
