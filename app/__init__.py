"""Tridesk: one Postgres, three desks, answers with sources."""

__version__ = "0.1.0"
