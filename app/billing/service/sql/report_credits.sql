-- Credit given: grants by their kind, and the credit part of credit notes; what was voided is left out.
select given.kind, to_char(date_trunc('quarter', given.at at time zone 'UTC'), 'YYYY"-Q"Q') as quarter,
    given.currency, given.exponent, count(*) as credits, count(distinct given.account_id) as accounts,
    CAST(sum(given.amount) AS bigint) as amount
from (
    select kind, granted_at as at, currency, exponent, account_id, amount
    from credit_grant where voided_at is null
    union all
    select 'credit_note', issued_at, currency, exponent, account_id, credit_amount
    from credit_note where status = 'issued' and credit_amount > 0
) given
where given.at >= :since and given.at < :until
    and (CAST(:currency AS text) is null or given.currency = CAST(:currency AS text))
    and (CAST(:account_id AS uuid) is null or given.account_id = CAST(:account_id AS uuid))
group by 1, 2, 3, 4
order by 2, 3, 1
