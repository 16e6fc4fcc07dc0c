-- The similarity of a chunk that only its words found.
(select 1 - (CAST(e.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})))
            from chunk_embedding e where e.chunk_id = f.id and e.model_id = {model_id})
