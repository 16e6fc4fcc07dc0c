-- Few things are visible: each of them that holds a word of the question is scored.
    select m.id, m.tsv, m.length from matchable m
    where {visible}
        and m.tsv @@ (select any_word from query)
