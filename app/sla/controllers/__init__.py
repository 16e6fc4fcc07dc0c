"""Routes of sla."""

from __future__ import annotations

from litestar import Router

from app.sla.controllers.calendars import CalendarController
from app.sla.controllers.policies import PolicyController

router = Router(path="/v1/sla", route_handlers=[CalendarController, PolicyController])

__all__ = ["router"]
