"""SLA: business calendars, policies, clocks.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0008"
down_revision = "0007"

TABLES = """
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
