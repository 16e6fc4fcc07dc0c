"""Refund requests: approvals that expire, policies that never change.

Revision ID: 0024
Revises: 0023
"""

from __future__ import annotations

from alembic import context, op

from app.migrations import run_script

revision = "0024"
down_revision = "0023"

UP = """
create index ix_refund_request_expiring on refund_request (expires_at) where status = 'approved';
"""

DOWN = """
drop index ix_refund_request_expiring;
"""


def upgrade() -> None:
    bind = op.get_bind()
    quote = bind.dialect.identifier_preparer.quote
    role = context.config.attributes.get("app_role")
    run_script(op, UP)
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        # What an approval refers to stays as it was: a policy is replaced by its next version.
        op.execute(f"revoke update, delete, truncate on refund_policy from {quote(role)}")


def downgrade() -> None:
    run_script(op, DOWN)
