"""Embedding models known to the database: each has an id that is a literal of its own HNSW index."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.exceptions import ConfigurationError
from app.rag.constants import HNSW_EF_CONSTRUCTION, HNSW_M, MAX_HNSW_DIMENSIONS
from app.rag.models import EmbeddingModel


async def find_model(session: AsyncSession, name: str) -> EmbeddingModel | None:
    """The registered model of that name."""
    found: EmbeddingModel | None = await session.scalar(select(EmbeddingModel).where(EmbeddingModel.name == name))
    return found


async def register_model(connection: AsyncConnection, *, name: str, dimensions: int) -> bool:
    """Register a model and make its index, as the tables' owner; whether it is a new one beside others."""
    if dimensions > MAX_HNSW_DIMENSIONS:
        raise ConfigurationError(
            f"{name} has {dimensions} dimensions; set EMBEDDING_DIMENSIONS to {MAX_HNSW_DIMENSIONS} or fewer"
        )
    others = await connection.scalar(select(EmbeddingModel.id).where(EmbeddingModel.name != name).limit(1))
    statement = insert(EmbeddingModel).values(name=name, dimensions=dimensions).on_conflict_do_nothing()
    fresh = await connection.scalar(statement.returning(EmbeddingModel.id))
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
    return fresh is not None and others is not None
