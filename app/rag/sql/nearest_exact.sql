-- Nearest chunks by scanning every visible vector: exact, and cheap while there are some ten thousand.
    -- "offset 0" and "+ 0" keep the planner from taking the approximate index.
    select v.id, v.distance
    from (
        select e.chunk_id as id,
            CAST(e.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})) as distance
        from chunk_embedding e
        where e.model_id = {model_id}
            and {visible}
        offset 0
    ) v
    order by v.distance + 0, v.id
    limit :candidates
