"""The text of one WordprocessingML paragraph."""

from __future__ import annotations

import re
from typing import Any

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def qualified(name: str) -> str:
    """The element or attribute name in the main namespace."""
    return f"{{{_W}}}{name}"


_TEXT = {qualified("t"), f"{{{_MATH}}}t"}
_SIGNS = {
    qualified("tab"): " ",
    qualified("br"): "\n",
    qualified("cr"): "\n",
    qualified("noBreakHyphen"): "-",
    qualified("ptab"): " ",
}
_SKIPPED = {
    qualified(name) for name in ("del", "moveFrom", "pPr", "instrText", "delText", "footnoteReference")
} | {f"{{{_MC}}}Fallback"}
_RUN, _BOX = qualified("r"), qualified("txbxContent")
_MONOSPACED = re.compile(r"courier|consolas|menlo|monaco|mono\b|lucida console|source code", re.IGNORECASE)
_TINY = 4  # half points: two points and below are not meant to be read


def value_of(element: Any, path: str) -> str | None:
    """The ``w:val`` of a descendant named by a slash-separated path."""
    found = element.find("/".join(qualified(name) for name in path.split("/")))
    value = found.get(qualified("val")) if found is not None else None
    return value if isinstance(value, str) else None


def is_on(element: Any, path: str) -> bool:
    """A toggle property: present and not switched off."""
    found = element.find("/".join(qualified(name) for name in path.split("/")))
    return found is not None and found.get(qualified("val")) not in {"0", "false", "off", "none"}


def paragraph_text(paragraph: Any) -> tuple[str, list[Any]]:
    """The visible text (forced breaks as line ends), and the text boxes anchored in it, whose text is
    apart.
    """
    parts: list[str] = []
    boxes: list[Any] = []
    stack = list(reversed(list(paragraph)))
    while stack:
        element = stack.pop()
        if element.tag in _TEXT:
            parts.append(element.text or "")
        elif element.tag in _SIGNS:
            parts.append(_SIGNS[element.tag])
        elif element.tag == _BOX:
            boxes.append(element)
        elif element.tag not in _SKIPPED and not (element.tag == _RUN and _is_hidden(element)):
            stack.extend(reversed(list(element)))
    return "".join(parts), boxes


def is_monospaced(paragraph: Any) -> bool:
    """True when every run with text names a typewriter face."""
    runs = [
        run for run in paragraph.iter(_RUN) if any((part.text or "").strip() for part in run.iter(*_TEXT))
    ]
    return bool(runs) and all(_MONOSPACED.search(_face(run)) for run in runs)


def _face(run: Any) -> str:
    fonts = run.find(f"{qualified('rPr')}/{qualified('rFonts')}")
    return str(fonts.get(qualified("ascii")) or "") if fonts is not None else ""


def _is_hidden(run: Any) -> bool:
    properties = run.find(qualified("rPr"))
    if properties is None:
        return False
    if is_on(properties, "vanish") or is_on(properties, "specVanish"):
        return True
    size = value_of(properties, "sz") or ""
    if size.isdigit() and int(size) <= _TINY:
        return True
    plain = properties.find(qualified("shd")) is None and properties.find(qualified("highlight")) is None
    return plain and (value_of(properties, "color") or "").upper() == "FFFFFF" and not _in_table(run)


def _in_table(run: Any) -> bool:
    """White text in a table is usually read on a shaded cell."""
    parent = run.getparent()
    while parent is not None:
        if parent.tag in {qualified("tc"), _BOX}:
            return True
        if parent.tag == qualified("p") and parent.find(f"{qualified('pPr')}/{qualified('shd')}") is not None:
            return True
        parent = parent.getparent()
    return False
