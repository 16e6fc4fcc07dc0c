"""The `tridesk` command."""

from __future__ import annotations

import sys

import rich_click as click

from app import __version__
from app.cli import documents, evaluation, keys, operation, serving
from app.exceptions import TrideskError

click.rich_click.COMMAND_GROUPS = {
    "tridesk": [
        {"name": "Run", "commands": ["up", "serve", "worker", "migrate", "doctor"]},
        {"name": "Documents", "commands": ["ingest", "search", "ask", "eval"]},
        {"name": "Access and clients", "commands": ["keys", "openapi"]},
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tridesk")
def cli() -> None:
    """Tridesk: one Postgres, three desks, answers with sources.

    Settings come from the environment (see .env.example); without DATABASE_URL an embedded Postgres is used, with
    its data under DATA_DIR.
    """


for command in (
    serving.up,
    serving.serve,
    serving.worker,
    serving.migrate,
    operation.doctor,
    operation.openapi,
    documents.ingest,
    documents.search,
    documents.ask,
    evaluation.evaluate,
    keys.keys,
):
    cli.add_command(command)


def main() -> None:
    """Entry point: our own errors become one line on standard error and exit code 1."""
    try:
        cli(standalone_mode=False)
    except TrideskError as error:
        click.echo(f"tridesk: {error.detail or error.title}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
