"""Conversations: messages, participants, attachments.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0007"
down_revision = "0006"

TABLES = """
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
