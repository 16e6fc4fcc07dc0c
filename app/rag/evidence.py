"""The passages an answer may use, and the pieces it is made of.

``Evidence`` numbers the passages for the model; ``Statement`` is one shown sentence with the span it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.rag.constants import Outcome
from app.rag.retrieval import Hit


@dataclass(frozen=True, slots=True)
class Evidence:
    """One passage offered as evidence, by the small integer that the model sees."""

    index: int
    hit: Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of an answer: ``text`` as shown, supported by ``[start, end)`` of the passage's text."""

    text: str
    hit: Hit
    start: int  # code points into hit.text
    end: int
    item: bool = False  # shown as an item of a list

    @property
    def quote(self) -> str:
        """The exact words of the source."""
        return self.hit.text[self.start : self.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What speaks for and against answering; each is comparable between questions.

    ``cosine``: best passage's similarity. ``share``: its best BM25 share. ``coverage``: part of the question's
    idf found in the best passage. ``sentence_cosine``, ``sentence_coverage``: the same for the best sentence.
    ``agreement``: whether words and meaning put the same passage first. ``gap``: lead of the best over the fifth.
    """

    cosine: float = 0.0
    share: float = 0.0
    coverage: float = 0.0
    sentence_cosine: float = 0.0
    sentence_coverage: float = 0.0
    agreement: float = 0.0
    gap: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What the extractive reader found: statements, best first in reading order, and its signals."""

    statements: Sequence[Statement] = field(default_factory=tuple)
    signals: Signals = field(default_factory=Signals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An earlier question of the chat, as it was understood, and its answer."""

    question: str
    standalone: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A question and what was found for it."""

    question: str
    standalone: str
    history: tuple[Turn, ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A finished answer: its statements, how it came about, and what it was made of."""

    outcome: Outcome
    reason: str | None
    statements: tuple[Statement, ...]
    confidence: float
    model: str
    extractive: bool
    prompt_hash: str | None = None
    evidence: tuple[Evidence, ...] = ()
