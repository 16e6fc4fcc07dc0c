-- The times that clocks ran which were met in a period, with the groups of their tickets.
select k.kind, {keys} as keys, CAST(k.spans AS text) as spans
from sla_clock k
join ticket t on t.id = k.subject_id
where k.subject_type = 'ticket'
    and k.kind in ('first_response', 'resolution')
    and k.state = 'met'
    and k.calendar_id is not null
    and k.ended_at >= CAST(:start AS timestamptz)
    and k.ended_at < CAST(:finish AS timestamptz)
    and t.status <> 'merged'
