"""`up` and `serve`: the API in this process."""

from __future__ import annotations

import logging
import signal
import socket
import sys

from litestar import Litestar

from app.cli import listening
from app.cli.common import make_database, printable, read_settings
from app.cli.process import Interruption
from app.cli.terminal import Steps, output, steps
from app.config import Settings
from app.database import Database
from app.identity import SYSTEM
from app.knowledge import ChunkCitation
from app.main import create_app
from app.rag.runtime import Rag
from app.rag.schemas import AnswerView
from app.rag.streaming import Asking
from app.sample import Sample, load_sample
from app.setup import bring_up_to_date, check_login

logger = logging.getLogger(__name__)


async def up(interruption: Interruption) -> None:
    """Database, migrations, sample company, a first answer, server."""
    settings = read_settings()
    with steps("Starting Postgres" if settings.database_url is None else "Connecting to Postgres") as say:
        await _Run(settings, interruption, say, is_whole=True).run()


async def serve(interruption: Interruption) -> None:
    """The server; only an embedded database is brought up to date, since nobody else would."""
    settings = read_settings()
    with steps("Starting") as say:
        await _Run(settings, interruption, say, is_whole=False).run()


class _Run:
    """One run of the server, from its sockets to its end."""

    def __init__(self, settings: Settings, interruption: Interruption, say: Steps, *, is_whole: bool) -> None:
        self._settings = settings
        self._interruption = interruption
        self._say = say
        self._is_whole = is_whole
        wanted = settings.sample_company
        self._with_sample = is_whole and (settings.database_url is None if wanted is None else wanted)
        self._database, self._embedded = make_database(settings)
        self._address = ""
        self._first: tuple[Sample, AnswerView | None] | None = None
        self._is_open = self._is_listening = False

    async def run(self) -> None:
        """Until a signal comes; everything is closed again whatever happens."""
        sockets = listening.open_sockets(self._settings)
        self._address = listening.address_of(sockets)
        try:
            if self._embedded is not None:
                await self._embedded.start_async(progress=lambda line: self._say("Starting Postgres", line))
            self._database.open()
            app = create_app(
                self._settings, database=self._database, reach=self._reach, prepare=self._prepare
            )
            async with app.lifespan():
                await self._serve(app, sockets)
        finally:
            listening.close(sockets)
            await self._database.stop()

    async def _reach(self) -> None:
        if self._is_whole or self._embedded is not None:
            self._say("Bringing the database up to date")
            await bring_up_to_date(self._settings, self._database)
        else:
            await check_login(self._database)
        self._say("Loading the models")

    async def _prepare(self, rag: Rag) -> None:
        if self._with_sample:
            sample = await load_sample(
                self._database, self._settings.data_dir, self._tell, wait=self._settings.worker_in_server
            )
            self._first = (sample, await _first_answer(self._database, rag, sample))
        self._is_open = True
        self._announce()

    def _tell(self, ready: int, total: int) -> None:
        if ready < total:
            self._say("Loading the sample company", f"{ready} of {total} pages ready")

    async def _serve(self, app: Litestar, sockets: list[socket.socket]) -> None:
        server = listening.Server(app, self._listening)

        def drain(number: int) -> None:
            app.state.draining = True
            at_terminal = number == signal.SIGINT
            server.drain(listening.DRAIN_SECONDS_AT_A_TERMINAL if at_terminal else listening.DRAIN_SECONDS)

        self._interruption.stop_by(drain)
        try:
            await server.serve(sockets)
        except OSError as error:
            if server.started:
                raise
            raise listening.port_error(self._settings, error) from error

    def _listening(self) -> None:
        self._is_listening = True
        self._announce()

    def _announce(self) -> None:
        """Once both are so; what comes first waits, but a database that is away is told of."""
        if not self._is_listening:
            return
        self._say.stop()
        if not self._is_open:
            output.print(f"Tridesk listens at {self._address} and waits for its database.")
            return
        output.print(
            f"\n[bold]Tridesk is ready at {self._address}[/bold]   documentation: {self._address}/schema\n"
        )
        if self._first is not None:
            _show(*self._first)
        if sys.stdout.isatty():
            output.print("Press Ctrl-C to stop.")
        logger.debug("ready at %s", self._address)


async def _first_answer(database: Database, rag: Rag, sample: Sample) -> AnswerView | None:
    if not sample.is_searchable:
        return None
    asking = Asking(database=database, rag=rag, principal=SYSTEM, question=sample.first_question)
    return await asking.answer()


def _show(sample: Sample, answer: AnswerView | None) -> None:
    for role, key in sample.keys.items():
        output.print(f"  {role:<9}{key}", markup=False)
    output.print(f"  (also in {sample.keys_path})\n", markup=False)
    for failure in sample.failed:
        output.print(f"This page of the sample company is missing: {printable(failure)}", markup=False)
    if answer is None:
        output.print("The sample company waits for a worker: run `tridesk worker`.\n", markup=False)
        return
    output.print(f"[bold]{answer.question}[/bold]")
    output.print(printable(answer.text), markup=False)
    for number, citation in enumerate(answer.citations, start=1):
        if isinstance(citation, ChunkCitation):
            place = " > ".join((citation.title, *citation.heading_path))
            output.print(f"  [{number}] {printable(place)}", markup=False)
    output.print()
