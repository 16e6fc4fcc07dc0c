"""What a paragraph's style says about it, with inheritance resolved once per style."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from docx.document import Document

from app.parsing.docx_runs import qualified, value_of

_HEADING = re.compile(r"heading (\d)")
_CODE = re.compile(
    r"(?:source )?code(?: (?:block|listing|text|snippet))?|listing"
    r"|(?:html )?preformatted(?: text)?|macro(?: text)?|verbatim"
)
_MAX_CHAIN = 20


@dataclass(frozen=True, slots=True)
class Style:
    """The properties that matter here; ``num_id``/``level`` are those of a list the style belongs to."""

    is_title: bool = False
    is_code: bool = False
    is_quote: bool = False
    is_list: bool = False
    heading: int = 0
    num_id: str | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Styles:
    """Styles by id; ``default`` is that of paragraphs which name none."""

    by_id: dict[str, Style]
    default: Style

    @classmethod
    def of(cls, document: Document) -> Styles:
        """Read the style sheet; a document may have none."""
        elements = {str(style.get(qualified("styleId"))): style for style in _style_elements(document)}
        by_id = {name: _style(_chain(element, elements)) for name, element in elements.items()}
        defaults = [
            name for name, element in elements.items() if element.get(qualified("default")) in {"1", "true"}
        ]
        return cls(by_id, next((by_id[name] for name in defaults if _is_paragraph(elements[name])), Style()))

    def of_paragraph(self, paragraph: Any) -> Style:
        """The style a paragraph names, else the default one."""
        name = value_of(paragraph, "pPr/pStyle")
        return self.by_id.get(name or "", self.default)

    def outline_level(self, paragraph: Any, style: Style) -> int:
        """1 to 6 for a heading, 0 for body text (an outline level of 9 says "body text")."""
        own = value_of(paragraph, "pPr/outlineLvl") or ""
        if own.isdigit():
            return min(int(own) + 1, 6) if int(own) < 9 else 0
        return style.heading


def _style_elements(document: Document) -> list[Any]:
    return [element for element in document.styles.element if element.tag == qualified("style")]


def _is_paragraph(element: Any) -> bool:
    return element.get(qualified("type")) in {None, "paragraph"}


def _chain(element: Any, elements: dict[str, Any]) -> list[Any]:
    """A style and those it is based on; a file may make them a circle."""
    chain = [element]
    while len(chain) < _MAX_CHAIN:
        base = elements.get(value_of(chain[-1], "basedOn") or "")
        if base is None:
            break
        chain.append(base)
    return chain


def _style(chain: list[Any]) -> Style:
    # Built-in styles carry their English name in every language version of Word.
    names = [(value_of(element, "name") or "").lower() for element in chain]
    levels = [_HEADING.fullmatch(name) for name in names]
    outline = next(filter(None, (value_of(element, "pPr/outlineLvl") for element in chain)), "")
    heading = next((int(match[1]) for match in levels if match), int(outline) + 1 if outline.isdigit() else 0)
    level = next(filter(None, (value_of(element, "pPr/numPr/ilvl") for element in chain)), None)
    return Style(
        is_title=names[0] == "title",
        is_code=any(_CODE.fullmatch(name) for name in names),
        is_quote=any(name in {"quote", "intense quote", "block text"} for name in names),
        is_list=any(name.startswith("list") and name != "list paragraph" for name in names),
        heading=min(heading, 6) if heading <= 9 else 0,
        num_id=next(filter(None, (value_of(element, "pPr/numPr/numId") for element in chain)), None),
        level=int(level) if level is not None and level.isdigit() else None,
    )
