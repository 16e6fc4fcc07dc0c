-- Clocks whose outcome fell into a period, and how many of them had missed their deadline, by group and kind.
select g.is_total,
    g.key,
    k.kind,
    count(*) as decided,
    count(*) filter (where k.breached_at is not null) as breached
from sla_clock k
join ticket t on t.id = k.subject_id
cross join lateral (
    select true as is_total, CAST(null AS text) as key
    union all
    select false, unnest({keys})
) g
where k.subject_type = 'ticket'
    and k.kind in ('first_response', 'next_reply', 'resolution')
    and t.status <> 'merged'
    and (
        k.breached_at >= CAST(:start AS timestamptz) and k.breached_at < CAST(:finish AS timestamptz)
        or k.breached_at is null and k.state = 'met' and k.target_seconds is not null
            and k.ended_at >= CAST(:start AS timestamptz) and k.ended_at < CAST(:finish AS timestamptz)
    )
group by g.is_total, g.key, k.kind
