-- Fold the appended differences of the BM25 statistics; readers see the same sums before and after.
with lexemes as (
    delete from lexeme_delta returning lexeme, df
),
folded as (
    insert into lexeme_statistic as s (lexeme, df)
    select lexeme, sum(df) from lexemes group by lexeme having sum(df) <> 0
    on conflict (lexeme) do update set df = s.df + excluded.df
),
corpus as (
    delete from corpus_delta returning chunks, length
)
insert into corpus_delta (chunks, length)
select sum(chunks), sum(length) from corpus having count(*) > 0
