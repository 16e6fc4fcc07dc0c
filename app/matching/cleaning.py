"""What a text is matched by: without what every report of its kind has, without card numbers, bounded.

A browser's user agent and a template's headings make strangers alike: a text's vector is a mean over its
words, and a window holds but 256 of them. What goes: comments of HTML (templates' instructions), user agent
strings and their lines, lines that are a template's heading and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.lexical import expand
from app.matching.constants import BODY_MAX, SIGNATURE_MAX, SIGNATURES_MAX, TITLE_MAX, TITLE_WEIGHT
from app.redaction import redact

# Every repetition is bounded or possessive, so that no text takes more than linear time.
AGENT_LINE = re.compile(
    r"^[ \t>*_#-]{0,20}+(?:user[ -]?agent|build[ -]?(?:id(?:entifier)?|config)|ua[_ -]header)\b[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
AGENT = re.compile(
    r"\bmozilla/\d\.\d \([^)\n]{0,200}\)"
    r"(?:[ \t]+[a-z][\w.]{0,40}/[\w.+-]{1,60}(?:[ \t]+\([^)\n]{0,80}\))?){0,12}",
    re.IGNORECASE,
)
HEADINGS = (
    r"steps? (?:how )?to reproduce"
    r"|(?:actual|expected|observed|current)(?: (?:results?|behaviou?rs?|outcomes?))?"
    r"|what (?:happened|did you (?:do|expect))|repro(?:duction)?(?: steps)?|reproducible|how to reproduce"
    r"|additional (?:info(?:rmation)?|context|details)|(?:bug )?description|describe the bug|environment"
    r"|summary|to reproduce|screenshots?|stack ?trace|logs?|problem|issue|details"
)
HEADING = re.compile(
    rf"^[ \t>*_#-]{{0,20}}+(?:{HEADINGS})[ \t*_]{{0,8}}+[:?.]?[ \t\r*_]{{0,8}}+$",
    re.IGNORECASE | re.MULTILINE,
)
CHECKBOX = re.compile(r"^[ \t>]{0,8}+[-*] \[[ xX]\] [^\n]*$", re.MULTILINE)
BLANK_LINES = re.compile(r"\n[ \t\r]*+(?:\n[ \t\r]*+)++")
UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text ready for its arms."""

    title: str
    body: str

    @property
    def lexical(self) -> str:
        """For ``to_tsvector``: the title as often as its words count, composites with their parts."""
        return " ".join([expand(self.title)] * TITLE_WEIGHT + [expand(self.body)]).strip()

    @property
    def passages(self) -> list[str]:
        """What is embedded: the title, and the whole. Their mean is the thing's vector.

        So a short text, which has no more than a title, and a long one about the same are near each other.
        """
        if self.title and self.body:
            return [self.title, f"{self.title}\n{self.body}"]
        return [each for each in (self.title or self.body,) if each]

    @property
    def hash(self) -> str:
        """Of all that the vector is made of."""
        return hashlib.sha256(f"{self.title}\0{self.body}".encode()).hexdigest()[:32]


def clean(title: str, body: str) -> Cleaned:
    """Both parts redacted, without boilerplate, cut to what is kept."""
    bare = redact(UNREADABLE.sub(" ", body[: 4 * BODY_MAX]))
    bare = AGENT.sub(" ", AGENT_LINE.sub("", _without_comments(bare)))
    bare = CHECKBOX.sub("", HEADING.sub("", bare))
    bare = BLANK_LINES.sub("\n", bare).strip()[:BODY_MAX].rstrip()
    heading = " ".join(redact(UNREADABLE.sub(" ", title[: 4 * TITLE_MAX])).split())[:TITLE_MAX].rstrip()
    return Cleaned(heading, bare)


def signature_list(signatures: Sequence[str]) -> list[str]:
    """Error signatures as they are stored and compared: each once, the first ``SIGNATURES_MAX``."""
    kept = (UNREADABLE.sub(" ", each)[:SIGNATURE_MAX] for each in signatures)
    return list(dict.fromkeys(each for each in kept if each))[:SIGNATURES_MAX]


def _without_comments(text: str) -> str:
    parts, position = [], 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[position:start])
        position = end + 3
    return " ".join([*parts, text[position:]])
