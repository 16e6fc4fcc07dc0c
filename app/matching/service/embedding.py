"""Vectors of things, in batches, by jobs and a sweep that leaves nothing behind."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database, is_database_away
from app.exceptions import UnavailableError, UnprocessableError
from app.jobs import enqueue
from app.knowledge import Embeds
from app.matching.cleaning import Cleaned
from app.matching.constants import BATCH, EMBED_JOB, LEASE_SECONDS
from app.matching.queries import query
from app.matching.service.indexing import fold_statistics
from app.matching.vectors import literal, mean

logger = logging.getLogger(__name__)

LOCK = text("select id from matchable where id = any (:ids) order by id for share")
UNCLAIM = text("update matchable_pending set claimed_at = null where matchable_id = any (:ids)")


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: UUID
    hash: str
    passages: list[str]


class Vectors:
    """Embeds what is pending with one model.

    A batch is claimed in one short transaction and stored in another: no lock is held while the model works.
    The batch of a worker that died is free after ``LEASE_SECONDS``; a text that changes meanwhile is queued
    again.
    """

    def __init__(self, database: Database, embeds: Embeds) -> None:
        self._database = database
        self._embeds = embeds

    async def handle(self, payload: bytes, attempts: int) -> None:
        """The job: one batch, and a job while there may be more. While the model is away the sweep tries."""
        try:
            done = await self.embed_batch()
        except UnavailableError as error:
            if is_database_away(error):
                raise
            logger.warning("things wait for their vectors: %s", error.code)
            return
        if done < BATCH:
            return
        async with self._database.session() as session:
            await enqueue(session, EMBED_JOB, {})

    async def sweep(self) -> int:
        """Embed all that is left, after a crash, an outage or a change of model; fold the statistics."""
        done = 0
        while batch := await self.embed_batch():
            done += batch
        async with self._database.session() as session:
            await fold_statistics(session)
        return done

    async def embed_batch(self) -> int:
        """Embed up to ``BATCH`` things; how many were taken. Lets them go again when the model is away."""
        async with self._database.session() as session:
            rows = await session.execute(query("claim"), {"lease": LEASE_SECONDS, "batch": BATCH})
            claimed = sorted(
                (_Claimed(row.id, row.text_hash, Cleaned(row.title, row.body).passages) for row in rows),
                key=lambda each: each.id,
            )
        if not claimed:
            return 0
        try:
            vectors = await self._vectors(claimed)
        except BaseException:
            async with self._database.session() as session:
                await session.execute(UNCLAIM, {"ids": [each.id for each in claimed]})
            raise
        async with self._database.session() as session:
            await self._store(session, claimed, vectors)
            await fold_statistics(session)
        return len(claimed)

    async def _vectors(self, claimed: Sequence[_Claimed]) -> dict[UUID, str]:
        """By id, in pgvector's text form; without the things whose text has no meaning to embed."""
        try:
            return await self._embed(claimed)
        except UnprocessableError as error:
            if len(claimed) == 1:
                logger.warning("%s stays without a vector: %s", claimed[0].id, error.code)
                return {}
        vectors: dict[UUID, str] = {}
        for each in claimed:  # one of them cannot be embedded: the others can
            vectors |= await self._vectors([each])
        return vectors

    async def _embed(self, claimed: Sequence[_Claimed]) -> dict[UUID, str]:
        passages = [passage for each in claimed for passage in each.passages]
        embedded = iter(await self._embeds.embed(passages) if passages else ())
        return {
            each.id: literal(mean([next(embedded) for _ in each.passages]))
            for each in claimed
            if each.passages
        }

    async def _store(
        self, session: AsyncSession, claimed: Sequence[_Claimed], vectors: dict[UUID, str]
    ) -> None:
        """Under a lock on each thing: a text that is being changed must not be given the old one's vector."""
        await session.execute(LOCK, {"ids": [each.id for each in claimed]})
        found = [each for each in claimed if each.id in vectors]
        await session.execute(
            query("store_embeddings"),
            {
                "model_id": self._embeds.model_id,
                "ids": [each.id for each in found],
                "hashes": [each.hash for each in found],
                "embeddings": [vectors[each.id] for each in found],
            },
        )
        await session.execute(
            query("release"),
            {"ids": [each.id for each in claimed], "hashes": [each.hash for each in claimed]},
        )
