"""When to answer, when to answer with a caveat, and when to say that the documents do not tell.

A logistic score over signals that are comparable between questions, fitted on answerable and unanswerable
questions (``python -m tests.bench.fit_abstention``; data and figures in the README).
"""

from __future__ import annotations

import math

from app.knowledge import Outcome
from app.rag.evidence import Signals

WEIGHTS = {
    "cosine": 3.8,
    "sentence_cosine": 1.45,
    "holds_type": 0.88,
    "missing_names": -3.5,
    "heaviest_missing": -2.21,
}
BIAS = -2.77
ANSWER_FROM = 0.5
CAVEAT_FROM = 0.3
NOTHING_FOUND = "nothing_found"
WEAK_EVIDENCE = "weak_evidence"


def confidence(signals: Signals) -> float:
    """Probability, 0 to 1, that the evidence answers the question."""
    score = BIAS + sum(weight * getattr(signals, name) for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(-score))


def outcome_for(value: float) -> Outcome:
    """The outcome that a confidence allows."""
    if value >= ANSWER_FROM:
        return Outcome.ANSWERED
    return Outcome.CAVEAT if value >= CAVEAT_FROM else Outcome.ABSTAINED
