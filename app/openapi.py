"""The published OpenAPI document."""

from __future__ import annotations

from litestar.openapi.config import OpenAPIConfig
from litestar.plugins import InitPlugin
from litestar import Request
from typing import Any

from app import __version__

OPENAPI_CONFIG = OpenAPIConfig(title="Tridesk", version=__version__, path="/schema/openapi.json")


class OpenAPIPlugin(InitPlugin):
    """Completes what the framework leaves out."""


async def reject_unknown_query(request: Request[Any, Any, Any]) -> None:
    """Unknown query parameters are an error."""
