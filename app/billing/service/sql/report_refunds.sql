-- Refunds by reason, month and currency. Those that failed are counted apart; of amounts only what went back.
select coalesce(q.reason, r.reason, 'unknown') as reason,
    to_char(date_trunc('month', r.created_at at time zone 'UTC'), 'YYYY-MM') as month,
    r.currency, r.exponent,
    count(*) filter (where r.status = 'succeeded') as refunds,
    count(*) filter (where r.status = 'pending') as pending,
    count(*) filter (where r.status in ('failed', 'canceled')) as failed,
    CAST(coalesce(sum(r.amount) filter (where r.status = 'succeeded'), 0) AS bigint) as amount
from refund r
left join refund_request q on q.refund_id = r.id
where r.created_at >= :since and r.created_at < :until
    and (CAST(:currency AS text) is null or r.currency = CAST(:currency AS text))
    and (CAST(:account_id AS uuid) is null or r.account_id = CAST(:account_id AS uuid))
group by 1, 2, 3, 4
order by 2, 3, 1
