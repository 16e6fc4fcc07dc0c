"""Cases: what they need beyond the desk's tables.

Revision ID: 0028
Revises: 0027
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0028"
down_revision = "0027"

UP = """
select 1;
"""

DOWN = """
select 1;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
