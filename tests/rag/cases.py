"""Solved cases for tests: each about a word of its own, so that tests find their own notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from app.database import Database
from app.events import Subject
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.knowledge import PublishedNote, ResolutionNote
from app.rag.desk import DeskAnswers
from app.rag.models import Document
from tests.rag.library import Library

AGENT = Principal(
    kind=PrincipalKind.api_key, role=Role.agent, person_id=None, account_id=None, name="agent", key_id=uuid4()
)


@dataclass
class Case:
    """A desk's case and its note."""

    database: Database
    answers: DeskAnswers
    word: str  # nobody else's
    actor: Principal = SYSTEM
    thread: Subject = field(default_factory=lambda: Subject("ticket", uuid4()))

    def note(self, **changes: Any) -> ResolutionNote:
        fields: dict[str, Any] = {
            "thread": self.thread,
            "number": "TEC-42",
            "title": f"Export of the {self.word} report fails with error 504",
            "problem": f"The export of the {self.word} report stops after a minute. It says error 504.",
            "solution": f"Set the timeout of the {self.word} proxy to 120 seconds. Then start it again.",
        }
        return ResolutionNote(**fields | changes)

    @property
    def question(self) -> str:
        return f"Why does the export of the {self.word} report fail with error 504?"

    async def publish(self, **changes: Any) -> UUID:
        async with self.database.session() as session:
            return await self.answers.publish(session, self.note(**changes), actor=self.actor)

    async def review(self, audience: str = "customers", **edits: str) -> UUID:
        async with self.database.session() as session:
            return await self.answers.review(
                session, self.thread, audience=audience, actor=self.actor, **edits
            )

    async def withdraw(self) -> bool:
        async with self.database.session() as session:
            return await self.answers.withdraw(session, self.thread, actor=self.actor)

    async def published(self) -> PublishedNote | None:
        async with self.database.session() as session:
            return await self.answers.published(session, self.thread)

    async def ready(self, library: Library) -> Document:
        """The note after its job has run."""
        note = await self.published()
        assert note is not None
        document = await library.read(note.document_id)
        await library.rag.ingestor.ingest(document.id, document.latest_version)
        return await library.read(document.id)
