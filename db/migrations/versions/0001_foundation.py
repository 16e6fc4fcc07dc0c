"""Foundation: extensions, ids, the job queue, and the rights of the application's role.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import context, op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from app.migrations import run_script

revision = "0001"
down_revision = None

# Postgres 18 has uuidv7() of its own, in pg_catalog, which is found first. Layout: RFC 9562, section 5.7.
UUIDV7 = """
create function uuidv7() returns uuid language sql volatile parallel safe as $$
    select encode(
        set_byte(
            set_byte(
                overlay(uuid_send(gen_random_uuid())
                    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                    from 1 for 6),
                6, (get_byte(uuid_send(gen_random_uuid()), 0) & 15) | 112),
            8, (get_byte(uuid_send(gen_random_uuid()), 1) & 63) | 128),
        'hex')::uuid
$$
"""


def upgrade() -> None:
    for extension in ("vector", "pg_trgm", "unaccent"):
        op.execute(f"create extension if not exists {extension} schema public")
    bind = op.get_bind()
    if not bind.exec_driver_sql("select to_regprocedure('pg_catalog.uuidv7()') is not null").scalar():
        op.execute(UUIDV7)
    run_script(op, QueryBuilderEnvironment().build_install_query())
    attributes = context.config.attributes
    role, schema = attributes.get("app_role"), attributes.get("schema") or "public"
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        # Default privileges reach the tables of every later migration; a migration that needs less revokes.
        quoted = bind.dialect.identifier_preparer.quote(role)
        op.execute(f"grant usage on schema {schema} to {quoted}")
        for kind, rights in (("tables", "select, insert, update, delete"), ("sequences", "usage, select")):
            op.execute(f"alter default privileges in schema {schema} grant {rights} on {kind} to {quoted}")
            op.execute(f"grant {rights} on all {kind} in schema {schema} to {quoted}")
        op.execute(f"revoke insert, update, delete on alembic_version from {quoted}")


def downgrade() -> None:
    run_script(op, QueryBuilderEnvironment().build_uninstall_query())
    attributes = context.config.attributes
    role, schema = attributes.get("app_role"), attributes.get("schema") or "public"
    bind = op.get_bind()
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        quoted = bind.dialect.identifier_preparer.quote(role)
        for kind in ("tables", "sequences"):
            op.execute(f"alter default privileges in schema {schema} revoke all on {kind} from {quoted}")
        op.execute(f"revoke usage on schema {schema} from {quoted}")
    # The name alone could mean Postgres' own, which nobody may drop.
    op.execute(f"drop function if exists {bind.dialect.identifier_preparer.quote(schema)}.uuidv7()")
