"""Rate limits, versions of what can be changed, and the erasure of people.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import context, op

from app.migrations import run_script

revision = "0010"
down_revision = "0009"

VERSIONED = ("account", "person", "collection", "document", "chat")

# Unlogged: a request writes no WAL and its commit waits for no disk. After a crash every bucket is full
# again. Half of each page stays free, so that an update finds room beside its row and touches no index.
TABLES = """
create unlogged table rate_limit (
    principal_id uuid not null constraint pk_rate_limit primary key,
    full_at timestamptz not null
) with (fillfactor = 50);

alter table person
    add column sees_account boolean default false not null,
    add column erased_at timestamptz,
    add column erased_subject bytea constraint uq_person_erased_subject unique;
create index ix_person_name_id on person (name, id);
create index ix_account_name_id on account (name, id);
create index ix_account_search on account using gin (name gin_trgm_ops, external_id gin_trgm_ops);
create index ix_answer_person_id on answer (person_id);
create index ix_feedback_rater on feedback (rater);

create table erasure (
    id uuid default uuidv7() not null constraint pk_erasure primary key,
    person_id uuid not null constraint uq_erasure_person_id unique
        constraint fk_erasure_person_id_person references person,
    counts jsonb not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
"""


def upgrade() -> None:
    run_script(op, TABLES)
    for table in VERSIONED:
        op.execute(f"alter table {table} add column version integer default 1 not null")
    role = context.config.attributes.get("app_role")
    bind = op.get_bind()
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        # A receipt is what remains to show that a person was erased.
        op.execute(f"revoke delete, truncate on erasure from {bind.dialect.identifier_preparer.quote(role)}")


def downgrade() -> None:
    for table in VERSIONED:
        op.execute(f"alter table {table} drop column version")
    run_script(
        op,
        """
        drop table erasure;
        drop index ix_feedback_rater;
        drop index ix_answer_person_id;
        drop index ix_account_search;
        drop index ix_account_name_id;
        drop index ix_person_name_id;
        alter table person drop column sees_account, drop column erased_at, drop column erased_subject;
        drop table rate_limit;
        """,
    )
