-- Disputes by reason, by when they were opened. The win rate is of those that were decided.
select coalesce(d.reason, 'unknown') as reason, d.currency, d.exponent,
    count(*) as disputes,
    count(*) filter (where d.status = 'won') as won,
    count(*) filter (where d.status = 'lost') as lost,
    count(*) filter (where d.status in ('needs_response', 'under_review', 'warning_needs_response',
        'warning_under_review')) as open,
    CAST(coalesce(sum(d.amount), 0) AS bigint) as amount,
    CAST(coalesce(sum(d.amount) filter (where d.status = 'lost'), 0) AS bigint) as amount_lost,
    CAST(CAST(count(*) filter (where d.status = 'won') AS float8)
        / nullif(count(*) filter (where d.status in ('won', 'lost')), 0) AS float8) as win_rate
from dispute d
where coalesce(d.opened_at, d.created_at) >= :since and coalesce(d.opened_at, d.created_at) < :until
    and (CAST(:currency AS text) is null or d.currency = CAST(:currency AS text))
    and (CAST(:account_id AS uuid) is null or d.account_id = CAST(:account_id AS uuid))
group by 1, 2, 3
order by 1, 2
