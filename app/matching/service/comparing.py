"""One comparison: how to look, the statement, its rows as matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.knowledge import Embeds
from app.matching.constants import (
    CANDIDATES,
    EXACT_UNTIL,
    HNSW_EF_SEARCH,
    LIMIT_MAX,
    NARROW,
    POSTINGS_BUDGET,
    SCORED_TERMS,
    STAFF,
)
from app.matching.likelihood import probability
from app.matching.queries import match_sql, measure_sql
from app.matching.schemas import Match
from app.matching.service.questions import Question
from app.matching.words import spellings

UNBOUNDED = 2_000_000_000
LAST_CHARACTER = "\U0010ffff"
COLUMNS = (
    *("id", "subject_type", "created_at", "rank_bm25", "rank_dense", "bm25", "share", "coverage", "cosine"),
    *("background", "signatures", "score", "terms"),
)
SESSION_SETTINGS = text(
    "select set_config('hnsw.ef_search', :ef_search, true),"
    " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How the arms are fused, and what is too far off to be shown."""

    word_weight: float
    coverage_weight: float
    signature_weight: float
    least_coverage: float
    least_cosine: float
    conjoin: bool


# cosine + .05 · ln(1 + bm25). A word match's worth grows with its logarithm: the tenth shared word says less
# than the first. Chosen on bug duplicates and FAQ paraphrases; see the README for the figures. A shared
# signature comes before all but the same text, as a cosine that is .5 higher: no judged set has any.
SIMILAR = Scoring(
    word_weight=0.05,
    coverage_weight=0,
    signature_weight=0.5,
    least_coverage=0,
    least_cosine=-1,
    conjoin=False,
)
# Who types words into a list wants the things that have all of them first, then those of like meaning.
SEARCH = Scoring(
    word_weight=0.02,
    coverage_weight=1,
    signature_weight=0,
    least_coverage=0.5,
    least_cosine=0.35,
    conjoin=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be found."""

    types: Sequence[str]
    audiences: Sequence[str]
    exclude: Sequence[UUID]
    within: Select[tuple[UUID]] | None

    @property
    def narrowed(self) -> bool:
        """Whether the reader may see so few things that looking at each of them is best."""
        return self.within is not None or STAFF not in self.audiences

    @property
    def parameters(self) -> dict[str, Any]:
        """For ``visible.sql``."""
        return {"types": self.types, "audiences": self.audiences, "exclude": self.exclude}


async def compare(
    session: AsyncSession,
    embeds: Embeds,
    question: Question,
    *,
    scope: Scope,
    scoring: Scoring,
    limit: int,
) -> list[Match]:
    """The matches, best first; at most ``LIMIT_MAX``."""
    limit = max(1, min(limit, LIMIT_MAX))
    candidates = max(CANDIDATES, limit)
    await session.execute(SESSION_SETTINGS, {"ef_search": str(max(HNSW_EF_SEARCH, candidates))})
    arm = await _arm(session, scope)
    sql = match_sql(
        arm="none" if question.vector is None else arm,
        narrow=arm == "narrow",
        allowed=scope.within is not None,
        model_id=embeds.model_id,
        dimensions=embeds.dimensions,
    )
    parameters = scope.parameters | {
        "lexical": question.lexical,
        "prefix": question.prefix,
        "prefix_end": question.prefix and question.prefix + LAST_CHARACTER,
        "own": int(question.own),
        "embedding": question.vector,
        "signatures": list(question.signatures),
        "scored": SCORED_TERMS,
        "budget": UNBOUNDED if arm == "narrow" else POSTINGS_BUDGET,
        "cap": 4 * POSTINGS_BUDGET,
        "candidates": candidates,
        "limit": limit,
        **asdict(scoring),
    }
    rows = await _fetch(session, sql, columns=COLUMNS, within=scope.within, parameters=parameters)
    spelled = spellings(question.words)
    return sorted((_match(row, spelled) for row in rows), key=lambda each: (-each.score, each.id))


async def _arm(session: AsyncSession, scope: Scope) -> str:
    """Which vectors to compare: those of the few visible things, all, or those that the index finds."""
    (row,) = await _fetch(
        session,
        measure_sql(allowed=scope.within is not None),
        columns=("things", "visible"),
        within=scope.within,
        parameters=scope.parameters | {"narrowed": scope.narrowed, "cap": NARROW + 1},
    )
    if row.visible is not None and row.visible <= NARROW:
        return "narrow"
    return "exact" if row.things <= EXACT_UNTIL else "hnsw"


async def _fetch(
    session: AsyncSession,
    sql: str,
    *,
    columns: Sequence[str],
    within: Select[tuple[UUID]] | None,
    parameters: dict[str, Any],
) -> Sequence[Row[Any]]:
    """Run a statement; with ``within`` beside it as the common table expression ``allowed``."""
    if within is None:
        return (await session.execute(text(sql), parameters)).all()
    ids = within.subquery()
    allowed = select(ids.c[0].label("id")).cte("allowed")
    found = text(sql).columns(*map(column, columns)).cte("found_within")
    return (await session.execute(select(found).add_cte(allowed), parameters)).all()


def _match(row: Row[Any], spelled: Mapping[str, str]) -> Match:
    lift = None if row.cosine is None else row.cosine - row.background
    return Match(
        subject=Subject(row.subject_type, row.id),
        score=row.score,
        probability=probability(
            cosine=row.cosine, lift=lift, share=row.share, same_signature=bool(row.signatures)
        ),
        cosine=row.cosine,
        lift=lift,
        bm25=row.bm25,
        share=row.share,
        coverage=row.coverage,
        rank_bm25=row.rank_bm25,
        rank_dense=row.rank_dense,
        terms=tuple(dict.fromkeys(spelled.get(each, each) for each in row.terms)),
        same_signatures=tuple(row.signatures),
        created_at=row.created_at,
    )
