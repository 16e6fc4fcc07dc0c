"""Rate limits and the erasure of people.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0010"
down_revision = "0009"

TABLES = """
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
