"""Disputes and reports: what they need beyond the desk's tables.

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0026"
down_revision = "0025"

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
