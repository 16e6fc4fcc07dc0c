"""A process to be killed: ``python -m tests.technical.importing_process IMPORT_ID`` works through an import.

Says ``taken`` after each batch that is committed. The database is in DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.main import technical_desk
from app.technical.service.importing import Importer, reading

SMALL = 20  # rows of a batch, so that there are many to be killed in


class _Talking(Importer):
    async def _take_whole(self, *arguments: Any) -> bool:
        taken = await super()._take_whole(*arguments)
        print("taken", flush=True)
        return taken


async def work(import_id: UUID) -> None:
    """Until the import ends, or the process is."""
    reading.BATCH = SMALL
    settings = Settings.from_environment()
    database = Database(settings)
    database.open()
    await _Talking(database, technical_desk(settings)).run(import_id, seconds=3600)
    await database.stop()


if __name__ == "__main__":
    asyncio.run(work(UUID(sys.argv[1])))
