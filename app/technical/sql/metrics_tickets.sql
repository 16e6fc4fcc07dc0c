-- What became of tickets in a period: one row a group, and one of all of them together.
with counted as (
    select t.status,
        {keys} as keys,
        t.created_at >= p.start and t.created_at < p.finish as created,
        t.first_solved_at >= p.start and t.first_solved_at < p.finish as solved,
        t.closed_at >= p.start and t.closed_at < p.finish as closed,
        t.reopens > 0 as was_reopened,
        reopened.times as reopened,
        said.replies,
        -- Merged ones are left out, so a solve is all that ends a ticket. What was never reopened stands where
        -- its first solve left it; where the others stood their events tell.
        t.created_at < p.finish and case
            when t.status_changed_at < p.finish then t.status not in ('solved', 'closed')
            when t.first_solved_at is null or t.first_solved_at >= p.finish then true
            when t.reopens = 0 then false
            else coalesce(earlier.status not in ('solved', 'closed'), false)
        end as unfinished,
        r.score
    from ticket t
    cross join (
        select CAST(:start AS timestamptz) as start, CAST(:finish AS timestamptz) as finish
    ) p
    left join ticket_rating r on r.ticket_id = t.id and r.solved_at >= p.start and r.solved_at < p.finish
    left join lateral (
        select count(*) as times
        from event e
        where t.reopens > 0 and e.subject_type = 'ticket' and e.subject_id = t.id
            and e.before -> 'reopens' is not null
            and CAST(e.after ->> 'status_changed_at' AS timestamptz) >= p.start
            and CAST(e.after ->> 'status_changed_at' AS timestamptz) < p.finish
    ) reopened on true
    left join lateral (
        select e.after ->> 'status' as status
        from event e
        where t.reopens > 0 and t.status_changed_at >= p.finish and t.first_solved_at < p.finish
            and e.subject_type = 'ticket' and e.subject_id = t.id
            and e.type <> 'ticket.merged' and e.after -> 'status' is not null
            and CAST(e.after ->> 'status_changed_at' AS timestamptz) < p.finish
        order by e.transaction desc, e.number desc
        limit 1
    ) earlier on true
    left join lateral (
        select count(*) as replies
        from (
            select 1
            from conversation c
            join message m on m.conversation_id = c.id
            where t.first_solved_at >= p.start and t.first_solved_at < p.finish and t.reopens = 0
                and c.subject_type = 'ticket' and c.subject_id = t.id
                and m.kind = 'public' and m.speaker = 'staff' and not m.automatic
            limit 2
        ) few
    ) said on true
    where t.status <> 'merged'
)
select g.is_total,
    g.key,
    count(*) filter (where created) as created,
    count(*) filter (where solved) as solved,
    count(*) filter (where closed) as closed,
    CAST(coalesce(sum(reopened), 0) AS bigint) as reopened,
    count(*) filter (where solved and was_reopened) as solved_and_reopened,
    count(*) filter (where solved and not was_reopened and replies = 1) as one_touch,
    count(*) filter (where unfinished) as backlog,
    count(*) filter (where status = 'new') as now_new,
    count(*) filter (where status = 'open') as now_open,
    count(*) filter (where status = 'pending') as now_pending,
    count(*) filter (where status = 'on_hold') as now_on_hold,
    count(score) as ratings,
    CAST(coalesce(sum(score), 0) AS bigint) as score_sum,
    count(*) filter (where score >= 4) as good
from counted
cross join lateral (
    select true as is_total, CAST(null AS text) as key
    union all
    select false, unnest(counted.keys)
) g
group by g.is_total, g.key
