-- Nearest of the few things that the reader sees: each vector compared.
    select v.id, v.distance
    from (
        select m.id, CAST(e.embedding AS halfvec({dimensions})) <=> CAST(:embedding AS halfvec({dimensions})) as distance
        from matchable m
        join matchable_embedding e on e.matchable_id = m.id and e.model_id = {model_id}
        where {visible}
        offset 0
    ) v
    order by v.distance + 0, v.id
    limit :candidates
