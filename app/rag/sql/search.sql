-- Hybrid search in one statement: exact-statistics BM25 and vectors over the chunks a reader may see, fused by score.
with
-- The question's lexemes with their document frequency as of this transaction: folded part plus later changes.
corpus as materialized (
    select coalesce(sum(d.chunks), 0)::float8 as n,
        coalesce(sum(d.length), 0)::float8 / greatest(coalesce(sum(d.chunks), 0), 1) as mean_length
    from corpus_delta d
),
terms as materialized (
    select w.lexeme, f.df, ln(1 + (corpus.n - f.df + 0.5) / (f.df + 0.5)) as idf
    from unnest(to_tsvector('tridesk', CAST(:lexical AS text))) w
    left join lexeme_statistic s on s.lexeme = w.lexeme
    cross join lateral (
        select coalesce(s.df, 0) + coalesce((select sum(d.df) from lexeme_delta d where d.lexeme = w.lexeme), 0)
    ) f (df)
    cross join corpus
),
known as materialized (select * from terms where df > 0),
-- Candidates come from the rarest words; a word that half of the chunks hold finds nothing worth the reading.
chosen as materialized (
    select r.lexeme
    from (
        select k.lexeme, k.df, row_number() over rarest as rank, sum(k.df) over rarest as postings
        from known k
        window rarest as (order by k.df, k.lexeme)
    ) r, corpus
    where r.rank = 1 or (r.rank <= :max_terms and r.postings <= :budget and r.df <= corpus.n / 2)
),
query as materialized (
    select CAST(string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ') AS tsquery) as any_word
    from chosen
),
nearest as materialized (
    {nearest}
),
-- All words score on every candidate, read once. Marking the query's lexemes drops the rest of the vector unread.
-- BM25 with k1 = 1.2, b = 0.75 (Robertson and Zaragoza 2009), idf floored above zero as Lucene does.
pool as (
    select c.id, c.tsv, c.length
    from chunk c
    where c.tsv @@ (select any_word from query)
        and {visible_chunk}
    union all
    select c.id, c.tsv, c.length
    from nearest n
    join chunk c on c.id = n.id
    where not coalesce(c.tsv @@ (select any_word from query), false)
),
lexical as materialized (
    select p.id,
        sum(k.idf * 2.2 * w.tf / (w.tf + 1.2 * (0.25 + 0.75 * p.length / greatest(corpus.mean_length, 1)))) as bm25,
        sum(k.idf) as covered_idf
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
scored as materialized (
    select f.id, b.rank as rank_bm25, n.rank as rank_dense,
        coalesce(l.bm25, 0) as bm25,
        coalesce(l.bm25 / (2.2 * (select sum(idf) from terms)), 0) as share,
        coalesce(l.covered_idf / (select sum(idf) from terms), 0) as coverage,
        coalesce(1 - n.distance, {cosine_of_finalist}, 0) as cosine
    from (select id from best union select id from nearest) f
    left join best b on b.id = f.id
    left join nearest_ranked n on n.id = f.id
    left join lexical l on l.id = f.id
)
select c.id, c.document_id, c.version, c.collection_id, c.ordinal, c.heading_path, c.header, c.text,
    c.span_start, c.span_end, c.hash, c.tokens,
    d.title, d.updated_at, d.source, d.product, d.product_version,
    s.rank_bm25, s.rank_dense, s.bm25, s.share, s.coverage, s.cosine,
    -- Words count as much as they explain the question: their weight is how far the best word match comes towards
    -- full marks, against how near the best vector comes. Manuals and codes lean on words, paraphrases on meaning.
    s.cosine + 2 * power(least(max(s.share) over () / greatest(max(s.cosine) over (), 0.05), 2), 2) * s.share as score,
    (select n from corpus) as corpus_chunks
from scored s
join chunk c on c.id = s.id
join document d on d.id = c.document_id
order by score desc, c.id
limit :limit
