"""Routes of the technical desk."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from app.technical.controllers.messages import TicketMessageController
from app.technical.controllers.tickets import TicketController
from app.technical.dependencies import provide_desk

router = Router(
    path="/v1/technical",
    route_handlers=[TicketController, TicketMessageController],
    dependencies={"desk": Provide(provide_desk)},
)

__all__ = ["router"]
