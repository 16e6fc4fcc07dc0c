"""Webhooks: endpoints, their secrets and deliveries.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0006"
down_revision = "0005"

TABLES = """
select 1;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    pass
