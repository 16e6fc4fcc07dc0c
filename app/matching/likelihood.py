"""How likely two things are duplicates, from the scores of a comparison.

A logistic regression on the cosine, on the square root of BM25's share, and on the lift: by how much the
cosine is above that of the thing's other neighbours. The lift carries over from one corpus to another, where
the cosine alone does not: reports about one product are all alike. Fitted on the first ten matches of every
other judged query of two sets of different kinds (bug reports with their tracker's links, paraphrased
questions), both weighing the same, each query asked with its duplicates in the corpus and without them:
``python -m tests.bench.fit_duplicates``. Without a vector, on the share alone.

A shared error signature adds ``SIGNATURE`` to the log odds. That is a judgement: no judged set has any.
"""

from __future__ import annotations

from math import exp, sqrt

COSINE, SHARE, LIFT, BIAS = 3.19, 4.29, 11.59, -7.98
WORDS_SHARE, WORDS_BIAS = 8.25, -6.06
SIGNATURE = 4.0
DUPLICATE_FROM = 0.8  # likely: of the flagged bug reports three in four are linked by their tracker


def probability(*, cosine: float | None, lift: float | None, share: float, same_signature: bool) -> float:
    """Of being duplicates, 0 to 1, given that the thing is among the first ten that were found."""
    if cosine is None or lift is None:
        odds = WORDS_SHARE * sqrt(share) + WORDS_BIAS
    else:
        odds = COSINE * cosine + SHARE * sqrt(share) + LIFT * lift + BIAS
    return 1 / (1 + exp(-(odds + SIGNATURE * same_signature)))
