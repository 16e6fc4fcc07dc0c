"""Which elements of a page a reader would not see, or would not call its content."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

NEVER = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "head",
        "title",
        "meta",
        "link",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "svg",
        "select",
        "button",
        "input",
        "textarea",
        "datalist",
        "map",
        "area",
        "applet",
        "frameset",
        "nav",
    ]
)
BARE_CHROME = frozenset({"header", "footer", "aside"})
_CONTAINERS = frozenset(
    ["div", "ul", "ol", "section", "table", "aside", "form", "header", "footer", "p", "a"]
)
_CHROME = frozenset(
    [
        "nav",
        "navbar",
        "navigation",
        "navbox",
        "sidebar",
        "breadcrumb",
        "breadcrumbs",
        "toc",
        "tocbox",
        "cookie",
        "cookies",
        "consent",
        "pagination",
        "pager",
        "skip-link",
        "skiplink",
        "share",
        "sharing",
        "headerlink",
        "hash-link",
        "footnote-backref",
        "jump-link",
        "catlinks",
        "printfooter",
        "vector-menu",
        "vector-dropdown",
        "mw-portlet",
    ]
)
_CHROME_WORDS = frozenset(
    [
        "breadcrumb",
        "breadcrumbs",
        "cookie",
        "cookies",
        "cookiebanner",
        "toc",
        "navbar",
        "navbox",
        "editsection",
    ]
)
_CHROME_ROLES = frozenset(
    ["navigation", "banner", "contentinfo", "search", "menu", "menubar", "toolbar", "dialog", "alertdialog"]
)
_CALLOUTS = frozenset(
    ["admonition", "callout", "note", "tip", "warning", "caution", "important", "alert", "hint"]
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_HIDING_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0?\.?0+(?![.\d])|font-size:0*\.?0+(?:px|pt|em|rem|%)?(?:;|!|$)"
    r"|font-size:[01](?:px|pt)|color:transparent|text-indent:-\d{3}|(?:left|top|right):-\d{3}"
    r"|clip:rect\(0|clip-path:inset\((?:50|100)%|transform:scale\(0\)|mso-hide:all"
)
_WHITE = r"(?:white|#fff(?:f{3})?|rgb\(255,255,255\))(?:;|!|$)"
_WHITE_TEXT = re.compile(r"(?:^|;)color:" + _WHITE)
_BACKGROUND = re.compile(r"background(?:-color|-image)?:(?!transparent|none|inherit|initial|" + _WHITE + ")")


def is_hidden(node: LexborNode, attributes: dict[str, str | None]) -> bool:
    """True for what a browser shows to nobody; instructions to a model like to hide there."""
    if "hidden" in attributes or (attributes.get("aria-hidden") or "").lower() == "true":
        return True
    if node.tag == "dialog" and "open" not in attributes:
        return True
    if node.tag == "font" and (attributes.get("color") or "").lower() in {"white", "#fff", "#ffffff"}:
        return not _on_background(node)
    style = _compact(attributes.get("style"))
    if not style:
        return False
    return bool(_HIDING_STYLE.search(style)) or (bool(_WHITE_TEXT.search(style)) and not _on_background(node))


def is_chrome(node: LexborNode, attributes: dict[str, str | None]) -> bool:
    """True for navigation, banners, tables of contents and the like around the content."""
    tag = node.tag or ""
    if (attributes.get("role") or "").lower() in _CHROME_ROLES:
        return True
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}".lower()
    tokens = set(names.split())
    if tag == "sup" and "reference" in tokens:
        return True
    if tag in {"header", "footer"}:
        return node.css_first("h1") is None
    if tag == "aside":
        return not tokens & _CALLOUTS
    if tag not in _CONTAINERS and "editsection" not in names:
        return False
    words = {word for token in tokens for word in _SEPARATORS.split(token)} if tokens else set()
    return bool(tokens & _CHROME or words & _CHROME_WORDS) and node.css_first("h1") is None


def _compact(style: str | None) -> str:
    return "".join((style or "").lower().split())


def _on_background(node: LexborNode) -> bool:
    """True when the element or one around it sets a background that white text would be read on."""
    current: LexborNode | None = node
    for _ in range(200):
        if current is None or not current.is_element_node:
            return False
        attributes = current.attributes
        background = (attributes.get("bgcolor") or "").lower()
        if background not in {"", "white", "#fff", "#ffffff"}:
            return True
        if _BACKGROUND.search(_compact(attributes.get("style"))):
            return True
        current = current.parent
    return False
