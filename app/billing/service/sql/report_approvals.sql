-- How long refund requests waited for a decision, a role and currency a row; by when they were decided.
select q.decided_role as role, q.currency, q.exponent,
    count(*) filter (where q.status <> 'rejected') as approved,
    count(*) filter (where q.status = 'rejected') as rejected,
    CAST(percentile_cont(0.5) within group (order by extract(epoch from q.decided_at - q.created_at))
        AS float8) as median_seconds,
    CAST(percentile_cont(0.9) within group (order by extract(epoch from q.decided_at - q.created_at))
        AS float8) as p90_seconds,
    CAST(coalesce(sum(q.amount) filter (where q.status <> 'rejected'), 0) AS bigint) as amount
from refund_request q
where q.decided_at >= :since and q.decided_at < :until and q.decided_role is not null
    and (CAST(:currency AS text) is null or q.currency = CAST(:currency AS text))
    and (CAST(:account_id AS uuid) is null or q.account_id = CAST(:account_id AS uuid))
group by 1, 2, 3
order by 1, 2
