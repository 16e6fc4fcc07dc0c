"""What people write, as it is kept: without card numbers, and beside it as HTML that is safe to show.

It is rendered once, when it is written: a list shows a hundred of them.
"""

from __future__ import annotations

import asyncio

from app.conversations.constants import BodyFormat
from app.conversations.rendering import Body, render

RENDERED_AT_ONCE = 2_000  # characters; hostile markup takes 10 ms at that length, a longer text has a thread


async def rendered(markdown: str) -> Body:
    """A Markdown text in its forms."""
    if len(markdown) <= RENDERED_AT_ONCE:
        return render(markdown, BodyFormat.markdown)
    return await asyncio.to_thread(render, markdown, BodyFormat.markdown)
