"""The tables that the migration makes are the ones that the models describe."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, text
from sqlalchemy.exc import IntegrityError

from app.models import Base

TABLES = {"account", "person", "api_key"}


async def test_tables_columns_types_indexes_and_constraints_match_the_models(database):
    def differences(connection: Connection) -> list:
        def ours(obj, name, kind, _reflected, _other) -> bool:
            table = name if kind == "table" else obj.table.name
            return table in TABLES

        options = {"include_object": ours, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, Base.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_constraints_and_index_methods_have_the_names_and_forms_of_the_models(database):
    """What the comparison above does not look at: checks and the search index."""
    async with database.session() as session:
        checks = await session.scalars(
            text(
                "select conname from pg_constraint where contype = 'c'"
                " and conrelid in (select unnest(cast(:tables as text[]))::regclass)"
            ),
            {"tables": sorted(TABLES)},
        )
        assert set(checks) == {
            constraint.name
            for table in TABLES
            for constraint in Base.metadata.tables[table].constraints
            if isinstance(constraint, CheckConstraint)
        }
        search = await session.scalar(
            text("select indexdef from pg_indexes where indexname = 'ix_person_search'")
        )
        assert search.endswith("gin (name gin_trgm_ops, email gin_trgm_ops, external_id gin_trgm_ops)")


async def test_a_customer_key_without_a_person_is_refused_by_the_database_too(database):
    statement = text(
        "insert into api_key (prefix, secret_hash, name, role) values ('x', '', 'x', 'customer')"
    )
    with pytest.raises(IntegrityError, match="ck_api_key_customer_has_person"):
        async with database.session() as session:
            await session.execute(statement)
