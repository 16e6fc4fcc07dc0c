"""Measuring search and answers on judged sets."""

from app.rag.evaluation.report import Report
from app.rag.evaluation.runner import evaluate_folder

__all__ = ["Report", "evaluate_folder"]
