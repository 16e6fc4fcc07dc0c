"""Identity: accounts, people and API keys.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0002"
down_revision = "0001"

TABLES = """
create table account (
    id uuid default uuidv7() not null constraint pk_account primary key,
    external_id varchar not null constraint uq_account_external_id unique,
    name varchar not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
create index ix_account_created_at_id on account (created_at, id);

create table person (
    id uuid default uuidv7() not null constraint pk_person primary key,
    external_id varchar constraint uq_person_external_id unique,
    name varchar not null,
    email varchar,
    account_id uuid constraint fk_person_account_id_account references account,
    role varchar(16) not null,
    active boolean default true not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_person_role check (role in ('customer', 'agent', 'lead', 'admin'))
);
create index ix_person_created_at_id on person (created_at, id);
create index ix_person_account_id_created_at_id on person (account_id, created_at, id);
create index ix_person_role_created_at_id on person (role, created_at, id);
create index ix_person_search on person
    using gin (name gin_trgm_ops, email gin_trgm_ops, external_id gin_trgm_ops);

create table api_key (
    id uuid default uuidv7() not null constraint pk_api_key primary key,
    prefix varchar not null constraint uq_api_key_prefix unique,
    secret_hash bytea not null,
    name varchar not null,
    role varchar(16) not null,
    person_id uuid constraint fk_api_key_person_id_person references person on delete cascade,
    created_by uuid,
    created_at timestamptz default now() not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    constraint ck_api_key_role check (role in ('customer', 'agent', 'lead', 'admin')),
    constraint ck_api_key_customer_has_person check (role <> 'customer' or person_id is not null)
);
create index ix_api_key_created_at_id on api_key (created_at, id);
create index ix_api_key_person_id on api_key (person_id);
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    for table in ("api_key", "person", "account"):
        op.execute(f"drop table {table}")
