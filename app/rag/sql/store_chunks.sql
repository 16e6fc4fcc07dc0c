-- Insert a document's new chunks; one statement, so that the BM25 statistics change in one step.
insert into chunk (document_id, version, collection_id, ordinal, heading_path, header, text,
    span_start, span_end, hash, tokens, tsv, length, audience, valid_from, valid_until)
select CAST(:document_id AS uuid), CAST(:version AS integer), CAST(:collection_id AS uuid), r.ordinal,
    r.heading_path, r.header, r.text, r.span_start, r.span_end, r.hash, r.tokens, v.tsv,
    coalesce((select sum(cardinality(u.positions)) from unnest(v.tsv) u), 0),
    CAST(:audience AS text[]), CAST(:valid_from AS timestamptz), CAST(:valid_until AS timestamptz)
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r (
    ordinal integer, heading_path text[], header text, text text, lexical_header text, lexical_text text,
    span_start integer, span_end integer, hash text, tokens integer)
cross join lateral (
    select setweight(to_tsvector('tridesk', r.lexical_header), 'B') || to_tsvector('tridesk', r.lexical_text)
) v (tsv)
returning id, ordinal
