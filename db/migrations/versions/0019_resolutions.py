"""Technical: resolution notes of solved tickets.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0019"
down_revision = "0018"

UP = """
create table ticket_resolution (
    ticket_id uuid not null constraint pk_ticket_resolution primary key
        constraint fk_ticket_resolution_ticket_id_ticket references ticket on delete cascade,
    version integer default 1 not null,
    state varchar default 'published' not null,
    title varchar not null,
    problem text not null,
    solution text not null,
    audience varchar default 'staff' not null,
    document_id uuid,
    reviewed_by_id uuid
        constraint fk_ticket_resolution_reviewed_by_id_person references person on delete set null,
    reviewed_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_ticket_resolution_state check (state in ('published', 'suspended', 'withdrawn'))
);
create index ix_ticket_resolution_pending on ticket_resolution (ticket_id)
    where (state = 'published') = (document_id is null);
"""

DOWN = """
drop table ticket_resolution;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
