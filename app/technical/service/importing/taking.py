"""A batch in its transaction: planned, written, counted, and what is wrong with its rows told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.redaction import redact
from app.technical.constants import UnknownPeople
from app.technical.desk import Desk
from app.technical.importing.incoming import IncomingTicket, RowRefusedError
from app.technical.importing.mapping import Reading
from app.technical.importing.records import Record
from app.technical.models import TicketImport, TicketImportError
from app.technical.service.importing.people import Directory
from app.technical.service.importing.planning import Action, Planned, Planner
from app.technical.service.importing.reading import Batch, Row
from app.technical.service.importing.writing import write

WARNINGS_MAX = 200  # different ones of an import
ORDER = (Action.create, Action.update, Action.nothing)


@dataclass(slots=True)
class Taking:
    """A batch in its transaction."""

    session: AsyncSession
    desk: Desk
    row: TicketImport
    reading: Reading

    async def take(self, batch: Batch) -> None:
        """Plan, write, and note where the next row begins."""
        now, row = datetime.now(UTC), self.row
        for part in _without_repetition(batch):
            await self._part(part, now)
        last = batch.records[-1]
        row.offset_bytes, row.line = last.end, last.next_line
        row.rows_done += len(batch.records)
        for column in self.reading.unknown:
            self._warn("file", f"Unknown column {column}: left out", [row.line], rows=0)
        await self.session.flush()

    async def _part(self, part: Sequence[tuple[Record, Row]], now: datetime) -> None:
        row = self.row
        planner = Planner(
            Directory(row.origin), UnknownPeople(row.unknown_people), now, writes=not row.dry_run
        )
        await planner.load(self.session, [each for _, each in part if isinstance(each, IncomingTicket)])
        planned: list[Planned] = []
        for record_, each in part:
            try:
                if isinstance(each, RowRefusedError):
                    raise each
                planned.append(await planner.plan(self.session, each))
            except RowRefusedError as refused:
                self._refuse(record_, each, refused)
        if row.dry_run:
            row.messages += sum(len(each.messages) for each in planned)
        else:
            row.messages += await write(self.session, self.desk, planned, origin=row.origin, at=now)
        for action in ORDER:
            count = sum(each.action is action for each in planned)
            setattr(row, action, getattr(row, action) + count)
        for (name, warning), lines in planner.notes.items():
            self._warn(name, warning, lines, rows=len(lines))

    def _refuse(self, record_: Record, row: Row, refused: RowRefusedError) -> None:
        self.row.failed += 1
        external_id = row.external_id if isinstance(row, IncomingTicket) else None
        for index, problem in enumerate(refused.problems):
            self.session.add(
                TicketImportError(
                    import_id=self.row.id,
                    line=record_.line,
                    external_id=external_id,
                    field=problem.field[:200],
                    message=problem.message[:500],
                    raw=redact(record_.raw) if index == 0 else None,
                )
            )

    def _warn(self, name: str, message: str, lines: Sequence[int], *, rows: int) -> None:
        """Count a warning on the import; a further different one, when there are many, under one heading."""
        warnings = [dict(each) for each in self.row.warnings]
        found = next((each for each in warnings if (each["field"], each["message"]) == (name, message)), None)
        if found is not None:
            found["rows"] += rows
        elif len(warnings) < WARNINGS_MAX:
            warnings.append({"field": name, "message": message[:500], "rows": rows, "line": lines[0]})
        else:
            warnings[-1] = {
                "field": "file",
                "message": "And others",
                "rows": warnings[-1]["rows"] + rows,
                "line": warnings[-1]["line"],
            }
        self.row.warnings = warnings


def _without_repetition(batch: Batch) -> list[list[tuple[Record, Row]]]:
    """The batch in parts, in none of which a ticket comes twice."""
    parts: list[list[tuple[Record, Row]]] = [[]]
    seen: set[str] = set()
    for pair in zip(batch.records, batch.rows, strict=True):
        row = pair[1]
        if isinstance(row, IncomingTicket):
            if row.external_id in seen:
                parts.append([])
                seen.clear()
            seen.add(row.external_id)
        parts[-1].append(pair)
    return parts
