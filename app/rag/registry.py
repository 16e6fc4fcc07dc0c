"""Embedding models known to the database: each has an id that is a literal of its own HNSW index."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.exceptions import ConfigurationError
from app.rag.constants import HNSW_EF_CONSTRUCTION, HNSW_M, MAX_HNSW_DIMENSIONS
from app.rag.models import Chunk, ChunkEmbedding, EmbeddingModel


async def find_model(session: AsyncSession, name: str) -> EmbeddingModel | None:
    """The registered model of that name."""
    found: EmbeddingModel | None = await session.scalar(
        select(EmbeddingModel).where(EmbeddingModel.name == name)
    )
    return found


async def register_model(connection: AsyncConnection, *, name: str, dimensions: int) -> bool:
    """Register a model and make its index, as the tables' owner; whether stored chunks lack its vectors.

    They do after a change of model, and after a return to one that has missed documents since. Asked of the
    chunks themselves: a process that dies between registering and queueing leaves nothing undone.
    """
    if dimensions > MAX_HNSW_DIMENSIONS:
        raise ConfigurationError(
            f"{name} has {dimensions} dimensions; set EMBEDDING_DIMENSIONS to {MAX_HNSW_DIMENSIONS} or fewer"
        )
    statement = insert(EmbeddingModel).values(name=name, dimensions=dimensions).on_conflict_do_nothing()
    await connection.execute(statement)
    row = (await connection.execute(select(EmbeddingModel).where(EmbeddingModel.name == name))).one()
    if row.dimensions != dimensions:
        raise ConfigurationError(f"{name} is stored with {row.dimensions} dimensions, not {dimensions}")
    await connection.execute(
        text(
            f"create index if not exists ix_chunk_embedding_model_{int(row.id)} on chunk_embedding"
            f" using hnsw ((embedding::halfvec({int(dimensions)})) halfvec_cosine_ops)"
            f" with (m = {HNSW_M}, ef_construction = {HNSW_EF_CONSTRUCTION}) where model_id = {int(row.id)}"
        )
    )
    return bool(await connection.scalar(select(lacking_vectors(row.id).exists())))


def lacking_vectors(model_id: int) -> Select[UUID]:
    """Documents with a chunk that has no vector under the model; each as often as it has such chunks."""
    vector = select(ChunkEmbedding.chunk_id).where(
        ChunkEmbedding.chunk_id == Chunk.id, ChunkEmbedding.model_id == model_id
    )
    return select(Chunk.document_id).where(~vector.exists())
