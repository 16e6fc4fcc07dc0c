"""Technical: fields, macros, views.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0016"
down_revision = "0015"

UP = """
create table ticket_field (
    id uuid default uuidv7() not null constraint pk_ticket_field primary key,
    key varchar not null constraint uq_ticket_field_key unique,
    label varchar not null,
    description varchar default '' not null,
    type varchar not null,
    options text[] default '{}' not null,
    required_on varchar default 'none' not null,
    visible_to_customers boolean default false not null,
    editable_by_customers boolean default false not null,
    position integer default 0 not null,
    archived boolean default false not null,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_ticket_field_type
        check (type in ('text', 'number', 'boolean', 'date', 'select', 'multiselect', 'url')),
    constraint ck_ticket_field_required_on check (required_on in ('none', 'create', 'solve')),
    constraint ck_ticket_field_editable check (visible_to_customers or not editable_by_customers)
);
create index ix_ticket_field_position_id on ticket_field (position, id);

create table macro (
    id uuid default uuidv7() not null constraint pk_macro primary key,
    name varchar not null,
    description varchar default '' not null,
    body text default '' not null,
    kind varchar default 'public' not null,
    actions jsonb default '{}' not null,
    visibility varchar default 'personal' not null,
    owner_id uuid constraint fk_macro_owner_id_person references person on delete cascade,
    team_id uuid constraint fk_macro_team_id_team references team,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_macro_kind check (kind in ('public', 'note')),
    constraint ck_macro_visibility check (visibility in ('personal', 'team', 'shared')),
    constraint ck_macro_owner check (
        (visibility = 'personal') = (owner_id is not null) and (visibility = 'team') = (team_id is not null)
    )
);
create index ix_macro_created_at_id on macro (created_at, id);
create index ix_macro_name_id on macro (name, id);
create index ix_macro_owner_id on macro (owner_id);
create index ix_macro_team_id on macro (team_id);

create table ticket_view (
    id uuid default uuidv7() not null constraint pk_ticket_view primary key,
    name varchar not null,
    filter jsonb default '{}' not null,
    sort varchar not null,
    visibility varchar default 'personal' not null,
    owner_id uuid constraint fk_ticket_view_owner_id_person references person on delete cascade,
    team_id uuid constraint fk_ticket_view_team_id_team references team,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_ticket_view_visibility check (visibility in ('personal', 'team', 'shared')),
    constraint ck_ticket_view_owner check (
        (visibility = 'personal') = (owner_id is not null) and (visibility = 'team') = (team_id is not null)
    )
);
create index ix_ticket_view_created_at_id on ticket_view (created_at, id);
create index ix_ticket_view_name_id on ticket_view (name, id);
create index ix_ticket_view_owner_id on ticket_view (owner_id);
create index ix_ticket_view_team_id on ticket_view (team_id);
"""

DOWN = """
drop table ticket_view, macro, ticket_field;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
