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
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
