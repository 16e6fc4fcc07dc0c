"""`keys`: API keys from the command line, the way to the first one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click
from rich.table import Table
from sqlalchemy import select

from app.cli.common import open_database, printable, quiet_settings
from app.cli.terminal import output
from app.identity import Role
from app.identity import service as identity
from app.identity.models import ApiKey, Person

FIELDS = ("id", "prefix", "name", "role", "created_at", "expires_at", "revoked_at", "last_used_at")


async def create(role: str, *, name: str, person: str | None, days: int | None, as_json: bool) -> None:
    """Make a key, for a person who is made if unknown, and print it when it is stored."""
    async with open_database(quiet_settings()) as database:
        async with database.session() as session:
            person_id = None
            if person is not None:
                person_id = await session.scalar(select(Person.id).where(Person.external_id == person))
                if person_id is None:
                    person_id = (await identity.upsert_person(session, person, role=Role(role))).id
            expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
            key, secret = await identity.create_key(
                session, name=name, role=Role(role), person_id=person_id, expires_at=expires_at
            )
        if as_json:
            click.echo(json.dumps({"id": str(key.id), "name": key.name, "role": key.role, "key": secret}))
        else:
            click.echo(secret)


async def list_(*, as_json: bool) -> None:
    """Print every key, oldest first."""
    async with open_database(quiet_settings()) as database, database.session() as session:
        rows = list(await session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)))
    if as_json:
        click.echo(
            json.dumps([{field: getattr(row, field) for field in FIELDS} for row in rows], default=str)
        )
        return
    table = Table(*FIELDS, box=None)
    for row in rows:
        table.add_row(*(_cell(getattr(row, field)) for field in FIELDS))
    output.print_table(table)


async def revoke(key_id: UUID) -> None:
    """Stop a key; again changes nothing."""
    async with open_database(quiet_settings()) as database, database.session() as session:
        await identity.revoke_key(session, key_id)
    click.echo("revoked")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + "Z"
    return printable(str(value)).replace("[", r"\[")
