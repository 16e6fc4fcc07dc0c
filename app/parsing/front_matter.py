"""YAML front matter at the top of a Markdown file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

_FENCED = re.compile(r"\ufeff?---[ \t]*\n(.*?)(?:^|\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_MAX_LENGTH = 20_000
_MAX_BRACKETS = 200


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The three values that say something about the text; None where absent."""

    title: str | None = None
    description: str | None = None
    language: str | None = None


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """The front matter and the text after it. What does not parse as a YAML mapping stays text."""
    match = _FENCED.match(text, 0, _MAX_LENGTH)
    if match is None:
        return FrontMatter(), text
    try:
        # The pure Python loader would take aliases as well: a dozen lines of them expand to gigabytes.
        values = None if re.search(r"(?:^|[\s\[{,:-])[&*]\w", match[1]) else _loaded(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        values = None
    if values is None:
        return _by_lines(match[1]), text[match.end() :]
    if not isinstance(values, dict):
        return FrontMatter(), text
    language = values.get("lang") or values.get("language") or values.get("locale")
    return FrontMatter(_text(values.get("title")), _text(values.get("description")), _text(language)), text[
        match.end() :
    ]


def _loaded(source: str) -> object:
    """Deep nesting costs the loader a second and a deep stack; no front matter needs it."""
    return None if sum(map(source.count, "[{")) > _MAX_BRACKETS else yaml.safe_load(source)


def _by_lines(source: str) -> FrontMatter:
    """A value with an unquoted colon is common and no valid YAML: read the plain ``key: value`` lines."""
    values = dict(re.findall(r"^(title|description|lang|language):[ \t]*(.+)$", source, re.MULTILINE))
    plain = {key: value.strip().strip("\"'") for key, value in values.items()}
    return FrontMatter(
        plain.get("title"), plain.get("description"), plain.get("lang") or plain.get("language")
    )


def _text(value: object) -> str | None:
    return str(value).strip() or None if isinstance(value, str | int | float) else None
