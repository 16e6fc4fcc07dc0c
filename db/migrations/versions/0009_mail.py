"""Mail: what came in, what goes out, who wants none.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0009"
down_revision = "0008"

TABLES = """
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
