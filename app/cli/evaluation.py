"""`eval`: how good are search and answers on a judged set?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.table import Table

from app.cli.common import open_database, quiet_settings
from app.cli.terminal import output
from app.rag.evaluation import Report, evaluate_folder
from app.setup import bring_up_to_date

ARMS = ("bm25", "dense", "fused")


async def evaluate(folder: Path, *, limit: int | None, as_json: bool) -> None:
    """Run the set through the real pipeline and print its report."""
    settings = quiet_settings()
    async with open_database(settings) as database:
        report = await evaluate_folder(
            settings,
            database,
            folder,
            prepare=bring_up_to_date,
            limit=limit,
            progress=lambda line: click.echo(line, err=True),
        )
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)


def _show(report: Report) -> None:
    table = Table("arm", "nDCG@10", "recall@5", "recall@10", "MRR", box=None)
    for name in ARMS:
        arm = getattr(report.arms, name)
        metrics = (arm.ndcg_at_10, arm.recall_at_5, arm.recall_at_10, arm.mrr)
        table.add_row(name, *(f"{each.value:.3f} ({each.low:.3f}-{each.high:.3f})" for each in metrics))
    output.print_table(table)
    output.print(
        f"{report.queries} queries; search p50 {report.latency_ms.p50} ms, p95 {report.latency_ms.p95} ms"
    )
    if report.answers is not None:
        for field in msgspec.structs.fields(report.answers):
            each = getattr(report.answers, field.name)
            output.print(f"{field.name:<22}{each.value:.3f} ({each.low:.3f}-{each.high:.3f})")
