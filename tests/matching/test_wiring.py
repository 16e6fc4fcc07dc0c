"""Where desks get the comparer from."""

from __future__ import annotations

import pytest
from litestar.datastructures import State

from app.exceptions import UnavailableError
from app.matching import Matcher
from app.matching.dependencies import provide_matcher


async def test_the_running_app_has_a_matcher(app):
    assert isinstance(app.state.matcher, Matcher)
    assert await provide_matcher(app.state) is app.state.matcher


async def test_while_the_server_starts_there_is_none():
    with pytest.raises(UnavailableError):
        await provide_matcher(State({}))
