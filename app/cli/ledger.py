"""`ledger verify`: does the ledger prove itself, and do the billing desk's rows agree with it?"""

from __future__ import annotations

import click
import msgspec
from rich.table import Table
from sqlalchemy import text

from app.billing.schemas.ledger import LedgerReport
from app.billing.service import ledger
from app.cli.common import open_database, printable, quiet_settings
from app.cli.operation import UnwellError
from app.cli.terminal import output

# One look at everything, while others post; it waits for nobody and nobody waits for it.
ONE_LOOK = text("set transaction isolation level repeatable read, read only")


async def verify(*, as_json: bool) -> None:
    """Print the proof; exit code 1 when something does not hold."""
    async with open_database(quiet_settings()) as database, database.session() as session:
        await session.execute(ONE_LOOK)
        report = await ledger.verify(session)
    if as_json:
        click.echo(msgspec.json.encode(msgspec.to_builtins(report) | {"proved": report.holds}))
    else:
        _show(report)
    if not report.holds:
        raise UnwellError


def _show(report: LedgerReport) -> None:
    if report.books:
        table = Table("book", "currency", "minor units", "entries", box=None)
        for book in report.books:
            table.add_row(printable(book.book), book.currency, str(book.amount), str(book.entries))
        output.print_table(table)
    output.print(
        f"{report.transactions} transactions, {report.entries} entries, {report.payments} payments",
        markup=False,
    )
    for title, found in (
        ("overdrawn by the provider", report.overdrawn),
        ("violation", report.violations),
        ("difference", report.differences),
    ):
        for each in found:
            line = f"{title}: {each.violation} {each.thing}: {each.detail}"
            output.print(printable(line), markup=False)
    if report.holds:
        output.print("proved")
    else:
        output.print(
            f"not proved: {len(report.violations)} violations, {len(report.differences)} differences"
        )
