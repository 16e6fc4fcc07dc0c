"""Each embedding model's HNSW index over the desks' things, made by the table's owner."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.matching.constants import HNSW_EF_CONSTRUCTION, HNSW_M

QUEUE_LACKING = text("""
insert into matchable_pending (matchable_id)
select m.id from matchable m
where not exists (
    select from matchable_embedding e
    where e.matchable_id = m.id and e.model_id = :model_id and e.text_hash = m.text_hash)
order by m.id
on conflict (matchable_id) do nothing
""")


async def prepare_vectors(connection: AsyncConnection, *, model: str) -> int:
    """Make the registered model's index and queue the things that it has no vector of; how many they are.

    They are all there are after a change of model; the sweep embeds them.
    """
    row = (
        await connection.execute(
            text("select id, dimensions from embedding_model where name = :name"), {"name": model}
        )
    ).one()
    await connection.execute(
        text(
            f"create index if not exists ix_matchable_embedding_model_{int(row.id)} on matchable_embedding"
            f" using hnsw ((embedding::halfvec({int(row.dimensions)})) halfvec_cosine_ops)"
            f" with (m = {HNSW_M}, ef_construction = {HNSW_EF_CONSTRUCTION}) where model_id = {int(row.id)}"
        )
    )
    return (await connection.execute(QUEUE_LACKING, {"model_id": row.id})).rowcount
