-- What was embedded, or never can be, waits no longer, unless its text has changed meanwhile.
delete from matchable_pending p
using unnest(CAST(:ids AS uuid[]), CAST(:hashes AS text[])) as v (id, text_hash), matchable m
where p.matchable_id = v.id and m.id = v.id and m.text_hash = v.text_hash
