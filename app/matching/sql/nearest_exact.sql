-- Nearest by scanning every vector of the kinds: exact, and cheap while there are some ten thousand.
    -- "offset 0" and "+ 0" keep the planner from taking the approximate index.
    select v.id, v.distance
    from (
        select m.matchable_id as id,
            CAST(m.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})) as distance
        from matchable_embedding m
        where m.model_id = {model_id}
            and {visible_embedding}
        offset 0
    ) v
    order by v.distance + 0, v.id
    limit :candidates
