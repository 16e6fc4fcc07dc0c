"""The published OpenAPI document: what the framework generates, completed in one place.

``declarations`` is what a handler says of itself; ``components`` are the schemas, ``errors`` the problems,
``operations`` puts them on each operation, ``plugin`` hangs it all into the app and ``parameters`` refuses
query parameters that the document does not know.
"""

from __future__ import annotations

from app.openapi.declarations import documented
from app.openapi.parameters import reject_unknown_query
from app.openapi.plugin import OPENAPI_CONFIG, OpenAPIPlugin

__all__ = ["OPENAPI_CONFIG", "OpenAPIPlugin", "documented", "reject_unknown_query"]
