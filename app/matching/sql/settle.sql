-- After storing: vectors of former texts go, audiences follow, what has no vector of its text is queued for one.
with given as materialized (
    select g.id, g.subject_type as claimed_type, m.subject_type, m.text_hash, m.audience
    from unnest(CAST(:ids AS uuid[]), CAST(:types AS text[])) as g (id, subject_type)
    join matchable m on m.id = g.id
),
stale as (
    delete from matchable_embedding e using given g
    where e.matchable_id = g.id and e.text_hash <> g.text_hash
),
moved as (
    update matchable_embedding e set audience = g.audience from given g
    where e.matchable_id = g.id and e.text_hash = g.text_hash and e.audience is distinct from g.audience
),
queued as (
    insert into matchable_pending (matchable_id)
    select g.id from given g
    where not exists (
        select from matchable_embedding e where e.matchable_id = g.id and e.text_hash = g.text_hash)
    order by g.id
    on conflict (matchable_id) do update set queued_at = now(), claimed_at = null
    returning matchable_id
)
select (select count(*) from queued) as queued,
    (select count(*) from given where claimed_type <> subject_type) as strangers
