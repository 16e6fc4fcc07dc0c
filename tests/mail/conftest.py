"""The real app with mail switched on: a test desk, a mail server of loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest
from litestar import Litestar

from app.config import Settings
from app.database import Database
from app.mail import Deliverer, Mailer, Receiver
from app.main import create_app
from app.requests import wrap_in_context
from tests.mail.library import ADDRESS, OTHER_SECRET, SECRET, CaseDesk, Mailbox, MailServer


@pytest.fixture(scope="session")
def mail_settings(settings: Settings) -> Settings:
    """Mail in and out, as an operator would set it."""
    return replace(
        settings,
        inbound_mail_secret=(OTHER_SECRET, SECRET),
        smtp_host="127.0.0.1",
        smtp_port=1,
        smtp_tls="none",
        mail_from=ADDRESS,
        mail_token_secret="a secret of at least 24 bytes",
        public_url="https://desk.test",
        mail_max_bytes=200_000,
    )


@pytest.fixture(scope="session")
def app(mail_settings: Settings, database: Database) -> Litestar:
    """Its lifespan is not entered: there are no models to load here, and tests run the jobs."""
    app = create_app(mail_settings, database=database)
    wrap_in_context(app)
    return app


@pytest.fixture
def desk() -> CaseDesk:
    return CaseDesk()


@pytest.fixture
def receiver(mail_settings: Settings, database: Database, desk: CaseDesk) -> Receiver:
    return Receiver(mail_settings, database, [desk])


@pytest.fixture
def mailer(mail_settings: Settings) -> Mailer:
    return Mailer(mail_settings)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def deliverer(mail_settings: Settings, database: Database, mailbox: Mailbox) -> Iterator[Deliverer]:
    """Sends to ``mailbox``."""
    server = MailServer(mailbox)
    server.start()
    yield Deliverer(replace(mail_settings, smtp_port=server.port), database)
    server.stop()


@pytest.fixture
async def admin(as_role) -> AsyncIterator[httpx.AsyncClient]:
    async with as_role("admin") as client:
        yield client
