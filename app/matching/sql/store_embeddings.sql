-- Insert vectors of things whose text is still the one that was embedded.
insert into matchable_embedding (matchable_id, model_id, subject_type, audience, text_hash, embedding)
select m.id, CAST(:model_id AS smallint), m.subject_type, m.audience, m.text_hash, CAST(v.embedding AS halfvec)
from unnest(CAST(:ids AS uuid[]), CAST(:hashes AS text[]), CAST(:embeddings AS text[])) as v (id, text_hash, embedding)
join matchable m on m.id = v.id and m.text_hash = v.text_hash
on conflict (matchable_id, model_id) do update
set text_hash = excluded.text_hash, audience = excluded.audience, embedding = excluded.embedding
