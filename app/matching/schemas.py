"""What the room takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.events import Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A desk's thing with the text that it is found by.

    ``signatures``: normalised error signatures, matched as they are. ``audience``: tokens of which a reader
    needs one: ``staff``, ``public``, ``account:<id>``, ``person:<id>``. ``created_at``: of the thing, aware.
    """

    subject: Subject
    title: str = field(repr=False)
    body: str = field(repr=False)
    audience: Sequence[str]
    created_at: datetime
    signatures: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A thing like the one asked about, with every raw score.

    ``probability``: that the two are duplicates, 0 to 1 (see ``likelihood``). ``cosine``: of the vectors, -1
    to 1; None while the thing has none, or without a vector of the question. ``lift``: by how much it is
    above that of things that merely belong to the same corpus. ``bm25``: over the question's strongest words;
    ``share``: the part of the greatest possible one, 0 to 1. ``coverage``: the part of the question's idf
    whose words the thing holds. ``terms``: the weightiest shared words, as the question spells them.
    ``same_signatures``: those of the question that the thing has, too.
    """

    subject: Subject
    score: float
    probability: float
    cosine: float | None
    lift: float | None
    bm25: float
    share: float
    coverage: float
    rank_bm25: int | None
    rank_dense: int | None
    terms: tuple[str, ...]
    same_signatures: tuple[str, ...]
    created_at: datetime

    @property
    def id(self) -> UUID:
        """The subject's id."""
        return self.subject.id
