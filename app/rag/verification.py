"""Whether a sentence may be shown: is it supported by what it cites?

One stretch of a cited passage, up to two neighbouring sentences, must carry the whole sentence: every fact
(number, date, price, code, unit, name, "not", "before") stands in it or in its headings, and the content
words do, or it means nearly the same with other words. When in doubt a sentence is dropped: an answer may be
short, not wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.parsing.cleaning import clean_inline
from app.rag.embeddings import Embedder, EmbeddingTextError, EmbeddingUnavailableError
from app.rag.evidence import MARKER, Evidence, Statement, section
from app.rag.language import NUMBER_WORDS, WORD, Unit, hard_tokens, units, words
from app.rag.prompts import NOT_FOUND

CONTAINED = 0.8  # of the content words: no closer look needed
PLAUSIBLE = 0.4  # of the content words, together with a close meaning
MOST_WINDOWS = 16  # compared by meaning
CLOSE = 0.7  # cosine; ten pairs measured: inventions up to .66, paraphrases from .75
LAYOUT = re.compile(r"^(?:#{1,6}|[-*+•]|\d{1,3}[.)])\s+")
ITEM = re.compile(r"^(?:[-*+•]|\d{1,3}[.)])\s+")

# What a client may turn into a link or an image: addresses, markup, references.
LINK = re.compile(r"[a-z][a-z0-9+.-]*:(?://|[^\s\d])|//\w|\bwww\.|\]\s*[(\[:]|!\[|</?[a-z!]", re.IGNORECASE)
DOTTED = re.compile(
    r"[\w@+./?=&%#-]*\w[.@][^\W\d_]{2,}[\w@+./?=&%#-]*"
)  # example.com/x, a@b.example, config.yaml
NUMBER = re.compile(r"(?<![a-z\d.,])v?(\d+(?:[.,]\d+)*)")
CURRENCY = re.compile(r"[$€£¥₹%]")
NAME = re.compile(r"(?<=[^\s.!?:\"“(]\s)[\"“(]?([^\W\d_a-zß-öø-ÿ][^\W_]+)")
CLAUSE = re.compile(r"[.,;:!?()\n]")
NOT = re.compile(r"not|no|never|cannot|none|nor|neither|without|\w+n[\u2019']t", re.IGNORECASE)
DENIED = 3  # content words that a "not" reaches
SPELLED = NUMBER_WORDS | dict(
    zip(
        (
            *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
            *("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
        ),
        map(str, (*range(13, 20), *range(20, 100, 10))),
        strict=True,
    )
)
# Words that turn a statement round when they are exchanged, and that content words alone would not show.
DECISIVE = frozenset(
    """second minute hour day week month quarter year kb mb gb tb percent hundred thousand million billion
    before after until above below under over least most more less fewer only minimum maximum always never
    unless except free working calendar busines daily weekly monthly yearly annual annually""".split()  # noqa: SIM905 - a list of fifty lines
)


@dataclass(frozen=True, slots=True)
class Window:
    """Up to two neighbouring units of a passage: ``[start, end)`` into its text."""

    evidence: Evidence
    start: int
    end: int
    above: str  # title, headings, and a table's first row
    is_double: bool = False

    @property
    def text(self) -> str:
        """The quoted words."""
        return self.evidence.hit.text[self.start : self.end]


class Claim:
    """What a sentence says that a source must say too."""

    def __init__(self, sentence: str) -> None:
        self._numbers = _numbers(sentence)
        self._symbols = set(CURRENCY.findall(sentence))
        self._decisive = _singular(sentence) & DECISIVE
        self._names = {stem for name in NAME.findall(sentence) for stem in words(name)}
        self._words = set(words(sentence))
        self._denied = _denied(sentence)

    def is_mixed_up_by(self, text: str) -> bool:
        """Whether ``text`` has numbers beside those claimed, so that it may be about two things."""
        return bool(self._numbers) and not all(_is_given(each, self._numbers) for each in hard_tokens(text))

    def stands_in(self, text: str, *, above: str) -> bool:
        """Whether every fact stands in ``text`` or ``above`` it, and both deny the same."""
        whole = f"{above}\n{text}"
        present = set(words(whole))
        denied = _denied(text)
        return (
            not self._words <= set(words(above))  # a heading said again says nothing
            and all(_is_given(number, _supported(whole)) for number in self._numbers)
            and self._symbols <= set(CURRENCY.findall(whole))
            and self._decisive <= _singular(whole)
            and self._names <= present
            and self._denied & present == denied & self._words
        )


def is_showable(sentence: str, sources: Sequence[str]) -> bool:
    """Whether a sentence holds no link, image or markup, and no address that its sources have not."""
    if NOT_FOUND in sentence or LINK.search(sentence):
        return False
    named = "\n".join(sources).casefold()
    return all(match.group().rstrip(".").casefold() in named for match in DOTTED.finditer(sentence))


def _numbers(text: str) -> set[str]:
    spelled = {SPELLED[word] for word in WORD.findall(text.lower()) if word in SPELLED and word != "one"}
    return hard_tokens(text) | spelled


def _supported(text: str) -> set[str]:
    """Numbers that a source gives: whole, and parts of ``14-day`` or ``24/7``, not the 5 of ``1.5``."""
    tokens = _numbers(text) | {SPELLED[word] for word in WORD.findall(text.lower()) if word == "one"}
    return tokens | {part for token in tokens for part in NUMBER.findall(token)}


def _is_given(number: str, supported: set[str]) -> bool:
    parts = set(NUMBER.findall(number))
    return number in supported or (bool(parts) and parts <= supported)


def _singular(text: str) -> set[str]:
    return {word.rstrip("s") for word in WORD.findall(text.lower())}


def _denied(text: str) -> set[str]:
    """The content words that a "not" or "no" of their clause reaches."""
    denied: set[str] = set()
    for clause in CLAUSE.split(text):
        reach = 0
        for word in re.findall(r"[\w\u2019']+", clause):
            if NOT.fullmatch(word):
                reach = DENIED
            elif reach and (stems := words(word)):
                denied.update(stems)
                reach -= 1
    return denied


def split_markers(sentence: str) -> tuple[str, set[str]]:
    """A model's sentence without its ``[n]`` markers, and the numbers in them."""
    cited = {number for match in MARKER.finditer(sentence) for number in re.findall(r"\d+", match.group())}
    return clean_inline(MARKER.sub("", sentence)), cited


