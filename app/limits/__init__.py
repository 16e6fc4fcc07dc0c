"""How many requests a caller may make: one count for all server processes, in the database."""

from app.limits.service import Verdict, purge_idle, take

__all__ = ["Verdict", "purge_idle", "take"]
