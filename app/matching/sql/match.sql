-- Things like a text: exact-statistics BM25 over its strongest words, vectors and error signatures, fused by score.
with
corpus as materialized (
    select coalesce(sum(d.things), 0)::float8 as n,
        coalesce(sum(d.length), 0)::float8 / greatest(coalesce(sum(d.things), 0), 1) as mean_length
    from matchable_corpus_delta d
    where d.subject_type = any (CAST(:types AS text[]))
),
-- The text's lexemes with their document frequency as of this transaction: folded part plus later changes.
-- A word that the text repeats weighs more, as in a document, up to 2.2 times.
counted as materialized (
    select w.lexeme, 2.2 * w.tf / (w.tf + 1.2) as weight, f.df - CAST(:own AS integer) as df, f.postings
    from (
        select u.lexeme, cardinality(u.positions)::float8 as tf
        from unnest(to_tsvector('tridesk', CAST(:lexical AS text))) u
    ) w
    cross join lateral (
        select coalesce(sum(s.df) filter (where s.subject_type = any (CAST(:types AS text[]))), 0) as df,
            coalesce(sum(s.df), 0) as postings
        from (
            select s.subject_type, s.df from matchable_lexeme s where s.lexeme = w.lexeme
            union all
            select d.subject_type, d.df from matchable_lexeme_delta d where d.lexeme = w.lexeme
        ) s
    ) f
),
-- While somebody types, the last word is a beginning: words that begin so stand in for it.
begun as materialized (
    select b.lexeme, 1.0::float8 as weight, sum(b.df) as df, sum(b.df) as postings
    from (
        select s.lexeme, s.df from matchable_lexeme s
        where s.lexeme > CAST(:prefix AS text) collate "C" and s.lexeme < CAST(:prefix_end AS text) collate "C"
            and s.subject_type = any (CAST(:types AS text[]))
        union all
        select d.lexeme, d.df from matchable_lexeme_delta d
        where d.lexeme > CAST(:prefix AS text) collate "C" and d.lexeme < CAST(:prefix_end AS text) collate "C"
            and d.subject_type = any (CAST(:types AS text[]))
        limit 2000
    ) b
    where not exists (select from counted c where c.lexeme = b.lexeme)
    group by b.lexeme having sum(b.df) > 0
    order by sum(b.df) desc, b.lexeme
    limit 8
),
weighed as materialized (
    select c.lexeme, c.weight, c.df, c.postings, c.asked,
        ln(1 + (greatest(corpus.n - :own - c.df, 0) + 0.5) / (c.df + 0.5)) as idf
    from (
        select lexeme, weight, df, postings, not (
            df <= 0 and lexeme = CAST(:prefix AS text) and exists (select from begun)) as asked from counted
        union all
        select lexeme, weight, df, postings, false from begun
    ) c
    cross join corpus
),
ranked as materialized (
    select w.*, row_number() over (partition by w.df > 0 order by w.weight * w.idf desc, w.lexeme) as strength
    from weighed w
),
known as materialized (select * from ranked where df > 0 and strength <= :scored),
-- Full marks: of the strongest words, the unknown ones among them, but a log of thousands of those counts as some.
total as materialized (
    select greatest(sum(r.weight * r.idf), 1e-9) as weight
    from ranked r
    where r.asked and r.strength <= case when r.df > 0 then :scored else CAST(:scored AS integer) / 4 end
),
-- Candidates come from the rarest words; a word that half of the things hold finds nothing worth the reading.
chosen as materialized (
    select r.lexeme
    from (
        select k.lexeme, k.df, row_number() over rarest as rank, sum(k.postings) over rarest as postings
        from known k
        window rarest as (order by k.postings, k.lexeme)
    ) r, corpus
    where r.rank = 1 or (r.postings <= :budget and r.df <= corpus.n / 2)
),
quoted as materialized (
    select k.asked, k.lexeme in (select lexeme from chosen) as chosen,
        '''' || replace(replace(k.lexeme, '\', '\\'), '''', '''''') || '''' as word
    from known k
),
-- A list's search finds what holds all of the words, too, however frequent each of them is.
query as materialized (
    select CAST(concat_ws(' | ',
        string_agg(q.word, ' | ') filter (where q.chosen),
        case when CAST(:conjoin AS boolean) then '(' || string_agg(q.word, ' & ') filter (where q.asked) || ')' end
    ) AS tsquery) as any_word
    from quoted q
    having count(*) > 0
),
nearest as materialized (
    {nearest}
),
same as materialized (
    select m.id from matchable m
    where m.signatures && CAST(:signatures AS text[]) and m.signatures <> '{{}}'
        and {visible}
    order by m.created_at desc
    limit :candidates
),
found as materialized (
    {pool}
),
-- All of the strongest words score on every candidate, read once. Marking them drops the rest of the vector unread.
-- BM25 with k1 = 1.2, b = 0.75 (Robertson and Zaragoza 2009), idf floored above zero as Lucene does.
pool as (
    select id, tsv, length from found
    union all
    select m.id, m.tsv, m.length
    from (select id from nearest union select id from same) n
    join matchable m on m.id = n.id
    where not exists (select from found where found.id = n.id)
),
lexical as materialized (
    select p.id, sum(k.weight * k.idf * 2.2 * w.tf
            / (w.tf + 1.2 * (0.25 + 0.75 * p.length / greatest(corpus.mean_length, 1)))) as bm25,
        sum(k.weight * k.idf) as covered
    from pool p
    cross join corpus
    cross join lateral (
        select u.lexeme, cardinality(u.positions)::float8 as tf
        from unnest(ts_filter(setweight(p.tsv, 'A', (select array_agg(lexeme) from known)), '{{a}}')) u
    ) w
    join known k on k.lexeme = w.lexeme
    group by p.id
),
best as materialized (
    select l.id, row_number() over (order by l.bm25 desc, l.id) as rank
    from lexical l
    order by l.bm25 desc, l.id
    limit :candidates
),
nearest_ranked as materialized (
    select n.id, n.distance, row_number() over (order by n.distance, n.id) as rank from nearest n
),
-- How near things are that merely belong to the same corpus: the mean of the ranks 11 to 50, shrunk towards
-- what is usual, since there may be few of them.
background as materialized (
    select (coalesce(sum(1 - n.distance), 0) + 10 * 0.45) / (count(*) + 10) as cosine
    from nearest_ranked n
    where n.rank between 11 and 50
),
measured as materialized (
    select f.id, b.rank as rank_bm25, n.rank as rank_dense, coalesce(l.bm25, 0) as bm25,
        least(coalesce(l.bm25 / (2.2 * (select weight from total)), 0), 1) as share,
        least(coalesce(l.covered / (select weight from total), 0), 1) as coverage,
        coalesce(1 - n.distance, {cosine_of_finalist}) as cosine
    from (select id from best union select id from nearest union select id from same) f
    left join best b on b.id = f.id
    left join nearest_ranked n on n.id = f.id
    left join lexical l on l.id = f.id
)
-- A thing that has no vector yet is taken to be as near as the corpus is.
select m.id, m.subject_type, m.created_at, s.rank_bm25, s.rank_dense, s.bm25, s.share, s.coverage, s.cosine,
    background.cosine as background, x.signatures,
    coalesce(s.cosine, background.cosine) + CAST(:word_weight AS float8) * ln(1 + s.bm25)
        + CAST(:coverage_weight AS float8) * s.coverage
        + CAST(:signature_weight AS float8) * (cardinality(x.signatures) > 0)::integer as score,
    array(
        select k.lexeme from known k
        join unnest(ts_filter(setweight(m.tsv, 'A', (select array_agg(lexeme) from known)), '{{a}}')) u
            on u.lexeme = k.lexeme
        order by k.weight * k.idf desc, k.lexeme
        limit 8
    ) as terms
from measured s
join matchable m on m.id = s.id
cross join background
cross join lateral (
    select array(select unnest(m.signatures) intersect select unnest(CAST(:signatures AS text[])) order by 1)
) x (signatures)
where s.coverage >= CAST(:least_coverage AS float8) or s.cosine >= CAST(:least_cosine AS float8)
    or cardinality(x.signatures) > 0
order by score desc, m.id
limit :limit
