"""Running headers, footers and page numbers: what stands at the same place of many pages."""

from __future__ import annotations

import re
from collections import Counter

from app.parsing.pdf_lines import Line

_EDGE = 3  # lines from the top and the bottom of a page that may be furniture
_OUTER_NUMBER = re.compile(r"^\s*(?:\d+|[ivxlc]+\b)|(?:\d+|\b[ivxlc]+)\s*$")
_LARGER = 1.12
_MAX_SHARE = 0.25
_PAGE_NUMBER = re.compile(
    r"(?:page|seite|p\.)?\s*[-\u2013|]?\s*(?:\d{1,4}|[ivxlc]{1,7})\s*(?:(?:of|von|/)\s*\d{1,4})?\s*[-\u2013|]?",
    re.IGNORECASE,
)
_MIN_PAGES = 3


def without_furniture(pages: list[list[Line]], *, body_size: float) -> list[list[Line]]:
    """The pages, each line marked with its page number, without what repeats at the edges.

    Lines larger than the body are headings and stay. When more than a quarter of the text would go, it is no
    furniture but a form filled in on each page: then only page numbers go.
    """
    edges = [[line for line in _edges(page) if line.size <= body_size * _LARGER] for page in pages]
    texts = Counter(key for page in edges for key in {_key(line) for line in page})
    repeated = {key for key, count in texts.items() if count >= _MIN_PAGES}
    places = Counter(
        place for page in edges for place in {_place(line) for line in page if _key(line) in repeated}
    )
    # Where many pages have a running title, whatever else stands there is one as well (chapter names change).
    fixed = {place for place, count in places.items() if count >= max(_MIN_PAGES, len(pages) * 0.3)}
    running = {id(line) for page in edges for line in page if _key(line) in repeated or _place(line) in fixed}
    total = sum(len(line.text) for page in pages for line in page)
    if sum(len(line.text) for page in edges for line in page if id(line) in running) > _MAX_SHARE * total:
        running = set()
    kept: list[list[Line]] = []
    for number, page in enumerate(pages):
        numbers = {id(line) for line in _edges(page) if _is_page_number(line, several=len(pages) > 1)}
        for line in page:
            line.page = number
        dropped = running | numbers
        kept.append([line for line in page if id(line) not in dropped and not _is_contents(line.text)])
    return kept


def _is_page_number(line: Line, *, several: bool) -> bool:
    text = line.text.strip()
    return bool(_PAGE_NUMBER.fullmatch(text)) and (several or text == "1")


def _is_contents(text: str) -> bool:
    """An entry of a printed table of contents: a title, leader dots, a page number."""
    leaders = text.rstrip("0123456789ivxlc ").replace(" ", "")
    return leaders.endswith("......") or text.strip().casefold() in {"table of contents", "contents"}


def _edges(page: list[Line]) -> list[Line]:
    by_height = sorted(page, key=lambda line: -line.top)
    return by_height if len(page) <= 2 * _EDGE else by_height[:_EDGE] + by_height[-_EDGE:]


def _key(line: Line) -> str:
    """Numbers differ from page to page, the rest is the same; the height tells a title from its running
    copy.
    """
    return f"{_OUTER_NUMBER.sub('#', line.text.casefold())} @{round(line.bottom / 4)}"


def _place(line: Line) -> tuple[int, float]:
    return round(line.bottom / 2), line.size
