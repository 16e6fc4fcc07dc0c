-- Insert or refresh things; unchanged ones are not written. One statement, so that the statistics change in one step.
insert into matchable as m (id, subject_type, title, body, signatures, audience, tsv, length, text_hash, created_at)
select r.id, r.subject_type, r.title, r.body, r.signatures, r.audience, v.tsv,
    coalesce((select sum(cardinality(u.positions)) from unnest(v.tsv) u), 0), r.text_hash, r.created_at
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r (
    id uuid, subject_type text, title text, body text, signatures text[], audience text[], lexical text,
    text_hash text, created_at timestamptz)
cross join lateral to_tsvector('tridesk', r.lexical) v (tsv)
order by r.id
on conflict (id) do update
set title = excluded.title, body = excluded.body, signatures = excluded.signatures, audience = excluded.audience,
    tsv = excluded.tsv, length = excluded.length, text_hash = excluded.text_hash, created_at = excluded.created_at
where m.subject_type = excluded.subject_type
    and (m.text_hash, m.signatures, m.audience, m.created_at, m.tsv)
        is distinct from (excluded.text_hash, excluded.signatures, excluded.audience, excluded.created_at, excluded.tsv)
