-- Fold the appended differences of the BM25 statistics; readers see the same sums before and after.
with lexemes as (
    delete from matchable_lexeme_delta returning subject_type, lexeme, df
),
folded as (
    insert into matchable_lexeme as s (lexeme, subject_type, df)
    select lexeme, subject_type, sum(df) from lexemes group by lexeme, subject_type having sum(df) <> 0
    order by lexeme, subject_type
    on conflict (lexeme, subject_type) do update set df = s.df + excluded.df
),
corpus as (
    delete from matchable_corpus_delta returning subject_type, things, length
)
insert into matchable_corpus_delta (subject_type, things, length)
select subject_type, sum(things), sum(length) from corpus group by subject_type
having sum(things) <> 0 or sum(length) <> 0
