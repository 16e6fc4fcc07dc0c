"""Answers without a language model: the sentences of the documents that answer best, quoted as they stand.

Every sentence, list item and table row of the best passages is scored by meaning (cosine with the
question), by words (how much of the question's weight it carries, its headings counting half), by its
passage, and by whether it holds the kind of thing that is asked for. The best are shown in reading
order. A sentence that introduces a list brings the list along. Of a solved case the problem is what a
question is compared with, and the solution what is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from app.rag.constants import PROBLEM, SOLUTION
from app.rag.embeddings import Embedder, EmbeddingTextError, EmbeddingUnavailableError
from app.rag.evidence import Extraction, Signals, Statement
from app.rag.language import WORD, Unit, hard_tokens, units, words
from app.rag.retrieval import Hit

PASSAGES = 6  # read for sentences
SENTENCES = 32  # whose meaning is compared: bounds the work of a question
SHOWN = 3  # sentences of an answer; a list that belongs to one is shown beside them
LIST_ITEMS = 10
WORD_WEIGHT = 0.4  # of words beside meaning; see `tridesk eval` for the figures
PASSAGE_WEIGHT = 0.5
FOLLOWING = 0.82  # part of the best score that a further sentence needs
LONGEST_UNIT = 1_200  # characters
SURELY_FITS = 250  # characters; no more tokens than that, and every model reads so many
TYPE_WEIGHT = 0.1  # of holding the kind of thing that is asked for
BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")


# A sentence that begins like this leans on the one before, which is then quoted along.
LEANING = re.compile(
    r"(?:it|its|they|their|this|these|that|those|he|she|such|then|otherwise|both|there|so|if so)\b",
    re.IGNORECASE,
)


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


# What a question asks for, and what a sentence must hold to give it.
ASKED = (
    (
        _pattern(r"\bhow (?:much|expensive)\b", r"\b(?:cost|price|fee|charge|pay)\b"),
        _pattern(
            r"[$€£%]", r"\b[A-Z]{3} ?\d", r"\d ?[A-Z]{3}\b", r"\bfree\b", r"\b(?:euro|dollar|percent|cent)"
        ),
    ),
    (
        _pattern(
            r"\bwhen\b",
            r"\bhow (?:long|soon|often|quick|fast|far|late|early)",
            r"\b(?:deadline|date|year|day|hours?)\b",
        ),
        _pattern(
            r"\d",
            r"\b(?:day|week|month|year|hour|minute|second|daily|weekly|monthly|yearly|immediately|at once)",
            r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day",
        ),
    ),
    (
        _pattern(
            r"\bhow (?:many|large|big|high|small|old|close)\b",
            r"\b(?:limit|maximum|minimum|number|port|percentage)\b",
        ),
        _pattern(r"\d", r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|no limit|unlimited)\b"),
    ),
    (re.compile(r"\bwhos?e?\b", re.IGNORECASE), re.compile(r"(?<!^)\b[A-Z][a-z]+")),
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    place: int  # of the unit within its passage
    first: int  # the same, or the place before when the unit leans on it
    unit: Unit
    text: str
    coverage: float


async def extract(question: str, hits: Sequence[Hit], embedder: Embedder) -> Extraction:
    """The best statements for ``question`` in ``hits`` (best first), with the signals for abstaining."""
    if not hits:
        return Extraction()
    weights = _word_weights(question, hits)
    wanted = _asked_for(question)
    passages = {hit.chunk_id: list(units(hit.text)) for hit in hits[:PASSAGES]}
    candidates = [
        candidate
        for hit in hits[:PASSAGES]
        for candidate in _candidates(hit, passages[hit.chunk_id], weights)
    ]
    candidates.sort(key=lambda each: each.coverage + 0.25 * each.hit.score, reverse=True)
    candidates = candidates[:SENTENCES]
    if not candidates:
        return Extraction()
    meanings = await _meanings(question, candidates, embedder)
    best_score = max(hit.score for hit in hits)
    scores = [
        meaning
        + WORD_WEIGHT * each.coverage
        + PASSAGE_WEIGHT * each.hit.score / max(best_score, 1e-6)
        + TYPE_WEIGHT * _holds(wanted, each.text)
        for each, meaning in zip(candidates, meanings, strict=True)
    ]
    order = [int(i) for i in np.argsort(scores)[::-1]]
    best = candidates[order[0]]
    lacking = set(weights) - set(words(f"{best.hit.header} {best.hit.text}"))
    return Extraction(
        statements=_statements(_choose(order, scores, candidates), passages),
        signals=Signals(
            cosine=max(hit.cosine for hit in hits),
            sentence_cosine=meanings[order[0]],
            holds_type=_holds(wanted, best.text),
            missing_names=_missing_names(question, hits),
            heaviest_missing=max((weights[word] for word in lacking), default=0.0),
        ),
    )


def _holds(wanted: list[re.Pattern[str]], text: str) -> float:
    """Part of the wanted kinds that a text holds; 0.5 when nothing special is wanted."""
    return sum(bool(holds.search(text)) for holds in wanted) / len(wanted) if wanted else 0.5


def _missing_names(question: str, hits: Sequence[Hit]) -> float:
    """Part of the question's names, numbers and codes that none of the passages has."""
    capitalised = [word for word in WORD.findall(question)[1:] if word[:1].isupper()]
    names = set(words(" ".join((*capitalised, *hard_tokens(question)))))
    found = set(words(" ".join(f"{hit.header} {hit.text}" for hit in hits)))
    return len(names - found) / len(names) if names else 0.0


