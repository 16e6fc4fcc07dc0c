"""Texts with variables, ``{{ticket.number}}``: what stands for them is text, never markup. Pure rules.

Values are put into Markdown with a backslash before each ASCII punctuation character, which CommonMark reads
as that character and nothing else (0.31.2, section 2.4), and on one line, so that none begins a block.
Values are put in once: what looks like a variable in a value stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

VARIABLES = frozenset(
    {
        *("ticket.number", "ticket.subject", "ticket.status", "ticket.priority", "ticket.severity"),
        *("ticket.product", "ticket.component", "ticket.product_version", "ticket.environment"),
        *("requester.name", "account.name", "agent.name", "team.name"),
    }
)
CUSTOM = "ticket.custom."
MARK = re.compile(r"\{\{[ \t]*([^{}\r\n]{1,120}?)[ \t]*\}\}")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+")


def variables_of(template: str) -> set[str]:
    """Names of the variables in a text."""
    return {found[1] for found in MARK.finditer(template)}


def has_loose_braces(template: str) -> bool:
    """Whether braces are left over that begin or end no variable."""
    rest = MARK.sub("", template)
    return "{{" in rest or "}}" in rest


def custom_keys_of(template: str) -> set[str]:
    """Keys of the custom fields in a text."""
    return {each.removeprefix(CUSTOM) for each in variables_of(template) if each.startswith(CUSTOM)}


def unknown_variables_of(template: str) -> list[str]:
    """Those that mean nothing, in order; whether a custom field exists is for the caller to see."""
    return sorted(
        each for each in variables_of(template) if each not in VARIABLES and not each.startswith(CUSTOM)
    )


def fill(template: str, values: Mapping[str, str | None]) -> str:
    """The text with the values, as Markdown; a variable without a value leaves nothing."""
    return MARK.sub(lambda found: escape(values.get(found[1]) or ""), template)


def escape(value: str) -> str:
    """Markdown that shows exactly this text on one line, blanks folded."""
    return PUNCTUATION.sub(r"\\\1", BLANKS.sub(" ", value).strip())
