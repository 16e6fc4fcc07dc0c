"""Credit notes and credits: what they need beyond the desk's tables.

Revision ID: 0027
Revises: 0026
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0027"
down_revision = "0026"

UP = """
-- Whoever rolls back leaves a gap: nothing promises that the numbers of notes have none.
create sequence credit_note_number;
"""

DOWN = """
drop sequence credit_note_number;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
