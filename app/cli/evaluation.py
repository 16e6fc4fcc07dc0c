"""`eval`: how good are search and answers on a judged set?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from app.cli.common import open_database, quiet_settings, run
from app.rag.evaluation import Report, evaluate_folder
from app.setup import bring_up_to_date

ARMS = ("bm25", "dense", "fused")


@click.command(name="eval")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--limit", type=click.IntRange(1), help="Judge only so many queries and questions, evenly spread."
)
def evaluate(folder: Path, *, as_json: bool, limit: int | None) -> None:
    """Measure search and answers on FOLDER: corpus.jsonl, queries.jsonl, qrels.tsv, and answers.jsonl if there is one.

    The corpus goes through the real pipeline into a schema of its own, which is dropped at the end. Every figure
    comes with its 95 % bootstrap interval.
    """

    async def work() -> Report:
        settings = quiet_settings()
        async with open_database(settings) as database:
            return await evaluate_folder(
                settings,
                database,
                folder,
                prepare=bring_up_to_date,
                limit=limit,
                progress=lambda line: click.echo(line, err=True),
            )

    report = run(work())
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)


def _show(report: Report) -> None:
    console = Console(soft_wrap=True)
    table = Table("arm", "nDCG@10", "recall@5", "recall@10", "MRR", box=None)
    for name in ARMS:
        arm = getattr(report.arms, name)
        metrics = (arm.ndcg_at_10, arm.recall_at_5, arm.recall_at_10, arm.mrr)
        table.add_row(name, *(f"{each.value:.3f} ({each.low:.3f}-{each.high:.3f})" for each in metrics))
    console.print(table)
    console.print(
        f"{report.queries} queries; search p50 {report.latency_ms.p50} ms, p95 {report.latency_ms.p95} ms"
    )
    if report.answers is not None:
        for field in msgspec.structs.fields(report.answers):
            each = getattr(report.answers, field.name)
            console.print(f"{field.name:<22}{each.value:.3f} ({each.low:.3f}-{each.high:.3f})")
