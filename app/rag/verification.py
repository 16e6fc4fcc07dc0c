"""Whether a sentence may be shown: is it supported by what it cites?

A sentence passes when every hard token (number, date, price, version, code) occurs in the passages it cites, and
when its content words lie close together in one of them or it means nearly the same as a sentence there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.rag.embeddings import Embedder, EmbeddingUnavailableError
from app.rag.evidence import Evidence, Statement
from app.rag.prompts import NOT_FOUND
from app.rag.language import hard_tokens, supported_hard_tokens, units, words

MARKER = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
LINK = re.compile(r"!?\[[^\]]*\]\([^)]*\)|https?://\S+|www\.\S+", re.IGNORECASE)
CONTAINED = 0.8  # of the content words within two neighbouring sentences: no closer look needed
PLAUSIBLE = 0.4  # of the content words, together with a close meaning
MOST_WINDOWS = 24  # compared by meaning
CLOSE = 0.62  # cosine of two sentences that say the same with other words


@dataclass(frozen=True, slots=True)
class Window:
    """Up to two neighbouring units of a passage: ``[start, end)`` into its text."""

    evidence: Evidence
    start: int
    end: int

    @property
    def text(self) -> str:
        """The quoted words."""
        return self.evidence.hit.text[self.start : self.end]


def split_markers(sentence: str) -> tuple[str, list[int]]:
    """A model's sentence without its ``[n]`` markers, and the numbers in them."""
    cited = [int(number) for match in MARKER.finditer(sentence) for number in re.findall(r"\d+", match.group(1))]
    return MARKER.sub("", sentence).strip(), cited


async def verify(sentence: str, evidence: Sequence[Evidence], embedder: Embedder) -> Statement | None:
    """The statement that a model's sentence makes, with its supporting span; None when nothing supports it."""
    bare, numbers = split_markers(sentence)
    cited = [each for each in evidence if each.index in numbers or not numbers]
    said = words(bare)
    if not cited or not said or LINK.search(bare) or NOT_FOUND in bare:
        return None
    supported = set().union(*(supported_hard_tokens(f"{each.hit.header}\n{each.hit.text}") for each in cited))
    if not hard_tokens(bare) <= supported:
        return None
    windows = [window for each in cited for window in _windows(each)]
    containment = [_containment(said, window.text) for window in windows]
    best = int(np.argmax(containment)) if windows else -1
    if best < 0 or containment[best] < PLAUSIBLE:
        return None
    if containment[best] < CONTAINED:
        close = [i for i, value in enumerate(containment) if value >= PLAUSIBLE]
        cosines = await _cosines(bare, [windows[i].text for i in close], embedder)
        if max(cosines) < CLOSE:
            return None
        best = close[int(np.argmax(cosines))]
    window = windows[best]
    return Statement(text=bare, hit=window.evidence.hit, start=window.start, end=window.end)


async def _cosines(sentence: str, texts: Sequence[str], embedder: Embedder) -> list[float]:
    """Similarities; all 0 while the embedding endpoint is away, so that only contained sentences pass."""
    try:
        asked = await embedder.embed_query(sentence)
        return [float(await embedder.embed_query(text) @ asked) for text in texts[:MOST_WINDOWS]]
    except EmbeddingUnavailableError:
        return [0.0] * len(texts)


def _windows(evidence: Evidence) -> list[Window]:
    pieces = list(units(evidence.hit.text))
    single = [Window(evidence, piece.start, piece.end) for piece in pieces]
    double = [Window(evidence, a.start, b.end) for a, b in zip(pieces, pieces[1:], strict=False)]
    return single + double


def _containment(said: list[str], source: str) -> float:
    present = set(words(source))
    return sum(word in present for word in said) / len(said)
