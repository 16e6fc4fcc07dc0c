"""Lexemes back to the words that people wrote."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import snowballstemmer  # type: ignore[import-untyped]  # ships no types

from app.lexical import expand

WORD = re.compile(r"[^\W_]+")
_stemmer = snowballstemmer.stemmer("english")  # the one behind Postgres' english_stem


def spellings(text: str) -> dict[str, str]:
    """Each lexeme of the text, as the text first spells it, in lower case."""
    found: dict[str, str] = {}
    for match in WORD.finditer(expand(text).lower()):
        found.setdefault(_stem(_unaccent(match.group())), match.group())
    return found


def last_word(query: str) -> str | None:
    """The word at the very end, which may be a beginning; lower case, no accents; None if it has ended."""
    words = WORD.findall(expand(query))
    if not words or not query[-1:].isalnum() or len(words[-1]) < 2:
        return None
    return _unaccent(words[-1].lower())


def _unaccent(word: str) -> str:
    if word.isascii():
        return word
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))
