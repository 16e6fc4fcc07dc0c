-- The similarity of a thing that only its words or signatures found.
(select 1 - (CAST(e.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})))
            from matchable_embedding e where e.matchable_id = f.id and e.model_id = {model_id})
