-- What the ledger's own two tables prove: one row a violation, none when all holds. Nothing else is read.
-- excess, of a payment of which more went back than came in: how much more, in minor units.
with reversed as (
    select r.id as reversal_id, r.key, r.subject_type, r.subject_id, r.account_id, r.effective_at, t.id,
        t.reverses_id as of_reversal, t.subject_type as its_type, t.subject_id as its_id,
        t.account_id as its_account_id, t.effective_at as its_effective_at
    from ledger_transaction r
    join ledger_transaction t on t.id = r.reverses_id
),
unbalanced as (
    select 'unbalanced' as violation, t.key as thing, format('%s %s', sum(e.amount), e.currency) as detail
    from ledger_entry e
    join ledger_transaction t on t.id = e.transaction_id
    group by t.id, t.key, e.currency
    having sum(e.amount) <> 0
),
empty as (
    select 'empty', t.key, 'a transaction without entries'
    from ledger_transaction t
    where not exists (select from ledger_entry where transaction_id = t.id)
),
orphan as (
    select 'orphan', e.id::text, 'an entry without its transaction'
    from ledger_entry e
    where not exists (select from ledger_transaction where id = e.transaction_id)
),
stray as (
    select 'stray_entry', e.id::text, format('an entry of another account than %s', t.key)
    from ledger_entry e
    join ledger_transaction t on t.id = e.transaction_id
    where e.account_id is distinct from t.account_id
),
unknown_book as (
    select 'unknown_book', e.id::text, e.book
    from ledger_entry e
    where e.book <> all (CAST(:books AS text[]))
),
mixed as (
    select 'mixed_exponents', currency, format('%s and %s', min(exponent), max(exponent))
    from ledger_entry
    group by currency
    having min(exponent) <> max(exponent)
),
trial as (
    select 'trial_balance', currency, format('all books together: %s', sum(amount))
    from ledger_entry
    group by currency
    having sum(amount) <> 0
),
inexact as (
    select 'inexact_reversal', r.key, format('%s: %s %s is left', e.book, sum(e.amount), e.currency)
    from reversed r
    join ledger_entry e on e.transaction_id in (r.id, r.reversal_id)
    group by r.reversal_id, r.key, e.book, e.account_id, e.payment_id, e.currency
    having sum(e.amount) <> 0
),
misplaced as (
    select 'misplaced_reversal', key, 'about another thing, or before what it reverses'
    from reversed
    where (subject_type, subject_id) <> (its_type, its_id)
        or account_id is distinct from its_account_id or effective_at < its_effective_at
),
chained as (
    select 'reversed_reversal', key, 'the reversal of a reversal' from reversed where of_reversal is not null
),
dangling as (
    select 'dangling_reversal', r.key, 'a reversal of nothing'
    from ledger_transaction r
    where r.reverses_id is not null
        and not exists (select from ledger_transaction where id = r.reverses_id)
),
reversed_twice as (
    select 'reversed_twice', reverses_id::text, format('%s times', count(*))
    from ledger_transaction
    where reverses_id is not null
    group by reverses_id
    having count(*) > 1
),
posted_twice as (
    select 'posted_twice', format('%s:%s', t.subject_type, t.subject_id),
        format('%s stands %s times', t.kind, count(*))
    from ledger_transaction t
    where t.reverses_id is null
        and not exists (select from ledger_transaction where reverses_id = t.id)
    group by t.subject_type, t.subject_id, t.kind
    having count(*) > 1
),
of_payment as (
    select payment_id, currency,
        coalesce(sum(amount) filter (where book = 'refunds'), 0) as refunded,
        coalesce(-sum(amount) filter (where book = 'receivable'), 0) as captured,
        coalesce(sum(amount) filter (where book = 'disputes_lost'), 0) as lost,
        coalesce(-sum(amount) filter (where book = 'refunds_payable'), 0) as reserved,
        coalesce(sum(amount) filter (where book = 'disputes_held'), 0) as held
    from ledger_entry
    where payment_id is not null
    group by payment_id, currency
),
exceeded as (
    select 'refund_limit', payment_id::text,
        format('%s refunded and %s lost of %s captured, %s', refunded, lost, captured, currency),
        refunded + lost - captured
    from of_payment
    where refunded + lost > captured
),
overpaid as (
    select 'negative_book', payment_id::text,
        format('refunded %s, reserved %s, held %s, lost %s, %s', refunded, reserved, held, lost, currency)
    from of_payment
    where least(refunded, reserved, held, lost) < 0 or reserved > refunded
)
select *, CAST(null AS bigint) as excess from unbalanced
union all select *, null from empty
union all select *, null from orphan
union all select *, null from stray
union all select *, null from unknown_book
union all select *, null from mixed
union all select *, null from trial
union all select *, null from inexact
union all select *, null from misplaced
union all select *, null from chained
union all select *, null from dangling
union all select *, null from reversed_twice
union all select *, null from posted_twice
union all select * from exceeded
union all select *, null from overpaid
order by 1, 2, 3
