"""Messages as HTML that is safe to show, and as plain text to search; pure functions, up to two seconds.

Markdown is CommonMark with tables and strike-through, without HTML. HTML, which e-mail brings, and the HTML
made of Markdown go through the same allow-list: no scripts, styles, forms, classes or ids; links to http,
https and mailto only; no images, since a remote one tells its owner who reads when: they become links.
Control characters and those that reorder, hide or fake letters are not shown; what was given is kept apart.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

import nh3
from markdown_it import MarkdownIt

from app.conversations.constants import BodyFormat
from app.redaction import find, redact

TAGS = {
    *("p", "br", "hr", "div", "span", "blockquote", "pre", "code", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "strong", "b", "em", "i", "u", "s", "del", "ins", "sub", "sup"),
    *("table", "thead", "tbody", "tfoot", "tr", "th", "td"),
}
UNSHOWN = {"script", "style", "title", "head", "template", "noscript", "iframe", "object", "svg", "math"}
SCHEMES = {"http", "https", "mailto"}
MOST_MARKS = 20_000  # `<` and `&` of HTML; the parser's time grows with their square
BYTES_A_CHARACTER = 12  # HTML that a Markdown text may grow to

_WITH_IMAGES = nh3.Cleaner(
    tags={*TAGS, "img"},
    clean_content_tags=UNSHOWN,
    attributes={"*": set(), "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}},
    url_schemes={*SCHEMES, "cid"},
    url_relative="deny",
    link_rel=None,
)
_FINAL = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags=UNSHOWN,
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])

# In what the sanitiser has written: attributes are quoted, and a quote inside one is an entity.
_IMAGE = re.compile(r"<img((?: (?:src|alt)=\"[^\"]*\")*)>")
_SOURCE = re.compile(r" src=\"([^\"]*)\"")
_ALTERNATIVE = re.compile(r" alt=\"([^\"]*)\"")
_BREAK = re.compile(r"(</(?:p|div|blockquote|pre|ul|ol|li|h[1-6]|table|tr)>|<br>|<hr>)\n?")
_CELL = re.compile(r"</t[hd]>\n?")
_BLANK_LINES = re.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+")
_SAFE_TAG = re.compile(r"<[^>]*>")  # in an attribute that the sanitiser has written, > is an entity
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Body:
    """A message's text as it is stored: as given, to be shown, and to be searched."""

    format: BodyFormat
    raw: str
    html: str
    text: str


def render(raw: str, body_format: BodyFormat) -> Body:
    """The text in its three forms, none of which has a card number or NUL in it.

    A number that markup takes apart (``4111**1111**…``) shows only when it is rendered: then the plain text,
    with the number removed, takes the place of what was given.
    """
    raw = redact(_SURROGATES.sub("\ufffd", raw.replace("\0", "")))
    shown = to_html(raw, body_format)
    plain = to_text(shown)
    if not find(plain) and not find(html.unescape(shown)):
        return Body(body_format, raw, shown, plain)
    raw = redact(plain)
    return Body(BodyFormat.text, raw, from_text(raw), raw)


def to_html(raw: str, body_format: BodyFormat) -> str:
    """Safe HTML of a text in any format."""
    match body_format:
        case BodyFormat.markdown:
            return from_markdown(raw)
        case BodyFormat.html:
            return from_html(raw)
        case BodyFormat.text:
            return from_text(raw)


def from_markdown(markdown: str) -> str:
    """Safe HTML of Markdown; a text that markup would blow up is shown as it is."""
    rendered = _MARKDOWN.render(markdown)
    if len(rendered) > BYTES_A_CHARACTER * len(markdown) + 1000:
        return from_text(markdown)
    return _sanitise(rendered)


def from_html(given: str) -> str:
    """Safe HTML of anybody's HTML; where it has too much markup to parse, its text."""
    if given.count("<") + given.count("&") > MOST_MARKS:
        return from_text(html.unescape(_TAG.sub(" ", given)))
    return _sanitise(given)


def from_text(text: str) -> str:
    """Plain text as HTML: paragraphs and line breaks."""
    lines = html.escape(_seen(text), quote=False).strip().replace("\r\n", "\n").replace("\r", "\n")
    paragraphs = [each.strip("\n").replace("\n", "<br>") for each in re.split(r"\n[ \t]*\n", lines)]
    return "".join(f"<p>{each}</p>" for each in paragraphs if each.strip())


def to_text(safe: str) -> str:
    """The plain text of safe HTML: a line a block, cells apart, no markup."""
    broken = _CELL.sub("\t", _BREAK.sub(r"\1\n", safe))
    return _BLANK_LINES.sub("\n\n", html.unescape(_SAFE_TAG.sub("", broken))).strip()


def _sanitise(given: str) -> str:
    with_images = _WITH_IMAGES.clean(given)
    return _seen(_FINAL.clean(_IMAGE.sub(_as_link, with_images))).strip()


def _as_link(image: re.Match[str]) -> str:
    """A remote image as a link to it; any other as what is said in its place."""
    source = _SOURCE.search(image[1])
    alternative = _ALTERNATIVE.search(image[1])
    said = (alternative[1].strip() if alternative else "") or "image"
    if source is None or not source[1].lower().startswith(("http://", "https://")):
        return f"[{said}]"
    return f'<a href="{source[1]}">{said}</a>'


def _seen(text: str) -> str:
    return _UNSEEN.sub("", text)
