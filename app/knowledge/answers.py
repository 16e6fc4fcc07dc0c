"""Desk to rag: solved cases in; passages and cited drafts out.

A draft takes three steps, so that no transaction is open while a model works::

    asked = await answers.understand(text)                            # models, no database
    async with database.session() as session:
        found = await answers.retrieve(session, asked, principal=agent, account_id=account)
    draft = await answers.write(found)                                # models, no database
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.knowledge.citations import Citation, Outcome
from app.knowledge.notes import PublishedNote, ResolutionNote
from app.knowledge.threads import Principal, Thread


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """An earlier message of the customer and what was answered; no internal note."""

    question: str = field(repr=False)
    answer: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A text made ready for searching: without card numbers, of a long one what tells most."""

    text: str = field(repr=False)
    standalone: str = field(repr=False)  # the text as it is understood without what went before
    embedding: Any = field(default=None, repr=False)  # None: the model is away, words must do
    history: tuple[Exchange, ...] = field(default=(), repr=False)


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found: `text` is `[start, end)` of that document version's stored text."""

    document_id: UUID
    version: int
    chunk_id: UUID
    title: str
    heading_path: list[str]
    text: str
    start: int
    end: int
    score: Annotated[float, Meta(description="Meaning and words together; more is better.")]
    subject_type: Annotated[
        str | None, Meta(description="Of the solved case that it tells; staff only.", examples=["ticket"])
    ] = None
    subject_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """What was found for a text, ready for writing. ``hints`` are for staff's eyes alone."""

    material: Any = field(repr=False)
    hints: tuple[Passage, ...] = ()


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to be looked over; `[n]` in the text is the n-th citation.

    `sources` were its evidence, and whoever it is addressed to may read them; `hints` staff alone may.
    """

    text: Annotated[str, Meta(description="Empty when it abstains.")]
    citations: list[Citation]
    outcome: Outcome
    reason: Annotated[
        str | None, Meta(description="Why it is not simply answered.", examples=["weak_evidence"])
    ]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    model: Annotated[str, Meta(description="`extractive` when the sentences are quoted from the sources.")]
    extractive: bool
    sources: list[Passage]
    hints: list[Passage]


class Answers(Protocol):
    """The documents and solved cases that a desk draws on; rag has it.

    Publishing, reviewing and withdrawing are part of the caller's transaction: what searches find changes
    with its commit.
    """

    async def publish(self, session: AsyncSession, note: ResolutionNote, *, actor: Principal) -> UUID:
        """Put a solved case into the index, for staff; returns the document's id.

        Again for the same case is an update: for staff, until it is reviewed once more. The same once more
        changes nothing. Found by its words with the commit, by its meaning some moments later. Errors:
        ``UnprocessableError`` for a note without a solution, ``UnavailableError`` while the server starts.
        """
        ...

    async def review(
        self,
        session: AsyncSession,
        thread: Thread,
        *,
        audience: str,
        actor: Principal,
        title: str | None = None,
        problem: str | None = None,
        solution: str | None = None,
    ) -> UUID:
        """Say who may read a note, with edits if any; returns the document's id.

        Errors: ``NotFoundError`` without a note, ``UnprocessableError`` for what is no audience.
        """
        ...

    async def withdraw(self, session: AsyncSession, thread: Thread, *, actor: Principal) -> bool:
        """Remove a case's note; whether there was one.

        No word of it is left: passages, vectors, what events told and what answers quoted go with it.
        """
        ...

    async def published(self, session: AsyncSession, thread: Thread) -> PublishedNote | None:
        """The note of a case, if the index has one."""
        ...

    async def understand(self, text: str, *, history: Sequence[Exchange] = ()) -> Asked:
        """Make a text ready: shorten, rewrite in the light of ``history`` (oldest first), embed."""
        ...

    async def passages(
        self,
        session: AsyncSession,
        asked: Asked,
        *,
        principal: Principal,
        exclude: Thread | None = None,
        collections: Sequence[UUID] | None = None,
        limit: int = 10,
        as_of: datetime | None = None,
    ) -> list[Passage]:
        """What the caller may read, best first; without the note of the case ``exclude``.

        ``as_of``: of the documents that were valid then, not now.
        """
        ...

    async def retrieve(
        self,
        session: AsyncSession,
        asked: Asked,
        *,
        principal: Principal,
        for_customer: bool = True,
        account_id: UUID | None = None,
        exclude: Thread | None = None,
        collections: Sequence[UUID] | None = None,
        limit: int = 5,
    ) -> Retrieved:
        """Evidence for a draft, and up to ``limit`` hints.

        A draft ``for_customer`` rests on what a customer of ``account_id`` may read (None: of no account);
        the hints are what staff may read beyond that. Else it rests on all that the caller may read.
        """
        ...

    async def write(self, retrieved: Retrieved) -> Draft:
        """The draft; nothing is stored. By the model, or quoted from the evidence without one."""
        ...