async def _meanings(question: str, candidates: Sequence[_Candidate], embedder: Embedder) -> Sequence[float]:
    """How near each candidate is to the question; by words alone while the embedding endpoint is away."""
    texts = [_in_context(each) for each in candidates]
    try:
        asked = await embedder.embed_query(question)
        try:
            vectors = await embedder.embed(texts)
        except EmbeddingTextError:  # a table row beyond the model's window: its beginning must do
            vectors = await embedder.embed([text[:SURELY_FITS] for text in texts])
    except EmbeddingUnavailableError:
        return [each.coverage for each in candidates]
    return [float(each) for each in vectors @ asked]


def _word_weights(question: str, hits: Sequence[Hit]) -> dict[str, float]:
    """Each word of the question by its rarity among the passages found, normalised to sum 1."""
    asked = set(words(question))
    texts = [set(words(f"{hit.header} {hit.text}")) for hit in hits]
    raw = {
        word: math.log(1 + (len(texts) + 1) / (0.5 + sum(word in text for text in texts))) for word in asked
    }
    total = sum(raw.values()) or 1.0
    return {word: weight / total for word, weight in raw.items()}


def _candidates(hit: Hit, pieces: list[Unit], weights: dict[str, float]) -> list[_Candidate]:
    above = set(words(" ".join((hit.title, *hit.heading_path))))
    problem = _problem(hit.text, pieces)
    above |= {word for place in problem for word in words(hit.text[pieces[place].start : pieces[place].end])}
    found = []
    heading: set[str] = set()
    for place, unit in enumerate(pieces):
        if unit.kind == "heading":
            heading = set(words(hit.text[unit.start : unit.end]))
            continue
        if place in problem:
            continue
        first = place - 1 if _leans(hit.text, pieces, place) else place
        text = hit.text[pieces[first].start : unit.end]
        own = set(words(text))
        if len(text) > LONGEST_UNIT or not own or text.endswith("?"):
            continue
        context = (above | heading) - own
        coverage = sum(weights.get(word, 0.0) for word in own) + 0.5 * sum(
            weights.get(word, 0.0) for word in context
        )
        found.append(_Candidate(hit, place, first, unit, text, coverage))
    return found


