"""Platform variants of LibreOffice-style help pages.

Such a page holds ``<span id="swln…" class="switchinline">`` with one ``hidden`` child per platform or
module, and a script shows the right one. Without them a path like "Tools - Options - Load/Save" loses its
beginning, so exactly this shape is read, each variant with its label; any other ``hidden`` element is
dropped.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

_LABELS = {"MAC": "macOS", "WIN": "Windows", "UNIX": "Linux", "default": "otherwise"}
_ID = re.compile(r"(MAC|WIN|UNIX|WRITER|CALC|IMPRESS|DRAW|MATH|CHART|BASE|default)(?=[a-z])")
_SWITCHES = frozenset({"switch", "switchinline"})


def open_variant(node: LexborNode, attributes: dict[str, str | None]) -> str | None:
    """What to write before a variant's text, a label ending in a line end for one of blocks; None for no
    variant.
    """
    if not _is_variant(node, attributes):
        return None
    match = _ID.match(attributes.get("id") or "")
    name = match[1] if match else ""
    first, last = _neighbour(node, back=True) is None, _neighbour(node, back=False) is None
    label = "" if first and last and name == "default" else _LABELS.get(name, name.capitalize())
    if not _is_inline(node):
        return f"{label}\n"
    return f"{' (' if first else '; '}{label}{': ' if label else ''}"


def close_variant(node: LexborNode) -> str:
    """What to write after a variant's text; empty for every other element."""
    if node.tag != "span" or not _is_variant(node, node.attributes) or not _is_inline(node):
        return ""
    return ") " if _neighbour(node, back=False) is None else ""


def _is_variant(node: LexborNode, attributes: dict[str, str | None]) -> bool:
    if "hidden" not in attributes or not _ID.match(attributes.get("id") or ""):
        return False
    parent = node.parent
    if parent is None or not parent.is_element_node:
        return False
    around = parent.attributes
    return around.get("class") in _SWITCHES and (around.get("id") or "").startswith("swln")


def _is_inline(node: LexborNode) -> bool:
    return node.parent is not None and node.parent.attributes.get("class") == "switchinline"


def _neighbour(node: LexborNode, *, back: bool) -> LexborNode | None:
    current = node.prev if back else node.next
    while current is not None and not current.is_element_node:
        current = current.prev if back else current.next
    return current
