"""The migrations: reversible, safe side by side, true to the models, and stingy with rights."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.config import Settings
from app.database import Database, create_engine
from app.migrations import head_revision, migrate
from app.models import Base

ROOT = Path(__file__).parent.parent

# Columns, defaults, constraints, indexes, triggers, functions, settings and rights, one line each.
SHAPE = """
select format('column %s.%s %s null:%s default:%s identity:%s', c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod), not a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
        a.attidentity)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = to_regnamespace(cast(:schema as text)) and c.relkind in ('r', 'p') and a.attnum > 0
        and not a.attisdropped
union all select format('table %s %s %s', relname, reloptions, relacl) from pg_class
    where relnamespace = to_regnamespace(cast(:schema as text)) and relkind in ('r', 'S')
union all select format('constraint %s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
    where connamespace = to_regnamespace(cast(:schema as text))
union all select format('index %s', indexdef) from pg_indexes where schemaname = cast(:schema as text)
union all select format('trigger %s', pg_get_triggerdef(t.oid)) from pg_trigger t
    join pg_class c on c.oid = t.tgrelid where c.relnamespace = to_regnamespace(cast(:schema as text))
        and not tgisinternal
union all select format('function %s %s', p.proname, p.prosrc) from pg_proc p
    where p.pronamespace = to_regnamespace(cast(:schema as text))
        and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
union all select format('type %s %s', t.typname, (select array_agg(e.enumlabel order by e.enumsortorder)
    from pg_enum e where e.enumtypid = t.oid)) from pg_type t
    where t.typnamespace = to_regnamespace(cast(:schema as text)) and t.typtype = 'e'
union all select format('search %s', cfgname) from pg_ts_config
    where cfgnamespace = to_regnamespace(cast(:schema as text))
union all select format('defaults %s %s', defaclobjtype, defaclacl) from pg_default_acl
    where defaclnamespace = to_regnamespace(cast(:schema as text))
"""


async def shape(database: Database, schema: str) -> list[str]:
    async with database.session() as session:
        return sorted(await session.scalars(text(SHAPE), {"schema": schema}))


@asynccontextmanager
async def beside(settings: Settings, database: Database, name: str) -> AsyncIterator[Database]:
    """A database in an empty schema of its own on the run's server."""
    schema = name.replace("-", "_")
    owner = create_engine(database.dsn("owner"))
    other = Database(settings, embedded=database._embedded, schema=schema)
    try:
        async with owner.begin() as connection:
            await connection.execute(text(f"create schema {schema}"))
        other.open()
        yield other
    finally:
        await other.engine.dispose()
        async with owner.begin() as connection:
            await connection.execute(text(f"drop schema if exists {schema} cascade"))
        await owner.dispose()


async def test_up_down_and_up_again_is_the_same_schema_with_nothing_left_between(settings, database, unique):
    async with beside(settings, database, f"round_{unique}") as other:
        schema = str(other.schema)
        await asyncio.to_thread(migrate, other)
        first = await shape(other, schema)
        await asyncio.to_thread(migrate, other, revision="base")
        left = [line for line in await shape(other, schema) if "alembic_version" not in line]
        assert left == []
        await asyncio.to_thread(migrate, other)
        assert await shape(other, schema) == first
        assert len(first) > 150


async def test_a_schema_of_its_own_is_migrated_although_public_is_up_to_date(settings, database, unique):
    async with beside(settings, database, f"own_{unique}") as other:
        await asyncio.to_thread(migrate, other)
        async with other.session() as session:
            assert await session.scalar(text("select version_num from alembic_version")) == head_revision()
            await session.execute(text("insert into collection (name) values ('in its own schema')"))
            name = await session.scalar(
                text("select to_regclass('collection')::regclass::text = :name"), {"name": "collection"}
            )
            assert name is True
            assert await session.scalar(text("select current_schema()")) == other.schema
    async with database.session() as session:
        assert not await session.scalar(
            text("select count(*) from collection where name = 'in its own schema'")
        )


async def migrating(database: Database) -> None:
    """Another process that migrates."""
    script = (
        "import sys; from app.config import Settings; from app.database import Database;"
        "from app.migrations import migrate;"
        "settings = Settings(database_url=sys.argv[1], migration_database_url=sys.argv[2]);"
        "migrate(Database(settings, schema=sys.argv[3]))"
    )
    arguments = (database.dsn("app"), database.dsn("owner"), str(database.schema))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", script, *arguments, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_several_migrators_at_once_migrate_once(settings, database, unique):
    async with beside(settings, database, f"race_{unique}") as other:
        for _ in range(2):  # from nothing, then with nothing to do
            await asyncio.gather(migrating(other), migrating(other), asyncio.to_thread(migrate, other))
        async with other.session() as session:
            assert (await session.scalars(text("select version_num from alembic_version"))).all() == [
                head_revision()
            ]


async def test_migrating_what_is_up_to_date_changes_nothing(database):
    before = await shape(database, "public")
    await asyncio.to_thread(migrate, database)
    assert await shape(database, "public") == before


# Made as models are registered; its expression and condition have the model's numbers.
MADE_LATER = ("ix_chunk_embedding_model_", "ix_matchable_embedding_model_")
# pgqueuer brings and migrates its own.
FOREIGN = ("pgqueuer", "alembic_version")


async def test_the_models_describe_the_migrated_schema(database):
    def ours(obj: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        name = name or ""
        return not name.startswith((*MADE_LATER, *FOREIGN))

    def differences(connection: Connection) -> list[object]:
        options = {"include_object": ours, "compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def refused(database: Database, statement: str) -> bool:
    try:
        async with database.session() as session:
            await session.execute(text(statement))
    except DBAPIError as error:
        return getattr(error.orig, "sqlstate", "") == "42501"
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "create table intruder (id int)",
        "create schema intruder",
        "alter table document add column intruder int",
        "drop table document",
        "truncate chunk",
        "create index intruder on chunk (tokens)",
        "create or replace function chunk_count_inserted() returns trigger language plpgsql as 'begin end'",
        "alter table chunk disable trigger all",
        "update alembic_version set version_num = '0000'",
        "delete from alembic_version",
        "insert into alembic_version values ('0000')",
        "create extension hstore",
    ],
)
async def test_the_application_may_not(database, statement):
    assert await refused(database, statement)


async def test_the_application_owns_nothing_and_is_not_a_superuser(database):
    async with database.session() as session:
        owned = await session.scalars(
            text(
                "select relname from pg_class"
                " where relowner = (select oid from pg_roles where rolname = current_user)"
            )
        )
        assert owned.all() == []
        powers = (
            await session.execute(
                text(
                    "select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls from pg_roles"
                    " where rolname = current_user"
                )
            )
        ).one()
        assert tuple(powers) == (False, False, False, False)


async def test_a_table_of_a_later_migration_can_be_used_and_not_truncated(database, unique):
    table = f"later_{unique.replace('-', '_')}"
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(text(f"create table {table} (id bigserial, n int)"))
    try:
        async with database.session() as session:
            await session.execute(text(f"insert into {table} (n) values (1), (2)"))
            await session.execute(text(f"update {table} set n = 3 where n = 1"))
            await session.execute(text(f"delete from {table} where n = 2"))
            assert await session.scalar(text(f"select n from {table}")) == 3
        assert await refused(database, f"truncate {table}")
    finally:
        async with owner.begin() as connection:
            await connection.execute(text(f"drop table {table}"))
        await owner.dispose()


async def test_an_application_that_is_its_own_owner_is_granted_nothing(settings, database, unique):
    """One role for both is the default with a server of one's own."""
    async with beside(settings, database, f"single_{unique}") as other:
        url = database.dsn("owner")
        single = Database(replace(settings, database_url=url), embedded=None, schema=other.schema)
        await asyncio.to_thread(migrate, single)
        lines = await shape(other, str(other.schema))
    assert not [line for line in lines if line.startswith("defaults")]
