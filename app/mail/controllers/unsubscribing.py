"""Unsubscribing by the link of a mail; whoever has the mail may, no key is asked for."""

from __future__ import annotations

from string import Template
from uuid import UUID

from litestar import MediaType, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.identity import PUBLIC
from app.mail import service
from app.mail.rendering import TEMPLATES
from app.mail.tokens import read_unsubscribe_token

PAGE = TEMPLATES / "unsubscribe.html"
ASK = """<p>Stop these mails?</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">
<button>Unsubscribe</button></form>"""
DONE = "<p>Done: you get no more of these mails.</p>"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


# Pages for people and their mail programs: a generated client has no use for them.
@get("/unsubscribe/{token:str}", opt={PUBLIC: True}, include_in_schema=False)
async def confirm_unsubscribe(
    token: FromPath[str], session: NamedDependency[AsyncSession], state: State
) -> Response[str]:
    """A page that asks. It changes nothing: scanners follow every link of a mail."""
    await service.find_unsubscription(session, _read(state, token))
    return _page(ASK)


@post("/unsubscribe/{token:str}", opt={PUBLIC: True}, include_in_schema=False, status_code=200)
async def unsubscribe_reader(
    token: FromPath[str], session: NamedDependency[AsyncSession], state: State
) -> Response[str]:
    """Unsubscribe: by the page's button, or in one click by the reader's mail program (RFC 8058).

    The body is not read: a program that forgets it was told by its user all the same.
    """
    await service.unsubscribe(session, _read(state, token))
    return _page(DONE)


def _read(state: State, token: str) -> UUID | None:
    settings: Settings = state.settings
    secret = settings.mail_token_secret
    return read_unsubscribe_token(secret, token) if secret else None


def _page(content: str) -> Response[str]:
    template = Template(PAGE.read_text(encoding="utf-8"))
    return Response(template.substitute(content=content), media_type=MediaType.HTML, headers=HEADERS)
