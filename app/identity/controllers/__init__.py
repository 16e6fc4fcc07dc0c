"""The routes of identity."""

from __future__ import annotations

from litestar import Router

from app.identity.controllers.accounts import AccountController
from app.identity.controllers.keys import ApiKeyController, get_me
from app.identity.controllers.people import PersonController

router = Router(
    path="/v1/identity",
    route_handlers=[get_me, AccountController, PersonController, ApiKeyController],
    tags=["identity"],
)
