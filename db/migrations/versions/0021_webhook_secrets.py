"""Webhooks: every secret that has not expired signs, not only the last but one.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0021"
down_revision = "0020"

UP = """
alter table webhook_endpoint
    add column previous_secrets text[] default '{}' not null,
    add column previous_secrets_until timestamptz[] default '{}' not null,
    add constraint ck_webhook_endpoint_previous_secrets
        check (cardinality(previous_secrets) = cardinality(previous_secrets_until));
update webhook_endpoint
    set previous_secrets = array[previous_secret], previous_secrets_until = array[previous_secret_until]
    where previous_secret is not null and previous_secret_until is not null;
alter table webhook_endpoint drop column previous_secret, drop column previous_secret_until;
"""

DOWN = """
alter table webhook_endpoint
    add column previous_secret text,
    add column previous_secret_until timestamptz;
update webhook_endpoint
    set previous_secret = previous_secrets[1], previous_secret_until = previous_secrets_until[1];
alter table webhook_endpoint
    drop constraint ck_webhook_endpoint_previous_secrets,
    drop column previous_secrets,
    drop column previous_secrets_until;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
