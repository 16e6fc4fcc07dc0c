"""The text of a resolution note: problem and accepted solution in one citable passage.

A passage longer than the embedding model's window would be cut in two, and its second half found without the
problem. So a note is shortened when it is written, at the ends of sentences: the problem keeps its first
ones, and the solution goes first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from app.knowledge import ResolutionNote
from app.parsing import MediaType
from app.parsing.cleaning import clean, clean_inline
from app.rag.constants import PROBLEM, SOLUTION
from app.rag.language import units
from app.rag.preparation import ChunkingPlan, Prepared, prepare, tokenizer_of
from app.rag.tokens import Tokenizer, truncate
from app.redaction import redact

OMITTED = " […]"
OMITTED_TOKENS = 4
LABEL_TOKENS = 12  # of the lines above the parts
PROBLEM_SHARE = 4  # the problem may take 1/4 of a passage that the solution would fill
LONGEST = 20_000  # characters of a part that are looked at
LONGEST_TITLE = 500
LONGEST_LABEL = 200
SMALLEST_ROOM = 8  # tokens
SHRINKING = 0.9  # of the room, where parts together count for more than apart


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteText:
    """What a note says, without card numbers and characters that nobody sees."""

    title: str
    problem: str
    solution: str
    product: str | None = None
    component: str | None = None
    product_version: str | None = None

    @property
    def body(self) -> str:
        """The text that is stored and cited."""
        parts = [f"Component: {self.component}"] if self.component else []
        parts += [PROBLEM, self.problem] if self.problem else []
        return "\n\n".join([*parts, SOLUTION, self.solution])

    @property
    def hash(self) -> str:
        """SHA-256 of everything, hexadecimal."""
        parts = (self.title, self.product or "", self.product_version or "", self.body)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def text_of(note: ResolutionNote) -> NoteText:
    """A desk's note as text."""
    return NoteText(
        title=title_of(f"{note.number}: {note.title}"),
        problem=part_of(note.problem),
        solution=part_of(note.solution),
        product=_label(note.product),
        component=_label(note.component),
        product_version=_label(note.product_version),
    )


def title_of(text: str) -> str:
    """One line."""
    return redact(clean_inline(text))[:LONGEST_TITLE].strip()


def part_of(text: str) -> str:
    """Problem or solution; the line that stands above the other part does not stand in it."""
    lines = redact(clean(text[:LONGEST])).strip().split("\n")
    return "\n".join(f"{line.strip()}:" if line.strip() in {PROBLEM, SOLUTION} else line for line in lines)


def fit(text: NoteText, plan: ChunkingPlan) -> tuple[NoteText, Prepared]:
    """The note, shortened until it is one passage, and that passage.

    Takes milliseconds, and the tokenizer's loading the first time: call it in a thread.
    """
    tokenizer, fitting = tokenizer_of(plan), text
    prepared = _prepared(text, plan)
    room = float(plan.maximum - tokenizer.count(prepared.passages[0].header) - LABEL_TOKENS)
    while len(prepared.passages) > 1 and room > SMALLEST_ROOM:
        fitting = _shortened(text, tokenizer, room=int(room))
        prepared = _prepared(fitting, plan)
        room *= SHRINKING
    return fitting, prepared


def _prepared(text: NoteText, plan: ChunkingPlan) -> Prepared:
    return prepare(
        text.body.encode(),
        None,
        MediaType.PLAIN,
        text.title,
        text.product,
        text.product_version,
        plan.whole,
    )


def _shortened(text: NoteText, tokenizer: Tokenizer, *, room: int) -> NoteText:
    needed = tokenizer.count(text.solution)
    problem = _first_sentences(text.problem, tokenizer, room=max(room // PROBLEM_SHARE, room - needed))
    left = room - tokenizer.count(problem)
    return replace(text, problem=problem, solution=_first_sentences(text.solution, tokenizer, room=left))


def _first_sentences(text: str, tokenizer: Tokenizer, *, room: int) -> str:
    """As many whole sentences as there is room for; of a first one that is too long its beginning."""
    if tokenizer.count(text) <= room:
        return text
    end, room = 0, room - OMITTED_TOKENS
    for unit in units(text):
        if tokenizer.count(text[: unit.end]) > room:
            break
        end = unit.end
    return (text[:end] or truncate(tokenizer, text, max(room, 1)).rstrip()) + OMITTED


def _label(text: str | None) -> str | None:
    return redact(clean_inline(text or ""))[:LONGEST_LABEL].strip() or None
