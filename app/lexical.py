"""Words for the text index: composite tokens are indexed whole and in parts.

Postgres' parser keeps ``x.y`` whole but takes ``foo_bar`` and ``ERR-42`` apart, reads ``-42`` as a number.
Writing a composite out as its parts and its joined form makes each findable by either, for documents and for
questions alike.
"""

from __future__ import annotations

import re

COMPOSITE = re.compile(r"\w+(?:[./\\_:@#&+\-]+\w+)+")
# A server whose character type is C takes every sign beyond ASCII for a letter: “quoted” would be one word.
FOREIGN_MARKS = re.compile(r"[^\w\s\x00-\x7f]+")
PARTS = re.compile(r"[^\W_]+")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
LONGEST_JOINED = 64  # characters; a whole path or URL is no word that anyone types


def expand(text: str) -> str:
    """``text`` with each composite followed by what it is made of: ``ERR_42`` → ``ERR 42 ERR42``."""
    return COMPOSITE.sub(_expand_match, FOREIGN_MARKS.sub(" ", text))


def _expand_match(match: re.Match[str]) -> str:
    parts = [piece for part in PARTS.findall(match.group()) for piece in CAMEL.split(part)]
    joined = "".join(parts)
    if len(joined) > LONGEST_JOINED or len(parts) > 6:
        return " ".join(parts)
    return f"{' '.join(parts)} {joined}"
