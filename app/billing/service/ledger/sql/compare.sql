-- Where the desk's rows and the ledger's entries tell different stories: one row a difference.
-- What each row says is reckoned here anew, and not by the program that posts.
with said as (
    select 'invoice' as subject_type, i.id as subject_id, i.account_id, i.currency, b.book, b.amount
    from invoice i
    cross join lateral (
        select case
            when i.status = 'uncollectible' then greatest(0, i.total - i.paid - i.credit_applied - i.reduced)
            else 0
        end as bad
    ) w
    cross join lateral (
        values ('receivable', i.total - i.credit_applied - w.bad), ('revenue', -i.subtotal), ('tax', -i.tax),
            ('customer_credit', i.credit_applied), ('bad_debt', w.bad)
    ) b (book, amount)
    where i.status in ('open', 'paid', 'uncollectible')
    union all
    select 'payment', p.id, p.account_id, p.currency, b.book, b.amount
    from payment p
    cross join lateral (values ('cash', p.captured), ('receivable', -p.captured)) b (book, amount)
    where p.status = 'succeeded'
    union all
    select 'refund', r.id, r.account_id, r.currency, b.book, b.amount
    from refund r
    cross join lateral (
        values ('refunds', r.amount),
            (case when r.status = 'pending' then 'refunds_payable' else 'cash' end, -r.amount)
    ) b (book, amount)
    where r.status in ('pending', 'succeeded')
    union all
    select 'dispute', d.id, d.account_id, d.currency, b.book, b.amount
    from dispute d
    cross join lateral (
        values ('cash', -d.amount),
            (case when d.status = 'lost' then 'disputes_lost' else 'disputes_held' end, d.amount)
    ) b (book, amount)
    where d.status in ('needs_response', 'under_review', 'lost')
    union all
    select 'credit_note', n.id, n.account_id, n.currency, b.book, b.amount
    from credit_note n
    cross join lateral (
        values ('revenue', n.subtotal), ('tax', n.tax), ('receivable', -n.reduces),
            ('refunds', -n.refund_amount), ('customer_credit', -n.credit_amount),
            ('out_of_band', -n.out_of_band_amount)
    ) b (book, amount)
    where n.status = 'issued'
    union all
    select 'credit_grant', g.id, g.account_id, g.currency, b.book, b.amount
    from credit_grant g
    cross join lateral (values ('goodwill', g.amount), ('customer_credit', -g.amount)) b (book, amount)
    where g.voided_at is null
),
booked as (
    select t.subject_type, t.subject_id, e.account_id, e.currency, e.book, sum(e.amount) as amount
    from ledger_entry e
    join ledger_transaction t on t.id = e.transaction_id
    group by t.subject_type, t.subject_id, e.account_id, e.currency, e.book
    having sum(e.amount) <> 0
),
of_refunds as (
    select payment_id, sum(amount) as total
    from refund
    where status in ('pending', 'succeeded')
    group by payment_id
),
of_disputes as (
    select payment_id, sum(amount) as total from dispute where status = 'lost' group by payment_id
)
select 'booked' as violation, format('%s:%s', subject_type, subject_id) as thing,
    format('%s: %s by the row, %s by the ledger, %s', book, coalesce(s.amount, 0), coalesce(b.amount, 0), currency)
        as detail
from (select * from said where account_id is not null and amount <> 0) s
full join booked b using (subject_type, subject_id, account_id, currency, book)
where coalesce(s.amount, 0) <> coalesce(b.amount, 0)
union all
select 'refunded', p.id::text, format('%s on the payment, %s by its refunds', p.refunded, coalesce(r.total, 0))
from payment p
left join of_refunds r on r.payment_id = p.id
where p.refunded <> coalesce(r.total, 0)
union all
select 'lost', p.id::text, format('%s on the payment, %s by its disputes', p.lost, coalesce(d.total, 0))
from payment p
left join of_disputes d on d.payment_id = p.id
where p.lost <> coalesce(d.total, 0)
union all
select 'overdrawn', p.id::text, format('%s allowed, %s needed', p.overdrawn, p.refunded + p.lost - p.captured)
from payment p
where p.overdrawn <> 0 and p.overdrawn <> p.refunded + p.lost - p.captured
order by 1, 2, 3
