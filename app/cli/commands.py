# ruff: noqa: PLC0415 - each command imports what it needs when it runs: `--help` shall be quick
"""The commands with their arguments; what they do is in the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import rich_click as click

from app import __version__

AUDIENCE = r"public|customers|staff|account:[0-9a-fA-F-]{36}"  # as app.rag.schemas, which is slow to import

click.rich_click.COMMAND_GROUPS = {
    "tridesk": [
        {"name": "Run", "commands": ["up", "serve", "worker", "migrate", "doctor"]},
        {"name": "Documents", "commands": ["ingest", "search", "ask", "eval"]},
        {"name": "Access and clients", "commands": ["keys", "openapi"]},
        {"name": "Billing", "commands": ["ledger"]},
    ]
}
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tridesk")
def cli() -> None:
    """Tridesk: one Postgres, three desks, answers with sources.

    Settings come from the environment (see .env.example); without DATABASE_URL an embedded Postgres is used,
    with its data under DATA_DIR.
    """


@cli.command()
def up() -> None:
    """Everything at once: database, migrations, sample company, server.

    Prints the address, a demo key a role and a first answer with its sources, then serves until Ctrl-C.
    """
    from app.cli import process, serving

    process.run(serving.up)


@cli.command()
def serve() -> None:
    """Serve the API, with a job worker inside unless WORKER_IN_SERVER is false.

    The database must be up to date (`tridesk migrate`); the embedded one is brought so.
    """
    from app.cli import process, serving

    process.run(serving.serve)


@cli.command()
def worker() -> None:
    """Run jobs only; as many such processes as you like beside the server.

    SIGTERM or Ctrl-C lets the jobs under way finish; a second one stops at once, and they begin again
    elsewhere.
    """
    from app.cli import process, working

    process.run(working.work)


@cli.command()
def migrate() -> None:
    """Bring the database to the current schema, as MIGRATION_DATABASE_URL (the owner)."""
    from app.cli import process, working

    process.run(working.migrate)


@cli.command()
@as_json
def doctor(*, as_json: bool) -> None:
    """Check settings, database, schema and models, and say what to do.

    Exit code 1 when something is wrong.
    """
    from app.cli import operation, process

    process.run(lambda _: operation.doctor(as_json=as_json))


@cli.command()
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), help="Write to a file instead of standard output."
)
def openapi(output: str | None) -> None:
    """Print the OpenAPI 3.1 document that clients are generated from."""
    from app.cli import operation

    operation.openapi(output)


def _audience(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    import re

    if value is not None and not re.fullmatch(AUDIENCE, value):
        raise click.BadParameter("use public, customers, staff or account:<account id>")
    return value


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--collection", help="Collection to put them in; by default the name of the file's top folder.")
@click.option(
    "--audience",
    callback=_audience,
    help="Who may read them: public, customers, staff, account:<account id>. By default what it is now, and"
    " public for a file that was not there before.",
)
@click.option("--product", help="Product that the documents are about.")
@click.option("--product-version", help="Its version.")
@as_json
def ingest(
    paths: tuple[Path, ...],
    collection: str | None,
    audience: str | None,
    product: str | None,
    product_version: str | None,
    *,
    as_json: bool,
) -> None:
    """Take in files and folders and wait until they are searchable.

    A file is known by its full path: seen before, it is taken in again only when it has changed, and then
    only its changed passages are embedded. A run that is cut off goes on where it was. Hidden files are left
    out, links to folders are not followed. Each file that cannot be read is named with the reason; the rest
    goes on, and the exit code is 1.
    """
    from app.cli import ingest as command
    from app.cli import process
    from app.cli.ingestion import Ingestion

    wanted = Ingestion.of(
        paths, collection=collection, audience=audience, product=product, product_version=product_version
    )
    process.run(lambda _: command.ingest(wanted, as_json=as_json))


def _check_words(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise click.UsageError("Say what to look for.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError("The words are not valid UTF-8.") from None


@cli.command()
@click.argument("query")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option(
    "--audience", default="staff", show_default=True, type=click.Choice(["public", "customers", "staff"])
)
@as_json
def search(query: str, limit: int, audience: str, *, as_json: bool) -> None:
    """Search the documents by words and meaning."""
    _check_words(query)
    from app.cli import documents, process

    process.run(lambda _: documents.search(query, limit=limit, audience=audience, as_json=as_json))


@cli.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the stored answer as JSON instead of streaming.")
def ask(question: str, *, as_json: bool) -> None:
    """Ask the documents; the answer streams in, its sources follow."""
    _check_words(question)
    from app.cli import documents, process

    process.run(lambda _: documents.ask(question, as_json=as_json))


@cli.command(name="eval")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@as_json
@click.option(
    "--limit", type=click.IntRange(1), help="Judge only so many queries and questions, evenly spread."
)
def evaluate(folder: Path, *, as_json: bool, limit: int | None) -> None:
    """Measure search and answers on the judged set in FOLDER.

    It has corpus.jsonl, queries.jsonl and qrels.tsv, and answers.jsonl if answers are judged too. The corpus
    goes through the real pipeline into a schema of its own, which is dropped at the end. Every figure comes
    with its 95 % bootstrap interval.
    """
    from app.cli import evaluation, process

    process.run(lambda _: evaluation.evaluate(folder, limit=limit, as_json=as_json))


@cli.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--role", type=click.Choice(["customer", "agent", "lead", "admin"]), required=True)
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@click.option(
    "--person", help="External id of the person it stands for; made if unknown. Customers need one."
)
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Without it the key does not expire.")
@as_json
def create(role: str, name: str, person: str | None, expires_in_days: int | None, *, as_json: bool) -> None:
    """Make a key and print it; it is shown this once."""
    from app.cli import keys as command
    from app.cli import process

    if role == "customer" and person is None:
        raise click.UsageError("A customer's key needs --person.")
    process.run(
        lambda _: command.create(role, name=name, person=person, days=expires_in_days, as_json=as_json)
    )


@keys.command(name="list")
@as_json
def list_(*, as_json: bool) -> None:
    """List keys: prefix, role, expiry, revocation, last use; never the secret."""
    from app.cli import keys as command
    from app.cli import process

    process.run(lambda _: command.list_(as_json=as_json))


@keys.command()
@click.argument("key_id", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """Revoke the key of that id (see `keys list`); it stops at its next request."""
    from app.cli import keys as command
    from app.cli import process

    process.run(lambda _: command.revoke(key_id))


@cli.group()
def ledger() -> None:
    """Look after the billing ledger."""


@ledger.command()
@as_json
def verify(*, as_json: bool) -> None:
    """Prove the ledger by its entries alone, then compare the desk's rows with it.

    Exit code 1 when something does not hold; each such thing is a line.
    """
    from app.cli import ledger as command
    from app.cli import process

    process.run(lambda _: command.verify(as_json=as_json))
