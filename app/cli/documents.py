"""`search` and `ask`: documents from the command line."""

from __future__ import annotations

import json

import click
import msgspec

from app.cli.common import open_database, printable, quiet_settings
from app.cli.terminal import output
from app.database import Database
from app.identity import SYSTEM
from app.knowledge import RecordCitation
from app.rag.evidence import Composition, section
from app.rag.retrieval import Hit, Scope
from app.rag.runtime import open_rag
from app.rag.service import answers
from app.rag.streaming import Asking

AUDIENCES = ("public", "customers", "staff")  # each sees what those before it see


async def search(query: str, *, limit: int, audience: str, as_json: bool) -> None:
    """Print the best passages that ``audience`` may see."""
    settings = quiet_settings()
    scope = Scope(audiences=AUDIENCES[: AUDIENCES.index(audience) + 1])
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        embedding = await rag.answerer.embed(query)
        async with database.session() as session:
            hits = await rag.retriever.search(
                session, query=query, embedding=embedding, scope=scope, limit=limit
            )
    if as_json:
        click.echo(msgspec.json.encode(hits))
        return
    for rank, hit in enumerate(hits, start=1):
        _show(rank, hit)


def _show(rank: int, hit: Hit) -> None:
    output.print(f"[bold]{rank}.[/bold] ", end="")
    output.print(printable(" > ".join((hit.title, *section(hit)))), markup=False)
    output.print(f"   {printable(' '.join(hit.text.split()))[:300]}", markup=False)
    figures = f"score {hit.score:.3f}, cosine {hit.cosine:.3f}, share {hit.share:.3f}"
    output.print(f"   {figures}; {printable(hit.source or str(hit.document_id))}", markup=False, style="dim")


async def ask(question: str, *, as_json: bool) -> None:
    """Print the answer sentence by sentence, then its sources; or the stored answer as JSON."""
    settings = quiet_settings()
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        asking = Asking(database=database, rag=rag, principal=SYSTEM, question=question)
        if as_json:
            click.echo(msgspec.json.encode(await asking.answer()))
        else:
            await _stream(asking, database)


async def _stream(asking: Asking, database: Database) -> None:
    numbering = answers.Numbering()
    material = await asking.retrieve()
    async for part in asking.rag.answerer.compose(material):
        if not isinstance(part, Composition):
            click.echo(printable(numbering.add(part)[0]), nl=False)
            continue
        async with database.session() as session:
            view = await answers.store(
                session, material=material, composition=part, numbering=numbering, principal=asking.principal
            )
        click.echo("" if part.statements else printable(view.text))
        output.print(
            f"\n{view.outcome}, confidence {view.confidence:.2f}, {view.model}", style="dim", markup=False
        )
        for number, citation in enumerate(numbering.citations, start=1):
            if isinstance(citation, RecordCitation):
                output.print(f"[{number}] {printable(citation.label)}", markup=False)
                continue
            place = " > ".join((citation.title, *citation.heading_path))
            output.print(f"[{number}] {printable(place)}", markup=False)
            quote = json.dumps(" ".join(citation.quote.split())[:300], ensure_ascii=False)
            output.print(f"    {printable(quote)}", markup=False)
