"""`ingest`: what is shown while files are taken in."""

from __future__ import annotations

import time
from datetime import timedelta

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.common import open_database, printable, quiet_settings
from app.cli.ingestion import Event, Failure, Ingestion
from app.cli.operation import UnwellError
from app.cli.terminal import errors, output
from app.exceptions import InvalidError
from app.jobs import Worker
from app.main import job_handlers
from app.rag.runtime import open_rag

LINE_EVERY = 5.0  # seconds between two lines in a pipe


async def ingest(ingestion: Ingestion, *, as_json: bool) -> None:
    """Take the files in with a worker of our own; the exit code is 1 when one of them failed."""
    if not ingestion.files and not ingestion.unreadable:
        raise InvalidError("there are no files to take in")
    settings = quiet_settings()
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        worker = Worker(database, job_handlers(rag), concurrency=max(2, settings.worker_concurrency))
        worker.start()
        try:
            with _display(len(ingestion.files), quiet=as_json) as display:
                async for event in ingestion.run(database, upload_max_bytes=settings.upload_max_bytes):
                    display.show(event)
        finally:
            await worker.stop()
    outcome = ingestion.outcome()
    if as_json:
        click.echo(msgspec.json.encode(outcome))
    else:
        output.print(outcome.summary(), markup=False)
    if outcome.failed:
        raise UnwellError


def _display(total: int, *, quiet: bool) -> _Display:
    if quiet:
        return _Display()
    return _Bar(total) if errors.is_terminal else _Lines(total)


class _Display:
    """Shows nothing: the JSON says it all."""

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(self, event: Event) -> None:
        """Something has been finished."""


class _Lines(_Display):
    """A line every few seconds, and one for each failure."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._said = time.monotonic()

    def show(self, event: Event) -> None:
        """Failures at once, the rest now and then."""
        for failure in event.failures:
            errors.print(_line(failure), markup=False)
        if time.monotonic() - self._said < LINE_EVERY or event.finished >= self._total:
            return
        self._said = time.monotonic()
        left = (self._total - event.finished) / event.rate if event.rate else 0
        errors.print(
            f"{event.finished} of {self._total} files, {event.rate:.1f} files/s,"
            f" {timedelta(seconds=round(left))} left",
            markup=False,
        )


class _Bar(_Display):
    """A bar with rate and time left; failures stay above it."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=errors,
        )
        self._task = self._progress.add_task("Ingesting", total=total, rate="")

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Move the bar on."""
        for failure in event.failures:
            errors.print(_line(failure), markup=False)
        self._progress.update(self._task, completed=event.finished, rate=f"{event.rate:.1f} files/s")


def _line(failure: Failure) -> str:
    return printable(f"{failure.file}: {failure.code}: {failure.detail}").replace("\n", " ")
