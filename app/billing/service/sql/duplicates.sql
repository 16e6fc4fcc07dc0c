-- Succeeded payments of an account that are as large as the one before or after them within the window.
-- Newest first, :most at most.
with near as (
    select
        p.id,
        p.external_id,
        p.provider,
        p.currency,
        p.exponent,
        p.captured,
        p.refunded,
        p.lost,
        p.method,
        p.invoice_id,
        coalesce(p.paid_at, p.created_at) as paid_at,
        lag(coalesce(p.paid_at, p.created_at)) over same as before,
        lead(coalesce(p.paid_at, p.created_at)) over same as after
    from payment p
    where p.account_id = :account_id and p.status = 'succeeded' and p.captured > 0
    window same as (
        partition by p.currency, p.captured
        order by coalesce(p.paid_at, p.created_at), p.id
    )
)

select
    n.id as payment_id,
    n.external_id,
    n.currency,
    n.exponent,
    n.captured,
    n.refunded,
    n.lost,
    n.method,
    n.invoice_id,
    n.paid_at,
    i.number as invoice_number,
    i.subscription_id,
    l.period_start,
    l.period_end,
    exists (
        select 1 from dispute d
        where d.payment_id = n.id and d.status in ('needs_response', 'under_review')
    ) as disputed
from near n
left join invoice i on i.id = n.invoice_id
left join lateral (
    select min(line.period_start) as period_start, max(line.period_end) as period_end
    from invoice_line line
    where line.invoice_id = i.id
) l on true
where n.paid_at - n.before <= :span or n.after - n.paid_at <= :span
order by n.paid_at desc, n.id desc
limit :most
