"""As a program, a worker that mails until nothing is due: ``python -m tests.features.telling <dsn>``.

It says ``mail`` for each mail that it has written and not committed yet, so that it can be killed there.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Any

from app.config import Settings
from app.database import Database
from app.features.desk import Desk
from app.features.service.notices.mailing import mail_due
from app.mail import Mailer
from app.main import features_desk


def desk_that_mails(settings: Settings, mailer: type[Mailer] = Mailer) -> Desk:
    """Its mails are written and queued; nobody sends them."""
    mailing = replace(
        settings,
        smtp_host="127.0.0.1",
        mail_from="support@acme.example",
        mail_token_secret="a secret of at least 24 bytes",
        public_url="https://support.acme.example",
    )
    return replace(features_desk(mailing), mailer=mailer(mailing))


class Saying(Mailer):
    """Says each mail."""

    async def send(self, *args: Any, **given: Any) -> Any:
        written = await super().send(*args, **given)
        sys.stdout.write("mail\n")
        sys.stdout.flush()
        return written


async def main(dsn: str) -> None:
    settings = replace(Settings(), database_url=dsn)
    database = Database(settings, embedded=None)
    database.open()
    try:
        await mail_due(database, desk_that_mails(settings, Saying))
    finally:
        await database.engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
