"""Jobs: when each schedule last ran.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0011"
down_revision = "0010"

TABLES = """
create table job_schedule (
    name text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    failures integer not null default 0,
    error text,
    constraint pk_job_schedule primary key (name)
);
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    op.execute("drop table job_schedule")
