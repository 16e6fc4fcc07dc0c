"""reStructuredText by docutils, read on as HTML.

File insertion, raw markup and configuration files are off, so that a document cannot pull anything in. What
Sphinx adds (roles, version notes, cross references) is read for its words.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en
from docutils.utils import SystemMessage

from app.parsing.blocks import Limits, Parsed, TextBuilder
from app.parsing.cleaning import clean
from app.parsing.decoding import decode
from app.parsing.exceptions import Code, ParsingError
from app.parsing.html import render_fragment
from app.parsing.plain import add_plain

_SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "warning_stream": False,
    "traceback": True,  # else docutils ends the process on an error of its own
    "embed_stylesheet": False,
    "stylesheet_path": "",
    "math_output": "LaTeX",
    "syntax_highlight": "none",
    "image_loading": "link",
    "smart_quotes": False,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
    "initial_header_level": 2,
    "line_length_limit": 1_000_000,
    "section_self_link": False,
    "toc_backlinks": False,
    "footnote_backlinks": False,
    "id_prefix": "",
}
_NOTES = {
    "versionadded": "Added in",
    "versionchanged": "Changed in",
    "deprecated": "Deprecated since",
    "seealso": "See also",
}
_SILENT = frozenset(
    [
        "toctree",
        "index",
        "highlight",
        "currentmodule",
        "module",
        "tabularcolumns",
        "automodule",
        "autoclass",
        "autofunction",
        "automethod",
    ]
)
_DIRECTIVE = re.compile(r"^[ \t]*\.\.[ \t]+([A-Za-z][\w.:+-]{0,60}?)::", re.MULTILINE)
_ROLE = re.compile(r"(?<![\w`]):([A-Za-z][\w.:+-]{0,60}):`")
# docutils has no public question for what is registered.
_KNOWN_DIRECTIVES: dict[str, Any] = vars(directives)["_directive_registry"]
_KNOWN_ROLES: dict[str, Any] = vars(roles)["_role_registry"]
_ENDLESS_WORD = re.compile(r"\S{2000}")
_MAX_NAMES = 200
_TARGET = re.compile(r"\s*<[^<>]*>\s*$")


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a document; raises ``file_corrupt`` only when docutils gives up on it as a whole."""
    text = clean(decode(data))
    if _ENDLESS_WORD.search(text):
        # docutils looks for addresses in quadratic time; prose has no such words.
        plain = TextBuilder(limits)
        add_plain(plain, text)
        return plain.build(media_type=media_type)
    _know_names(text)
    try:
        parts = publish_parts(text, writer="html5", settings_overrides=_SETTINGS)
    except SystemMessage as error:
        raise ParsingError("the document is not valid reStructuredText", code=Code.FILE_CORRUPT) from error
    head = f"<h1>{parts['title']}</h1><h2>{parts['subtitle']}</h2>{parts['docinfo']}"
    builder = render_fragment(head + parts["body"], limits)
    return builder.build(media_type=media_type)


def _know_names(text: str) -> None:
    """Make the document's own directives and roles known, since docutils drops the words of unknown ones.

    docutils keeps them for the whole process; a name that means something to it keeps that meaning.
    """
    for name in sorted({match[1].lower() for match in _DIRECTIVE.finditer(text)})[:_MAX_NAMES]:
        if name not in _KNOWN_DIRECTIVES and name not in en.directives:
            directives.register_directive(name, _Silent if name in _SILENT else _Content)
    for name in sorted({match[1].lower() for match in _ROLE.finditer(text)})[:_MAX_NAMES]:
        if name not in _KNOWN_ROLES and name not in en.roles:
            roles.register_local_role(name, _role)


def _role(name: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    """The words of a role, without the target they point to."""
    words = _TARGET.sub("", text).lstrip("~!") or text
    return [nodes.inline(rawtext, words)], []


class _Content(Directive):
    """A container: its argument as a label of its parsed content; ``Deprecated since 1.2: words``."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = None

    def run(self) -> list[nodes.Node]:
        """The label's paragraph and the parsed content."""
        label = " ".join([_NOTES.get(self.name, ""), *self.arguments]).strip()
        container = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, container)
        paragraph = nodes.paragraph("", label, classes=["callout-title"])
        return [*([paragraph] if label else []), *container.children]


class _Silent(_Content):
    """A directive for machines: nothing of it is shown."""

    def run(self) -> list[nodes.Node]:
        """No nodes."""
        return []
