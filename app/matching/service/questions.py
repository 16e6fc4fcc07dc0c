"""What is compared with the index: words, vector and error signatures of a text or of a stored thing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.exceptions import TrideskError
from app.knowledge import Embeds
from app.matching.cleaning import UNREADABLE, Cleaned, clean
from app.matching.constants import QUERY_MAX, QUERY_SECONDS
from app.matching.queries import query
from app.matching.vectors import literal, mean
from app.matching.words import last_word
from app.redaction import redact

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Words as they were spelled and as the index takes them; the vector in pgvector's form, if there is one.

    ``prefix``: the word at the end, which may be a beginning. ``own``: the text is one of the corpus, whose
    statistics count it.
    """

    words: str
    lexical: str
    vector: str | None
    signatures: Sequence[str] = ()
    prefix: str = ""
    own: bool = False


async def of_text(embeds: Embeds, title: str, body: str) -> Question:
    """A text that somebody writes or has written."""
    cleaned = clean(title, body)
    return Question(
        words=f"{cleaned.title} {cleaned.body}",
        lexical=cleaned.lexical,
        vector=await _vector(embeds, cleaned),
    )


async def of_words(embeds: Embeds, q: str) -> Question | None:
    """What is typed into a list's search; None when that is nothing."""
    words = redact(UNREADABLE.sub(" ", q[:QUERY_MAX]))
    cleaned = Cleaned("", words.strip())
    if not cleaned.body:
        return None
    return Question(
        words=cleaned.body,
        lexical=cleaned.lexical,
        vector=await _vector(embeds, cleaned),
        prefix=last_word(words) or "",
    )


async def of_subject(session: AsyncSession, embeds: Embeds, subject: Subject) -> Question | None:
    """A thing in the index, or None. One that waits for its vector is embedded as a text would be."""
    found = await session.execute(
        query("subject"), {"id": subject.id, "type": subject.type, "model_id": embeds.model_id}
    )
    row = found.one_or_none()
    if row is None:
        return None
    cleaned = Cleaned(row.title, row.body)
    return Question(
        words=f"{row.title} {row.body}",
        lexical=cleaned.lexical,
        vector=row.embedding or await _vector(embeds, cleaned),
        signatures=row.signatures,
        own=True,
    )


async def _vector(embeds: Embeds, cleaned: Cleaned) -> str | None:
    if not cleaned.passages:
        return None
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            parts = await asyncio.gather(*map(embeds.embed_query, cleaned.passages))
    except (TrideskError, TimeoutError) as error:
        logger.warning("compared by words alone: %s", getattr(error, "code", "the model is too slow"))
        return None
    return literal(mean(parts))
