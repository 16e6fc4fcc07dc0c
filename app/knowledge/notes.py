"""Solved cases as knowledge: what a desk hands over, and what the index has of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.knowledge.threads import Thread


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolutionNote:
    """A solved case. ``problem`` and ``solution`` are plain texts in which nobody is named.

    ``number`` is the case's for people, ``TEC-42``; with ``title`` it makes the note's title, which whoever
    may read the note sees. A blank ``problem`` is left out; a blank ``solution`` is an error.
    """

    thread: Thread
    number: str
    title: str
    problem: str = field(repr=False)
    solution: str = field(repr=False)
    product: str | None = None
    component: str | None = None
    product_version: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedNote:
    """A note as it stands in the index: its texts as they were shortened or edited.

    ``audience``: ``staff``, ``public``, ``customers`` or ``account:<id>``. ``version``: the document's, which
    counts its changes.
    """

    document_id: UUID
    version: int
    title: str
    audience: str
    problem: str = field(repr=False)
    solution: str = field(repr=False)
