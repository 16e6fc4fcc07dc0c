"""Taking things into the index and out again, in the transaction of the change that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from math import ceil
from typing import Any

import msgspec
from sqlalchemy import Delete, Update, delete, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.exceptions import ConflictError
from app.jobs import enqueue_all
from app.matching.cleaning import clean, signature_list
from app.matching.constants import (
    AUDIENCE_MAX,
    BATCH,
    EMBED_JOB,
    FOLD_AFTER,
    JOBS_AT_ONCE,
    STORE_SLICE,
)
from app.matching.models import Matchable, MatchableEmbedding
from app.matching.queries import query
from app.matching.schemas import Entry

FOLD_LOCK = 0x7472_6964_0002


async def index(
    session: AsyncSession,
    subject: Subject,
    *,
    title: str,
    body: str,
    audience: Sequence[str],
    created_at: datetime,
    signatures: Sequence[str] = (),
) -> None:
    """Make the thing findable, or what is found of it current; see :class:`Entry`.

    By its words in this commit, by meaning a moment later: its vector is a job's, and none is made when the
    text is the one that has one. A text's former vector goes in this commit. ``ConflictError`` when another
    kind of thing has this id.
    """
    entry = Entry(
        subject=subject,
        title=title,
        body=body,
        audience=audience,
        created_at=created_at,
        signatures=signatures,
    )
    await index_many(session, [entry])


async def index_many(session: AsyncSession, entries: Iterable[Entry]) -> int:
    """The same for many, some thousand a second; of entries with one id the last counts. How many there were.

    A slice of ``STORE_SLICE`` locks its rows in the order of their ids; two imports of the same things run
    beside each other when both come in that order.
    """
    count = queued = 0
    waiting = iter(entries)
    while part := {entry.subject.id: entry for entry in islice(waiting, STORE_SLICE)}:
        queued += await _store(session, list(part.values()))
        count += len(part)
    await enqueue_all(session, EMBED_JOB, [{}] * min(ceil(queued / BATCH), JOBS_AT_ONCE))
    return count


async def remove(session: AsyncSession, *subjects: Subject) -> int:
    """Take things out: text, vectors, statistics. How many were there; unknown ones are no error."""
    return await _changed(
        session,
        delete(Matchable).where(
            Matchable.id.in_([each.id for each in subjects]),
            Matchable.subject_type.in_({each.type for each in subjects}),
        ),
    )


async def set_audience(session: AsyncSession, subject: Subject, audience: Sequence[str]) -> None:
    """Change who finds the thing; nothing is embedded. An unknown one is no error."""
    tokens = _tokens(audience)
    mine = (Matchable.id == subject.id, Matchable.subject_type == subject.type)
    if await _changed(session, update(Matchable).where(*mine).values(audience=tokens)):
        await session.execute(
            update(MatchableEmbedding)
            .where(MatchableEmbedding.matchable_id == subject.id)
            .values(audience=tokens)
        )


async def fold_statistics(session: AsyncSession, *, least: int = FOLD_AFTER) -> bool:
    """Fold the appended BM25 differences once there are ``least``; whoever comes second leaves it."""
    appended = await session.scalar(text("select coalesce(max(id) - min(id), 0) from matchable_lexeme_delta"))
    if (appended or 0) < least:
        return False
    if not await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": FOLD_LOCK}):
        return False
    await session.execute(query("fold_statistics"))
    return True


async def forget_words(session: AsyncSession) -> None:
    """Leave no word in the statistics that nothing contains any more: it may have been somebody's name.

    For an erasure, after what it removes. Waits for a fold under way.
    """
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": FOLD_LOCK})
    await session.execute(query("fold_statistics"))
    await session.execute(text("delete from matchable_lexeme where df = 0"))


async def _store(session: AsyncSession, entries: list[Entry]) -> int:
    """One slice; how many of it wait for a vector."""
    rows = msgspec.json.encode([_row(each) for each in entries]).decode()
    await session.execute(query("store"), {"rows": rows})
    settled = (
        await session.execute(
            query("settle"),
            {
                "ids": [each.subject.id for each in entries],
                "types": [each.subject.type for each in entries],
            },
        )
    ).one()
    if settled.strangers:
        raise ConflictError("A thing of another kind has this id.")
    return int(settled.queued)


def _row(entry: Entry) -> dict[str, Any]:
    cleaned = clean(entry.title, entry.body)
    return {
        "id": entry.subject.id,
        "subject_type": entry.subject.type,
        "title": cleaned.title,
        "body": cleaned.body,
        "signatures": signature_list(entry.signatures),
        "audience": _tokens(entry.audience),
        "lexical": cleaned.lexical,
        "text_hash": cleaned.hash,
        "created_at": entry.created_at,
    }


def _tokens(audience: Sequence[str]) -> list[str]:
    tokens = sorted(set(audience))
    if len(tokens) > AUDIENCE_MAX:
        raise ValueError(f"an audience of {len(tokens)} tokens; at most {AUDIENCE_MAX}")
    return tokens


async def _changed(session: AsyncSession, statement: Delete | Update) -> int:
    return len((await session.scalars(statement.returning(Matchable.id))).all())
