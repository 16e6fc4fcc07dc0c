"""Importing tickets: the upload, the job that works through it, and what is told of it.

``uploads`` stores the file, ``running`` is the job, ``planning`` compares a row with what is here,
``writing`` stores what is new, ``showing`` tells of it.
"""

from app.technical.constants import IMPORT_JOB
from app.technical.service.importing.running import Importer
from app.technical.service.importing.showing import PURGE_HOURS, purge

__all__ = ["IMPORT_JOB", "PURGE_HOURS", "Importer", "purge"]
