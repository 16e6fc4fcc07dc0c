"""HTML by selectolax: the main content of a page as blocks.

Markdown and reStructuredText come through here as well, as the HTML that their own parsers make of them, so
that lists, tables, quotes and hidden elements are treated by one rule for all three.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from app.parsing.blocks import Limits, Parsed, TextBuilder
from app.parsing.decoding import decode
from app.parsing.html_render import Renderer

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_SITE_SUFFIX = re.compile(r"\s+[|\u2013—·•-]\s+[^|\u2013—·•]{1,60}$")


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a page. Scripts do not run and nothing is loaded."""
    charset = _CHARSET.search(data[:4096])
    return parse_page(decode(data, declared=charset[1].decode() if charset else None), media_type, limits)


def parse_page(html: str, media_type: str, limits: Limits) -> Parsed:
    """Read a page that is already text."""
    tree = LexborHTMLParser(html)
    root = tree.root
    builder = TextBuilder(limits)
    language = None
    if root is not None:
        language = root.attributes.get("lang")
        builder = _content(tree, root, limits)
    return builder.build(media_type=media_type, title=_title(tree, builder), language=language)


def render_fragment(html: str, limits: Limits) -> TextBuilder:
    """Blocks of a piece of HTML in which everything is content (but hidden elements are still dropped)."""
    builder = TextBuilder(limits)
    body = LexborHTMLParser(html).body
    if body is not None:
        Renderer(builder, keep_chrome=True).render(body)
    return builder


def _content(tree: LexborHTMLParser, root: LexborNode, limits: Limits) -> TextBuilder:
    """The main element if there is one with text, else the body without its surroundings, else the whole
    body.
    """
    body = tree.body or root
    main = _main(tree)
    attempts = [(node, False) for node in (main, body) if node is not None]
    for node, keep_chrome in [*attempts, (body, True)]:
        builder = TextBuilder(limits)
        Renderer(builder, keep_chrome=keep_chrome).render(node)
        if builder.blocks:
            return builder
    return TextBuilder(limits)


def _main(tree: LexborHTMLParser) -> LexborNode | None:
    for selector in ("main", "[role=main]"):
        node = tree.css_first(selector)
        if node is not None:
            return node
    articles = tree.css("article")
    # Several articles are a list of teasers: then the page as a whole is the content.
    return articles[0] if len(articles) == 1 else None


def _title(tree: LexborHTMLParser, builder: TextBuilder) -> str | None:
    """The first h1 of the content; else the title element without the site's name."""
    heading = builder.first_heading()
    if heading:
        return heading
    node = tree.css_first("head title")
    title = " ".join(node.text().split()) if node is not None else ""
    return _SITE_SUFFIX.sub("", title[:500]) or None
