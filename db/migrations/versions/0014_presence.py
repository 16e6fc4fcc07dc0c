"""Presence: who has a case open.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0014"
down_revision = "0013"

UP = """
create unlogged table presence (
    subject_type varchar not null,
    subject_id uuid not null,
    viewer_id uuid not null,
    name varchar not null,
    state varchar not null,
    since timestamptz not null,
    expires_at timestamptz not null,
    constraint pk_presence primary key (subject_type, subject_id, viewer_id),
    constraint ck_presence_state check (state in ('viewing', 'replying'))
);
create index ix_presence_expires_at on presence (expires_at);
create index ix_presence_viewer_id on presence (viewer_id);
"""

DOWN = """
drop table presence;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
