"""`keys`: API keys from the command line, the way to the first one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import rich_click as click
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from app.cli.common import open_database, quiet_settings, run
from app.exceptions import InvalidError
from app.identity import Role
from app.identity import service as identity
from app.identity.models import ApiKey, Person

PAGE = 100


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@click.option("--person", help="External id of the person it stands for; made if unknown. Customers need one.")
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Without it the key does not expire.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(role: str, name: str, person: str | None, expires_in_days: int | None, *, as_json: bool) -> None:
    """Make a key and print it; it is shown this once."""

    async def work() -> tuple[ApiKey, str]:
        async with open_database(quiet_settings()) as database, database.session() as session:
            person_id = None
            if person is not None:
                person_id = await session.scalar(select(Person.id).where(Person.external_id == person))
                if person_id is None:
                    person_id = (await identity.upsert_person(session, person, role=Role(role))).id
            expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
            return await identity.create_key(
                session, name=name, role=Role(role), person_id=person_id, expires_at=expires_at
            )

    key, secret = run(work())
    if as_json:
        click.echo(json.dumps({"id": str(key.id), "name": key.name, "role": key.role, "key": secret}))
    else:
        click.echo(secret)


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List keys: prefix, role, expiry, revocation, last use; never the secret."""

    async def work() -> list[ApiKey]:
        async with open_database(quiet_settings()) as database, database.session() as session:
            return list(await session.scalars(select(ApiKey).order_by(ApiKey.created_at)))

    rows = run(work())
    fields = ("id", "prefix", "name", "role", "created_at", "expires_at", "revoked_at", "last_used_at")
    if as_json:
        click.echo(json.dumps([{field: getattr(row, field) for field in fields} for row in rows], default=str))
        return
    table = Table(*fields, box=None)
    for row in rows:
        table.add_row(*("" if (value := getattr(row, field)) is None else str(value) for field in fields))
    Console(soft_wrap=True).print(table)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke the key of that id; it stops at its next request."""
    try:
        identity_ = UUID(key_id)
    except ValueError:
        raise InvalidError(f"{key_id!r} is no id; `tridesk keys list` shows them") from None

    async def work() -> None:
        async with open_database(quiet_settings()) as database, database.session() as session:
            await identity.revoke_key(session, identity_)

    run(work())
    click.echo("revoked")
