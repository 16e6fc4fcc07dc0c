"""Guarantees of the API: idempotency records.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0005"
down_revision = "0004"

TABLES = """
create table idempotency_record (
    id uuid default uuidv7() not null constraint pk_idempotency_record primary key,
    principal_id uuid not null,
    route text not null,
    key text not null,
    fingerprint bytea not null,
    role text not null,
    account_id uuid,
    reserved_until timestamptz,
    status smallint,
    headers jsonb default '{}' not null,
    body bytea,
    made_id text,
    withheld text,
    created_at timestamptz default now() not null,
    constraint uq_idempotency_record_principal_id_route_key unique (principal_id, route, key),
    constraint ck_idempotency_record_reserved check ((status is null) = (reserved_until is not null)),
    constraint ck_idempotency_record_withheld check (withheld in ('secret', 'erased'))
);
create index ix_idempotency_record_created_at on idempotency_record (created_at);
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    op.execute("drop table idempotency_record")
