"""Events: an append-only log that keeps the order of commits.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import context, op

from app.migrations import run_script

revision = "0004"
down_revision = "0003"

# A sequence alone is no order to read by: who draws 7 may commit after who draws 8, and a reader that has
# seen 8 never comes back for 7. Rows also keep their transaction's number, and readers stop below the oldest
# transaction still under way (event_horizon): nothing can appear behind what they have read. A database that
# was restored elsewhere starts to count transactions anew; event_epoch shifts the count past the stored rows.
TABLES = """
create table event_epoch (
    only_row boolean default true not null constraint pk_event_epoch primary key,
    shift bigint default 0 not null,
    constraint ck_event_epoch_only_row check (only_row)
);
insert into event_epoch default values;

create function event_transaction() returns bigint language sql volatile as $$
    select pg_current_xact_id()::text::bigint + shift from event_epoch
$$;
-- Stable: the snapshot of the statement that asks. A volatile function takes a younger one, and with it a
-- horizon above transactions that the statement does not see.
create function event_horizon() returns bigint language sql stable as $$
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + shift from event_epoch
$$;

create table event (
    id uuid default uuidv7() not null constraint pk_event primary key,
    transaction bigint default event_transaction() not null,
    number bigint generated always as identity not null,
    type text not null,
    subject_type text not null,
    subject_id uuid not null,
    actor_kind text not null,
    actor_person_id uuid,
    actor_key_id uuid,
    actor_role text not null,
    account_id uuid,
    person_id uuid,
    customer_visible boolean default false not null,
    staff_fields text[] default '{}' not null,
    audit boolean default false not null,
    before jsonb,
    after jsonb,
    request_id text,
    occurred_at timestamptz default now() not null
);
create index ix_event_transaction_number on event (transaction, number);
create index ix_event_subject on event (subject_type, subject_id, transaction, number);
create index ix_event_audit on event (transaction, number) where audit;
create index ix_event_person_id on event (person_id, transaction, number) where customer_visible;
create index ix_event_account_id on event (account_id, transaction, number) where customer_visible;

create function refuse_event_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if new.before is null and new.after is null
            and to_jsonb(new) - array['before', 'after'] = to_jsonb(old) - array['before', 'after'] then
            return new;  -- a person was erased
        end if;
    end if;
    raise exception 'events are only ever added' using errcode = 'insufficient_privilege';
end $$;
create trigger event_append_only before update or delete on event
    for each row execute function refuse_event_change();
create trigger event_no_truncate before truncate on event execute function refuse_event_change();
"""

# The application's role may not update; it may empty what was written about a person, by this.
FORGET = """
create function forget_events(of_type text, of_id uuid) returns bigint
    language sql volatile security definer set search_path = {schema}, pg_temp as $$
    with emptied as (
        update event set before = null, after = null
        where subject_type = of_type and subject_id = of_id and (before is not null or after is not null)
        returning 1
    ) select count(*) from emptied
$$;
"""


def upgrade() -> None:
    bind = op.get_bind()
    quote = bind.dialect.identifier_preparer.quote
    role, schema = context.config.attributes.get("app_role"), context.config.attributes.get("schema")
    run_script(op, TABLES)
    run_script(op, FORGET.format(schema=quote(schema or "public")))
    op.execute("revoke execute on function forget_events(text, uuid) from public")
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        op.execute(f"revoke update, delete, truncate on event from {quote(role)}")
        op.execute(f"revoke insert, update, delete, truncate on event_epoch from {quote(role)}")
        op.execute(f"grant execute on function forget_events(text, uuid) to {quote(role)}")


def downgrade() -> None:
    op.execute("drop table event")
    run_script(
        op,
        "drop function refuse_event_change(); drop function forget_events(text, uuid);"
        "drop function event_horizon(); drop function event_transaction(); drop table event_epoch;",
    )
