"""Likely duplicates: searched for every night, decided by a product person."""

from app.features.service.clusters.deciding import dismiss, merge, undo
from app.features.service.clusters.reading import CLUSTERS, get, listed, show_all
from app.features.service.clusters.searching import REFRESH_HOURS, REFRESH_JOB, refresh, refresh_handler

__all__ = [
    "CLUSTERS",
    "REFRESH_HOURS",
    "REFRESH_JOB",
    "dismiss",
    "get",
    "listed",
    "merge",
    "refresh",
    "refresh_handler",
    "show_all",
    "undo",
]
