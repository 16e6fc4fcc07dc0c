"""SLA: business calendars, policies, clocks.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import context, op

from app.migrations import run_script

revision = "0008"
down_revision = "0007"

# A clock keeps the times it ran, each with the version of the calendar that counted it, so its deadline can
# be worked out again whatever changes. sla_calendar_version rows are only ever added: not even the deletion
# of a calendar takes them, or finished clocks could not be explained any more.
#
# Who moves a subject's clocks locks its sla_subject row, then the clocks by id. The sweep locks clocks alone
# and waits for nobody. check_at is the sweep's whole question, hence the one small index that it reads.
TABLES = """
create table sla_calendar (
    id uuid default uuidv7() not null constraint pk_sla_calendar primary key,
    name text not null constraint uq_sla_calendar_name unique,
    rules jsonb not null,
    rules_version integer default 1 not null,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
create index ix_sla_calendar_created_at_id on sla_calendar (created_at, id);

create table sla_calendar_version (
    calendar_id uuid not null,
    version integer not null,
    rules jsonb not null,
    created_at timestamptz default now() not null,
    constraint pk_sla_calendar_version primary key (calendar_id, version)
);

create table sla_policy (
    id uuid default uuidv7() not null constraint pk_sla_policy primary key,
    name text not null constraint uq_sla_policy_name unique,
    position integer not null,
    conditions jsonb not null,
    targets jsonb not null,
    warn_at_percent integer[] not null,
    calendar_id uuid not null constraint fk_sla_policy_calendar_id_sla_calendar references sla_calendar (id),
    enabled boolean default true not null,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
create index ix_sla_policy_created_at_id on sla_policy (created_at, id);
create index ix_sla_policy_position_id on sla_policy (position, id);
create index ix_sla_policy_calendar_id on sla_policy (calendar_id);

create table sla_subject (
    id uuid default uuidv7() not null constraint pk_sla_subject primary key,
    subject_type text not null,
    subject_id uuid not null,
    attributes jsonb default '{}' not null,
    policy_id uuid constraint fk_sla_subject_policy_id_sla_policy references sla_policy (id)
        on delete set null,
    paused boolean default false not null,
    reopens integer default 0 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint uq_sla_subject_subject_type_subject_id unique (subject_type, subject_id)
);
create index ix_sla_subject_policy_id on sla_subject (policy_id);

create table sla_clock (
    id uuid default uuidv7() not null constraint pk_sla_clock primary key,
    subject_type text not null,
    subject_id uuid not null,
    kind text not null,
    cycle integer not null,
    state text not null,
    policy_id uuid,
    calendar_id uuid,
    calendar_version integer,
    target_seconds integer,
    spans jsonb default '[]' not null,
    started_at timestamptz not null,
    due_at timestamptz,
    warn_steps integer[] default '{}' not null,
    warn_times timestamptz[] default '{}' not null,
    warned_steps integer[] default '{}' not null,
    check_at timestamptz,
    breached_at timestamptz,
    detected_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint uq_sla_clock_subject_type_subject_id_kind_cycle unique (subject_type, subject_id, kind, cycle),
    constraint ck_sla_clock_kind check (kind in ('first_response', 'next_reply', 'resolution', 'evidence')),
    constraint ck_sla_clock_state check (state in ('running', 'paused', 'met', 'canceled')),
    constraint ck_sla_clock_breach check ((breached_at is null) = (detected_at is null)),
    constraint ck_sla_clock_finished check (state in ('running', 'paused') or check_at is null)
);
create index ix_sla_clock_check_at on sla_clock (check_at, id) where check_at is not null;
create index ix_sla_clock_unfinished on sla_clock (subject_type, subject_id)
    where state in ('running', 'paused');
create index ix_sla_clock_calendar_id on sla_clock (calendar_id) where state in ('running', 'paused');
"""


def upgrade() -> None:
    bind = op.get_bind()
    run_script(op, TABLES)
    role = context.config.attributes.get("app_role")
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        quoted = bind.dialect.identifier_preparer.quote(role)
        op.execute(f"revoke update, delete, truncate on sla_calendar_version from {quoted}")


def downgrade() -> None:
    for table in ("sla_clock", "sla_subject", "sla_policy", "sla_calendar_version", "sla_calendar"):
        op.execute(f"drop table {table}")
