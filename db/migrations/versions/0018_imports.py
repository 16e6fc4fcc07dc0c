"""Technical: imports.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0018"
down_revision = "0017"

UP = """
create table ticket_import (
    id uuid default uuidv7() not null constraint pk_ticket_import primary key,
    version integer default 1 not null,
    status varchar default 'queued' not null,
    origin varchar not null,
    filename varchar,
    format varchar,
    encoding varchar,
    size_bytes bigint default 0 not null,
    dry_run boolean default false not null,
    unknown_people varchar default 'create' not null,
    zone varchar default 'UTC' not null,
    mapping jsonb default '{}' not null,
    value_mapping jsonb default '{}' not null,
    layout jsonb,
    offset_bytes bigint default 0 not null,
    line integer default 1 not null,
    rows_total integer,
    rows_done integer default 0 not null,
    created integer default 0 not null,
    updated integer default 0 not null,
    unchanged integer default 0 not null,
    failed integer default 0 not null,
    messages integer default 0 not null,
    warnings jsonb default '[]' not null,
    problem varchar,
    created_by_id uuid constraint fk_ticket_import_created_by_id_person references person on delete set null,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_ticket_import_status
        check (status in ('queued', 'running', 'done', 'canceled', 'failed')),
    constraint ck_ticket_import_unknown_people check (unknown_people in ('create', 'skip', 'fail'))
);
create index ix_ticket_import_created_at_id on ticket_import (created_at, id);

create table ticket_import_chunk (
    import_id uuid not null
        constraint fk_ticket_import_chunk_import_id_ticket_import references ticket_import on delete cascade,
    ordinal integer not null,
    content bytea not null,
    constraint pk_ticket_import_chunk primary key (import_id, ordinal)
);

create table ticket_import_error (
    id uuid default uuidv7() not null constraint pk_ticket_import_error primary key,
    import_id uuid not null
        constraint fk_ticket_import_error_import_id_ticket_import references ticket_import on delete cascade,
    line integer not null,
    external_id varchar,
    field varchar not null,
    message varchar not null,
    raw text
);
create index ix_ticket_import_error_import_id_line_id on ticket_import_error (import_id, line, id);
"""

DOWN = """
drop table ticket_import_error, ticket_import_chunk, ticket_import;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
