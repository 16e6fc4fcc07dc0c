-- Insert the vectors of chunks under one model.
insert into chunk_embedding (chunk_id, model_id, collection_id, audience, valid_from, valid_until, embedding)
select v.id, CAST(:model_id AS smallint), c.collection_id, c.audience, c.valid_from, c.valid_until, CAST(v.embedding AS halfvec)
from unnest(CAST(:ids AS uuid[]), CAST(:embeddings AS text[])) as v (id, embedding)
join chunk c on c.id = v.id
on conflict (chunk_id, model_id) do nothing
