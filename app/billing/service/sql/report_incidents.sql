-- What known issues cost: refunds that went back, credit given, and invoices reduced, each linked to the issue
-- itself or through its case. The refund part of a credit note is its refund, and counted there.
with cost as (
    select coalesce(q.issue_id, c.issue_id) as issue_id, r.currency, r.exponent, r.account_id,
        r.amount as refunded, 0 as credited, 0 as reduced, r.created_at as at
    from refund r
    join refund_request q on q.refund_id = r.id
    left join billing_case c on c.id = q.case_id
    where r.status = 'succeeded'
    union all
    select coalesce(g.issue_id, c.issue_id), g.currency, g.exponent, g.account_id, 0, g.amount, 0, g.granted_at
    from credit_grant g
    left join billing_case c on c.id = g.case_id
    where g.voided_at is null
    union all
    select coalesce(n.issue_id, c.issue_id), n.currency, n.exponent, n.account_id, 0, n.credit_amount,
        n.reduces + n.out_of_band_amount, n.issued_at
    from credit_note n
    left join billing_case c on c.id = n.case_id
    where n.status = 'issued' and n.credit_amount + n.reduces + n.out_of_band_amount > 0
)
select issue_id, currency, exponent, count(distinct account_id) as accounts,
    CAST(sum(refunded) AS bigint) as refunded,
    CAST(sum(credited) AS bigint) as credited,
    CAST(sum(reduced) AS bigint) as reduced,
    CAST(sum(refunded + credited + reduced) AS bigint) as amount
from cost
where issue_id is not null and at >= :since and at < :until
    and (CAST(:currency AS text) is null or currency = CAST(:currency AS text))
    and (CAST(:account_id AS uuid) is null or account_id = CAST(:account_id AS uuid))
group by 1, 2, 3
order by amount desc, 1, 2
