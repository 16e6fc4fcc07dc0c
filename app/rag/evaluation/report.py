"""The form of a report, as `tridesk eval --json` prints it."""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class ArmReport(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"ndcg_at_10": "ndcg@10", "recall_at_5": "recall@5", "recall_at_10": "recall@10"},
):
    """How well one arm ranks documents (a document counts by its best chunk)."""

    ndcg_at_10: Estimate
    recall_at_5: Estimate
    recall_at_10: Estimate
    mrr: Estimate


class Arms(msgspec.Struct, frozen=True, kw_only=True):
    """Words, meaning, and both."""

    bm25: ArmReport
    dense: ArmReport
    fused: ArmReport


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a search, embedding the query included."""

    p50: float
    p95: float


class AnswersReport(msgspec.Struct, frozen=True, kw_only=True):
    """How well questions are answered or declined.

    ``has_answer_f1``: F1 of answering exactly the answerable. ``refusal_precision``, ``refusal_recall``: of
    declined questions the part that is unanswerable, and the reverse. ``citation_validity``: citations
    whose quote is the stored text at its span. ``citation_precision``: citations of answered answerable
    questions that are in a gold passage. ``unsupported_numbers``: answers with a number that no cited
    passage has.
    """

    has_answer_f1: Estimate
    refusal_precision: Estimate
    refusal_recall: Estimate
    citation_validity: Estimate
    citation_precision: Estimate
    unsupported_numbers: Estimate


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole evaluation."""

    queries: int
    arms: Arms
    latency_ms: Latency
    answers: AnswersReport | None = None
