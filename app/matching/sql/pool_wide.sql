-- Many things are visible: those that hold one of the rarest words are scored.
    select m.id, m.tsv, m.length from matchable m
    where m.tsv @@ (select any_word from query)
        and {visible}
    limit CAST(:cap AS integer)
