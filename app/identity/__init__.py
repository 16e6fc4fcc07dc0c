"""Identity: who calls, for which account, and in which role."""

from __future__ import annotations

from app.identity.constants import PUBLIC, PrincipalKind, Role
from app.identity.dependencies import provide_principal
from app.identity.guards import require
from app.identity.middleware import AuthenticationMiddleware
from app.identity.principal import SYSTEM, Principal

__all__ = [
    "PUBLIC",
    "SYSTEM",
    "AuthenticationMiddleware",
    "Principal",
    "PrincipalKind",
    "Role",
    "provide_principal",
    "require",
]
