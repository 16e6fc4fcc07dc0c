"""Markdown and MDX by markdown-it-py, read on as HTML.

CommonMark with tables, footnotes and definition lists, callouts written as ``:::note`` or ``> [!NOTE]``,
and YAML front matter. A ``.md`` file that uses JSX is read as MDX.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape

from markdown_it import MarkdownIt
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote import footnote_plugin

from app.parsing.blocks import BlockKind, Limits, Parsed, TextBuilder
from app.parsing.cleaning import clean, clean_inline
from app.parsing.decoding import decode
from app.parsing.front_matter import split_front_matter
from app.parsing.html import render_fragment
from app.parsing.mdx import looks_like_mdx, strip_jsx
from app.parsing.sniffing import MediaType

_FENCE = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])?[ \t]*(`{3,}|~{3,})")
_CALLOUT = re.compile(r"([ \t]*):{3,}[ \t]*(\w+)[ \t]*(?:\[([^\]\n]{1,200})\]|([^\n]{0,200}))\s*")
_CALLOUT_END = re.compile(r"[ \t]*:{3,}\s*")
_ALERT = re.compile(r"([ \t]*>[ \t]*)\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*", re.IGNORECASE)
_HEADING_ID = re.compile(r"^(#{1,6}[ \t].*?)[ \t]*\{#[\w-]{1,100}\}[ \t]*$", re.MULTILINE)
# markdown-it leaves out what is nested deeper than it allows, so deep quotes are made shallow first.
_DEEP_QUOTE = re.compile(r"^((?:[ \t]{0,3}>){20})[ \t>]+", re.MULTILINE)


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a Markdown file; the front matter's description becomes the first paragraph unless the body has
    it.
    """
    front, body = split_front_matter(clean(decode(data)))
    mdx = media_type == MediaType.MDX or looks_like_mdx(body)
    rendered = render_markdown(body, mdx=mdx, limits=limits)
    builder = TextBuilder(limits)
    description = clean_inline(front.description or "")
    if description and description.rstrip(".") not in clean_inline("".join(rendered.parts)):
        builder.add(BlockKind.PARAGRAPH, description)
    builder.extend(rendered)
    return builder.build(
        media_type=media_type, title=front.title or builder.first_heading(), language=front.language
    )


def render_markdown(text: str, *, mdx: bool, limits: Limits) -> TextBuilder:
    """Blocks of a Markdown text without front matter."""
    text = _HEADING_ID.sub(r"\1", _DEEP_QUOTE.sub(r"\1 ", text))
    text = _callouts(strip_jsx(text) if mdx else text)
    return render_fragment(_markdown(mdx).render(text), limits)


@cache
def _markdown(mdx: bool) -> MarkdownIt:  # noqa: FBT001 - the cache's key
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 100}).enable(["table", "strikethrough"])
    parser = parser.use(footnote_plugin).use(deflist_plugin)
    # MDX has no indented code; its components indent ordinary text.
    return parser.disable("code") if mdx else parser


def _callouts(text: str) -> str:
    """Rewrite callouts as elements that the HTML side labels: ``Note: …``."""
    if ":::" not in text and "[!" not in text:
        return text
    fence = ""
    lines: list[str] = []
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip("`~"):
                fence = ""
            lines.append(line)
            continue
        fence = mark[1] if mark else ""
        lines.append(line if mark else _callout(line))
    return "\n".join(lines)


def _callout(line: str) -> str:
    if _CALLOUT_END.fullmatch(line):
        return "\n\n"
    opening = _CALLOUT.fullmatch(line)
    if opening:
        indent, kind, title = opening[1], opening[2].capitalize(), (opening[3] or opening[4] or "").strip()
        return f"\n{indent}{label_element(f'{kind}: {title}' if title else kind)}\n"
    return _ALERT.sub(
        lambda match: f"{match[1]}{label_element(match[2].capitalize())}\n{match[1].rstrip()}\n{match[1]}",
        line,
    )


def label_element(label: str) -> str:
    """An element whose text is put before the paragraph that follows."""
    return f'<p class="callout-title">{escape(label)}</p>'
