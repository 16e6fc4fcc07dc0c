"""Sentences, words and hard tokens: how answers are cut, matched and checked.

Words are stemmed with the Snowball English stemmer, the one behind Postgres' ``english_stem``, so that what
matches here is what matched in the index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer  # type: ignore[import-untyped]  # ships no types

from app.lexical import expand

_stemmer = snowballstemmer.stemmer("english")

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
# A sentence ends at . ! ? … (and their CJK forms) before white space; not at abbreviations and initials.
# From the first mark of a run: begun at each of them, a line of question marks would take quadratic time.
SENTENCE_END = re.compile(
    r"(?:(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019)\]]*+(?=\s+[^\s])|[\u3002\uff01\uff1f]+)"
)
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|fig|mr|mrs|ms|dr|prof|inc|ltd|co|st|jr|sr|dept|est|al)"
    r"|\b[A-Za-z])\.$",
    re.IGNORECASE,
)
LIST_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
TABLE_ROW = re.compile(r"^\s*\|.*\|\s*$")
# Numbers with their decimals, codes, versions, dates, money: what an answer must not make up.
HARD_TOKEN = re.compile(
    r"[A-Za-z]{0,12}[-_]?\d[\w]*(?:[.,:/\-_]\d[\w]*)*|\b[A-Z][A-Z0-9]+(?:[-_][A-Z0-9]+)+\b"
)

STOP_WORDS = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being
    below between both but by can could did do does doing done down during each else few for from
    further get gets getting got had has have having he her here hers him his how i if in into is it
    its itself just let me might more most must my need needs no nor not now of off on once one only
    or other our ours out over own per please same shall she should so some such than that the their
    theirs them then there these they this those through to too under until up us use using very
    want was we were what when where which while who whom whose why will with within without would
    you your yours
    """.split()  # noqa: SIM905 - a list of a hundred words reads better without its quotes
)
NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
    )
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch that can be quoted by itself: ``[start, end)`` in code points, and what it is."""

    start: int
    end: int
    kind: str  # "sentence", "item", "row", "heading"


def words(text: str) -> list[str]:
    """Stemmed content words in order: lower case, without accents, stop words and possessives."""
    found = []
    for match in WORD.finditer(expand(unaccent(text)).lower()):
        word = match.group().replace("\u2019", "'").removesuffix("'s")
        if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()):
            found.append(_stem(word))
    return found


def unaccent(text: str) -> str:
    """Text without combining marks: ``é`` → ``e``."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def hard_tokens(text: str) -> set[str]:
    """Numbers, dates, prices, versions and codes in one spelling: ``€1,200.50`` → ``1200.50``."""
    tokens = set()
    for match in HARD_TOKEN.finditer(text):
        token = re.sub(r"[-_](?=\w)|(?<=\d),(?=\d{3}\b)", "", match.group()).lower()
        tokens.add(re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", token).rstrip(".,:"))
    return tokens


def supported_hard_tokens(text: str) -> set[str]:
    """The hard tokens that a source supports, number words included: ``three days`` supports ``3``."""
    lowered = WORD.findall(text.lower())
    pieces = {piece for token in hard_tokens(text) for piece in re.findall(r"\d+|[a-z]+\d+", token)}
    return hard_tokens(text) | pieces | {NUMBER_WORDS[word] for word in lowered if word in NUMBER_WORDS}


def units(text: str) -> Iterator[Unit]:
    """Cut text into quotable units, line by line; sentences may run over the line ends of one paragraph."""
    position = 0
    paragraph_start: int | None = None
    for line in text.splitlines(keepends=True):
        start, position = position, position + len(line)
        stripped = line.strip()
        special = "item" if LIST_ITEM.match(line) else "row" if TABLE_ROW.match(line) else None
        if (not stripped or special) and paragraph_start is not None:
            yield from _sentences(text, paragraph_start, start)
            paragraph_start = None
        if special:
            yield from _trimmed(text, start, position, special)
        elif stripped and paragraph_start is None:
            paragraph_start = start
    if paragraph_start is not None:
        yield from _sentences(text, paragraph_start, len(text))


def _sentences(text: str, start: int, end: int) -> Iterator[Unit]:
    cut = start
    for match in SENTENCE_END.finditer(text, start, end):
        if match.group()[0] == "." and ABBREVIATION.search(
            text, max(start, match.start() - 12), match.start() + 1
        ):
            continue
        yield from _trimmed(text, cut, match.end(), "sentence")
        cut = match.end()
    yield from _trimmed(text, cut, end, "sentence")


def _trimmed(text: str, start: int, end: int, kind: str) -> Iterator[Unit]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        ends_open = kind == "sentence" and text[end - 1].isalnum()
        heading = ends_open and "\n" not in text[start:end] and end - start < 90
        yield Unit(start, end, "heading" if heading else kind)
