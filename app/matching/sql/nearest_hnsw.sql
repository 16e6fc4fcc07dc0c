-- Nearest by the model's HNSW index; the filter is inside the scan, which goes on until enough are found.
    -- Relaxed order comes slightly unsorted: "+ 0" sorts again instead of trusting it.
    select v.id, v.distance
    from (
        select m.matchable_id as id,
            CAST(m.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})) as distance
        from matchable_embedding m
        where m.model_id = {model_id}
            and {visible_embedding}
        order by CAST(m.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions}))
        limit :candidates
    ) v
    order by v.distance + 0, v.id
