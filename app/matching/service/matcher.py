"""What is like a text or a thing, and what a list's search means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.knowledge import Embeds
from app.matching.cleaning import signature_list
from app.matching.constants import LIMIT_MAX
from app.matching.schemas import Match
from app.matching.service.comparing import SEARCH, SIMILAR, Scope, compare
from app.matching.service.questions import of_subject, of_text, of_words


class Matcher:
    """Compares texts and things with one embedding model."""

    def __init__(self, embeds: Embeds) -> None:
        self._embeds = embeds

    async def similar(
        self,
        session: AsyncSession,
        *,
        types: Collection[str],
        audiences: Collection[str],
        subject: Subject | None = None,
        title: str = "",
        body: str = "",
        signatures: Sequence[str] = (),
        exclude: Collection[UUID] = (),
        within: Select[tuple[UUID]] | None = None,
        limit: int = 10,
    ) -> list[Match]:
        """Things of these kinds that are like a text, or like ``subject``, best first.

        ``subject`` must be in the index (else nothing is like it); its text, vector and signatures are the
        stored ones, and it does not find itself. A short text may be given as the title or as the body alone.
        ``audiences``: the reader's tokens. ``within``: a statement of the ids to keep to. When the model does
        not answer within three seconds, by words and signatures alone: every cosine is None then.
        """
        if subject is None:
            question = await of_text(self._embeds, title, body)
        else:
            stored = await of_subject(session, self._embeds, subject)
            if stored is None:
                return []
            question = replace(stored, own=subject.type in types)
            exclude = [*exclude, subject.id]
        question = replace(question, signatures=signature_list([*question.signatures, *signatures]))
        scope = Scope(types=sorted(types), audiences=sorted(audiences), exclude=list(exclude), within=within)
        return await compare(session, self._embeds, question, scope=scope, scoring=SIMILAR, limit=limit)

    async def search(
        self,
        session: AsyncSession,
        q: str,
        *,
        types: Collection[str],
        audiences: Collection[str],
        exclude: Collection[UUID] = (),
        within: Select[tuple[UUID]] | None = None,
        limit: int = LIMIT_MAX,
    ) -> list[Match]:
        """What a list's search finds, best first: things with all of the words, with most, of like meaning.

        The last word may be the beginning of one. ``within``: the list's other filters, as a statement of
        the ids that they leave.
        """
        question = await of_words(self._embeds, q)
        if question is None:
            return []
        scope = Scope(types=sorted(types), audiences=sorted(audiences), exclude=list(exclude), within=within)
        return await compare(session, self._embeds, question, scope=scope, scoring=SEARCH, limit=limit)
