-- Take the things that have waited longest for their vector; nobody else gets them for the time of a lease.
with taken as (
    update matchable_pending p set claimed_at = now()
    where p.matchable_id in (
        select q.matchable_id from matchable_pending q
        where q.claimed_at is null or q.claimed_at < now() - make_interval(secs => CAST(:lease AS float8))
        order by q.queued_at
        limit CAST(:batch AS integer)
        for update skip locked
    )
    returning p.matchable_id
)
select m.id, m.title, m.body, m.text_hash from taken t join matchable m on m.id = t.matchable_id