def _problem(text: str, pieces: list[Unit]) -> range:
    """The places of a resolution note's problem; none in other passages."""
    lines = [text[piece.start : piece.end] for piece in pieces]
    if PROBLEM not in lines:
        return range(0)
    first = lines.index(PROBLEM)
    return range(first + 1, lines.index(SOLUTION, first) if SOLUTION in lines[first:] else first + 1)


def _leans(text: str, pieces: list[Unit], place: int) -> bool:
    unit, before = pieces[place], pieces[place - 1]
    if place == 0 or unit.kind != "sentence" or before.kind != "sentence":
        return False
    return bool(LEANING.match(text, unit.start)) and "\n\n" not in text[before.end : unit.start]


def _asked_for(question: str) -> list[re.Pattern[str]]:
    return [holds for asks, holds in ASKED if asks.search(question)]


def _in_context(candidate: _Candidate) -> str:
    """A sentence as embedded: under its nearest heading, which often holds the subject it leaves out."""
    heading = candidate.hit.heading_path[-1] if candidate.hit.heading_path else candidate.hit.title
    return f"{heading}: {candidate.text}"[:LONGEST_UNIT]


def _choose(order: list[int], scores: list[float], candidates: list[_Candidate]) -> list[_Candidate]:
    """The best sentence and those close behind it that add something, in reading order of the passages."""
    best = order[0]
    chosen = [candidates[best]]
    said = set(words(candidates[best].text))
    for i in order[1:]:
        if len(chosen) == SHOWN or scores[i] < FOLLOWING * scores[best]:
            break
        new = set(words(candidates[i].text))
        if len(new & said) <= 0.7 * len(new):
            chosen.append(candidates[i])
            said |= new
    ranks = {each.hit.chunk_id: rank for rank, each in reversed(list(enumerate(chosen)))}
    return sorted(chosen, key=lambda each: (ranks[each.hit.chunk_id], each.place))


def _statements(chosen: list[_Candidate], passages: dict[UUID, list[Unit]]) -> list[Statement]:
    """Each chosen unit once; a list and its lead-in share one span, so that they share one citation."""
    statements: list[Statement] = []
    taken: set[tuple[UUID, int]] = set()
    for each in chosen:
        pieces = passages[each.hit.chunk_id]
        places = [place for place in _with_list(each, pieces) if (each.hit.chunk_id, place) not in taken]
        taken |= {(each.hit.chunk_id, place) for place in places}
        statements.extend(
            Statement(
                text=_shown(each.hit.text, pieces[place]),
                hit=each.hit,
                start=pieces[places[0]].start,
                end=pieces[places[-1]].end,
                item=len(places) > 1 and pieces[place].kind == "item",
            )
            for place in places
        )
    return statements


def _with_list(candidate: _Candidate, pieces: list[Unit]) -> list[int]:
    """The places of a sentence and of the list that it introduces; of a numbered step, all its steps."""
    place, text = candidate.place, candidate.hit.text
    first = place
    if _is_step(text, candidate.unit):
        while first > 0 and _is_step(text, pieces[first - 1]):
            first -= 1
        if first > 0 and pieces[first - 1].kind == "sentence" and text[pieces[first - 1].end - 1] == ":":
            first -= 1
    elif not candidate.text.endswith(":"):
        return list(range(candidate.first, place + 1))
    last = first if not _is_step(text, pieces[first]) else first - 1
    while last + 1 < len(pieces) and pieces[last + 1].kind == "item" and last - first < LIST_ITEMS:
        last += 1
    return list(range(first, max(last, place) + 1))


def _is_step(text: str, unit: Unit) -> bool:
    return unit.kind == "item" and text[unit.start : unit.end].lstrip()[:1].isdigit()


def _shown(text: str, unit: Unit) -> str:
    """A unit as it reads in an answer: bullets and table bars are layout, not words."""
    shown = " ".join(text[unit.start : unit.end].split())
    if unit.kind == "row":
        return " · ".join(cell.strip() for cell in shown.strip("|").split("|") if cell.strip())
    return BULLET.sub("", shown) if unit.kind == "item" else shown
