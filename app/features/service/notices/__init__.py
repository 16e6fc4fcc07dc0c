"""Notices: what people are told, once each."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import FeatureStatus
from app.features.models import Comment, Request
from app.identity.principal import Principal


async def moved(session: AsyncSession, request: Request, before: FeatureStatus, *, actor: Principal) -> None:
    """A locked request came from one status to another: it is told when that has stood for a while."""


async def commented(session: AsyncSession, request: Request, comment: Comment, *, actor: Principal) -> None:
    """A public comment that others may read was made, or was approved: who wants comments is told of it."""
