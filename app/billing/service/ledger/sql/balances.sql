-- An account's books at a moment, a currency a row; :as_of null: now and whatever is dated ahead.
select e.currency, e.exponent,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'receivable'), 0) AS bigint) as owed,
    CAST(coalesce(-sum(e.amount) filter (where e.book = 'customer_credit'), 0) AS bigint) as credit,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'cash'), 0) AS bigint) as net_paid,
    CAST(coalesce(-sum(e.amount) filter (where e.book = 'receivable' and e.payment_id is not null), 0) AS bigint)
        as paid,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'refunds' and e.payment_id is not null), 0) AS bigint)
        as refunded,
    CAST(coalesce(-sum(e.amount) filter (where e.book = 'refunds_payable'), 0) AS bigint) as refunds_pending,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'disputes_held'), 0) AS bigint) as disputed,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'disputes_lost'), 0) AS bigint) as lost,
    CAST(coalesce(sum(e.amount) filter (where e.book = 'goodwill'), 0) AS bigint) as goodwill
from ledger_entry e
join ledger_transaction t on t.id = e.transaction_id
where e.account_id = :account_id
    and (CAST(:as_of AS timestamptz) is null or t.effective_at <= CAST(:as_of AS timestamptz))
group by e.currency, e.exponent
order by e.currency
