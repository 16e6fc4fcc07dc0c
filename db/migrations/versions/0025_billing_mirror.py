"""The mirror: indexes for its lists and for equal payments.

Revision ID: 0025
Revises: 0024
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0025"
down_revision = "0024"

UP = """
create index ix_invoice_subscription_id on invoice (subscription_id);
create index ix_payment_equal on payment (account_id, currency, captured) where status = 'succeeded';
"""

DOWN = """
drop index ix_payment_equal;
drop index ix_invoice_subscription_id;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
