-- What decides how to search: how many things of the kinds there are, and how many the reader sees, up to a cap.
select (
        select coalesce(sum(d.things), 0) from matchable_corpus_delta d
        where d.subject_type = any (CAST(:types AS text[]))
    )::float8 as things,
    case when CAST(:narrowed AS boolean) then (
        select count(*) from (
            select from matchable m
            where {visible}
            limit CAST(:cap AS integer)
        ) v
    ) end as visible
