"""`ingest`, `search`, `ask`: documents from the command line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.common import open_database, quiet_settings, run
from app.cli.ingestion import Ingestion, Outcome, collect_files
from app.database import Database
from app.exceptions import InvalidError
from app.identity import SYSTEM
from app.jobs import Worker
from app.main import job_handlers
from app.rag.evidence import Composition
from app.rag.retrieval import Scope
from app.rag.runtime import open_rag
from app.rag.schemas import AUDIENCE_PATTERN
from app.rag.service import answers
from app.rag.streaming import Asking

console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def _audience(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.match(AUDIENCE_PATTERN, value):
        raise click.BadParameter("use public, customers, staff or account:<account id>")
    return value


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--collection", help="Collection to put them in; by default the name of the file's top folder.")
@click.option("--audience", default="public", show_default=True, callback=_audience, help="Who may read them.")
@click.option("--product", help="Product that the documents are about.")
@click.option("--product-version", help="Its version.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def ingest(
    paths: tuple[Path, ...],
    collection: str | None,
    audience: str,
    product: str | None,
    product_version: str | None,
    *,
    as_json: bool,
) -> None:
    """Take in files and folders and wait until they are searchable.

    A file seen before is taken in again only when it has changed, and then only its changed passages are embedded. A
    run that is cut off goes on where it was. Each file that cannot be read is named with the reason; the rest goes
    on, and the exit code is 1.
    """
    files = collect_files(paths)
    if not files:
        raise InvalidError("no files there")
    ingestion = Ingestion(
        files=files, collection=collection, audience=audience, product=product, product_version=product_version
    )
    outcome = run(_ingest(ingestion, show=not as_json))
    if as_json:
        click.echo(msgspec.json.encode(outcome))
    else:
        console.print(outcome.summary())
    if outcome.failed:
        sys.exit(1)


async def _ingest(ingestion: Ingestion, *, show: bool) -> Outcome:
    settings = quiet_settings()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        worker = Worker(database, job_handlers(rag), concurrency=max(2, settings.worker_concurrency))
        worker.start()
        try:
            with Progress(*columns, console=errors, disable=not show) as progress:
                task = progress.add_task("Ingesting", total=len(ingestion.files), rate="")
                async for event in ingestion.run(database):
                    progress.update(task, completed=event.finished, rate=f"{event.rate:.1f} files/s")
                    for failure in event.failures:
                        errors.print(f"{failure.file}: {failure.code}: {failure.detail}", markup=False)
        finally:
            await worker.stop()
    return ingestion.outcome()


@click.command()
@click.argument("query")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--audience", default="staff", show_default=True, type=click.Choice(["public", "customers", "staff"]))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(query: str, limit: int, audience: str, *, as_json: bool) -> None:
    """Search the documents by words and meaning."""

    async def work() -> None:
        settings = quiet_settings()
        async with open_database(settings) as database, open_rag(settings, database) as rag:
            embedding = await rag.answerer.embed(query)
            async with database.session() as session:
                hits = await rag.retriever.search(
                    session, query=query, embedding=embedding, scope=Scope(audiences=_tokens(audience)), limit=limit
                )
        if as_json:
            click.echo(msgspec.json.encode(hits))
            return
        for rank, hit in enumerate(hits, start=1):
            console.print(f"[bold]{rank}.[/bold] ", end="")
            console.print(" > ".join((hit.title, *hit.heading_path)), markup=False)
            console.print(f"   {' '.join(hit.text.split())[:300]}", markup=False)
            figures = f"score {hit.score:.3f} = cosine {hit.cosine:.3f} + share {hit.share:.3f}"
            console.print(f"   [dim]{figures}; {hit.source or hit.document_id}[/dim]")

    run(work())


@click.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the stored answer as JSON instead of streaming.")
def ask(question: str, *, as_json: bool) -> None:
    """Ask the documents; the answer streams in, its sources follow."""

    async def work() -> None:
        settings = quiet_settings()
        async with open_database(settings) as database, open_rag(settings, database) as rag:
            asking = Asking(database=database, rag=rag, principal=SYSTEM, question=question)
            if as_json:
                click.echo(msgspec.json.encode(await asking.answer()))
                return
            await _stream(asking, database)

    run(work())


async def _stream(asking: Asking, database: Database) -> None:
    numbering = answers.Numbering()
    material = await asking.retrieve()
    async for part in asking.rag.answerer.compose(material):
        if not isinstance(part, Composition):
            click.echo(numbering.add(part)[0], nl=False)
            continue
        async with database.session() as session:
            view = await answers.store(
                session, material=material, composition=part, numbering=numbering, principal=asking.principal
            )
        if not part.statements:
            click.echo(view.text, nl=False)
        click.echo()
        console.print(f"\n[dim]{view.outcome}, confidence {view.confidence:.2f}, {view.model}[/dim]")
        for number, citation in enumerate(numbering.citations, start=1):
            place = " > ".join((citation.title, *citation.heading_path))
            console.print(f"[{number}] {place}", markup=False)
            console.print(f"    {json.dumps(' '.join(citation.quote.split())[:300], ensure_ascii=False)}", markup=False)


def _tokens(audience: str) -> tuple[str, ...]:
    order = ("public", "customers", "staff")
    return order[: order.index(audience) + 1]


