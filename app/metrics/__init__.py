"""Figures for monitoring, in Prometheus' text forms: an own registry an app, nothing global."""

from app.metrics.registry import Metrics, Source

__all__ = ["Metrics", "Source"]
