"""Technical: tickets that point to something of another desk.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0020"
down_revision = "0019"

UP = """
create table ticket_reference (
    id uuid default uuidv7() not null constraint pk_ticket_reference primary key,
    ticket_id uuid not null
        constraint fk_ticket_reference_ticket_id_ticket references ticket on delete cascade,
    subject_type varchar not null,
    subject_id uuid not null,
    created_by uuid constraint fk_ticket_reference_created_by_person references person on delete set null,
    created_at timestamptz default now() not null,
    constraint uq_ticket_reference_ticket_id_subject_type_subject_id
        unique (ticket_id, subject_type, subject_id)
);
create index ix_ticket_reference_subject_type_subject_id on ticket_reference (subject_type, subject_id);
"""

DOWN = """
drop table ticket_reference;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
