"""The passages an answer may use, and the pieces it is made of.

``Evidence`` numbers the passages for the model; ``Statement`` is one shown sentence with its span.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.knowledge import Outcome, RecordStatement, Told
from app.rag.retrieval import Hit

# What models write for "see evidence n": [1], [1, 2], [^1], and the brackets that some were trained on.
MARKER = re.compile(
    r"\s*(?:\[\s*\^?\d+(?:\s*[,;\u2013-]\s*\^?\d+)*\s*\]|【\s*\d+[^】\n]{0,40}】)",
)


def section(hit: Hit) -> list[str]:
    """The headings above a passage, without those that only repeat the title or the heading before."""
    kept: list[str] = []
    above = hit.title
    for heading in hit.heading_path:
        if heading and heading.casefold() != above.casefold():
            kept.append(heading)
            above = heading
    return kept


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

    ``cosine``: the best passage's similarity. ``sentence_cosine``: the best sentence's. ``holds_type``:
    part of what is asked for (an amount, a time, a number, a name) that the sentence holds; 0.5 when
    nothing special is asked. ``missing_names``: part of the question's names, numbers and codes that no
    passage found has. ``heaviest_missing``: weight, 0 to 1, of the rarest word that the sentence's
    passage lacks.
    """

    cosine: float = 0.0
    sentence_cosine: float = 0.0
    holds_type: float = 0.5
    missing_names: float = 0.0
    heaviest_missing: float = 1.0


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
    """A question and what was found for it.

    ``headline``: of a long text the line that says what it is about. What was found is compared with that:
    with names, greetings and circumstances in it, no evidence would ever look good enough. ``told``: what a
    desk's own rows say, of a question about the reader's own matters.
    """

    question: str
    standalone: str
    history: tuple[Turn, ...]
    hits: tuple[Hit, ...]
    headline: str | None = None
    told: Told | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A finished answer: its statements, how it came about, and what it was made of."""

    outcome: Outcome
    reason: str | None
    statements: tuple[Statement | RecordStatement, ...]
    confidence: float
    model: str
    extractive: bool
    prompt_hash: str | None = None
    evidence: tuple[Evidence, ...] = ()