async def verify(sentence: str, evidence: Sequence[Evidence], embedder: Embedder) -> Statement | None:
    """The statement that a model's sentence makes, with its supporting span; None when nothing supports it.

    A sentence without a marker may rest on any of the evidence; one with markers only on those.
    """
    marked, numbers = split_markers(sentence)
    bare = LAYOUT.sub("", marked)
    cited = [each for each in evidence if not numbers or str(each.index) in numbers]
    said = words(bare)
    if not said or not is_showable(bare, [each.hit.text for each in cited]):
        return None
    claim = Claim(bare)
    carrying = [window for each in cited for window in _windows(each) if _carries(window, claim)]
    window = await _best(bare, said, carrying, embedder)
    if window is None:
        return None
    item = ITEM.match(marked) is not None
    return Statement(text=bare, hit=window.evidence.hit, start=window.start, end=window.end, item=item)


def _carries(window: Window, claim: Claim) -> bool:
    mixed = window.is_double and claim.is_mixed_up_by(window.text)
    return not mixed and claim.stands_in(window.text, above=window.above)


async def _best(bare: str, said: list[str], windows: list[Window], embedder: Embedder) -> Window | None:
    scored = sorted(
        ((_containment(said, window), -place, window) for place, window in enumerate(windows)), reverse=True
    )
    if scored and scored[0][0] >= CONTAINED:
        return scored[0][2]
    near = [window for share, _, window in scored if share >= PLAUSIBLE and not window.is_double]
    if not near:
        return None
    cosines = await _cosines(bare, [window.text for window in near[:MOST_WINDOWS]], embedder)
    nearest = int(np.argmax(cosines))
    return near[nearest] if cosines[nearest] >= CLOSE else None


async def _cosines(sentence: str, texts: Sequence[str], embedder: Embedder) -> list[float]:
    """Similarities; all 0 while the embedding endpoint is away, so that only contained sentences pass."""
    try:
        asked = await embedder.embed_query(sentence)
        return [float(each) for each in await embedder.embed(texts) @ asked]
    except (EmbeddingUnavailableError, EmbeddingTextError):
        return [0.0] * len(texts)


def _windows(evidence: Evidence) -> list[Window]:
    """Single units, then neighbours; never two rows, or one row's price would prove another's."""
    text = evidence.hit.text
    headings = "\n".join((evidence.hit.title, *section(evidence.hit)))
    pieces = list(units(text))
    columns = [_columns(text, pieces, place) for place in range(len(pieces))]
    single = [
        Window(evidence, piece.start, piece.end, f"{headings}\n{row}")
        for piece, row in zip(pieces, columns, strict=True)
    ]
    double = [
        Window(evidence, a.start, b.end, headings, is_double=True)
        for a, b in pairwise(pieces)
        if "row" not in (a.kind, b.kind)
    ]
    return single + double


def _columns(text: str, pieces: Sequence[Unit], place: int) -> str:
    """The first row of the table that a row is in."""
    if pieces[place].kind != "row":
        return ""
    while place > 0 and pieces[place - 1].kind == "row":
        place -= 1
    return text[pieces[place].start : pieces[place].end]


def _containment(said: list[str], window: Window) -> float:
    """Part of the words that stand in the window or above it; 0 when the window itself has hardly any."""
    own = set(words(window.text))
    if sum(word in own for word in said) < PLAUSIBLE * len(said):
        return 0.0
    present = own | set(words(window.above))
    return sum(word in present for word in said) / len(said)
