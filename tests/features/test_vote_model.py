"""Votes, merges and moves against a simple model: sets of voters, and an arrow from source to target."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from app.database import Database
from app.features.constants import CLOSED, TRANSITIONS, FeatureStatus
from app.features.exceptions import (
    InvalidRequestTransitionError,
    NotMergedError,
    RequestClosedError,
    RequestMergedError,
)
from app.features.models import VOTERS, Request
from app.features.service import merging, transitions, votes
from tests.features.racing import Cast, root_of
from tests.features.test_vote_races import cast_of

REQUESTS, PEOPLE = 4, 3
FEW = 30
RESET = text("""
delete from feature_vote where request_id in (select id from feature_request where board_id = :board)
""")
OPEN = text("""
update feature_request set merged_into_id = null, merged_at = null, status = 'open', votes = 0
where board_id = :board
""")
UNLINK = text("""
delete from feature_merge where source_id in (select id from feature_request where board_id = :board)
""")
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["cast", "cast", "withdraw", "merge", "merge", "unmerge", "move"]),
        st.integers(0, REQUESTS - 1),
        st.integers(0, max(REQUESTS, PEOPLE) - 1),
    ),
    min_size=15,
    max_size=40,
)


@dataclass
class Model:
    """What a person would keep on paper."""

    votes: dict[int, dict[int, int]] = field(default_factory=lambda: {n: {} for n in range(REQUESTS)})
    arrows: dict[int, int] = field(default_factory=dict)
    status: dict[int, FeatureStatus] = field(
        default_factory=lambda: dict.fromkeys(range(REQUESTS), FeatureStatus.open)
    )

    def group(self, root: int) -> list[int]:
        return [each for each in range(REQUESTS) if root_of(each, self.arrows) == root]

    def voters(self, root: int) -> dict[int, int]:
        """Each voter with the time of their first vote in the group."""
        found: dict[int, int] = {}
        for each in self.group(root):
            for person, at in self.votes[each].items():
                found[person] = min(at, found.get(person, at))
        return found

    def act(self, name: str, request: int, other: int, at: int) -> type[Exception] | None:
        """Do it, or say how it is refused."""
        root, person = root_of(request, self.arrows), other % PEOPLE
        match name:
            case "cast" if person not in self.voters(root):
                if self.status[root] in CLOSED:
                    return RequestClosedError
                self.votes[root][person] = at
            case "withdraw":
                for each in self.group(root):
                    self.votes[each].pop(person, None)
            case "merge":
                if request in self.arrows or other % REQUESTS in self.arrows:
                    return RequestMergedError
                self.arrows[request] = other % REQUESTS
            case "unmerge":
                if self.arrows.pop(request, None) is None:
                    return NotMergedError
            case "move":
                to = list(FeatureStatus)[other % len(FeatureStatus)]
                if request in self.arrows:
                    return RequestMergedError
                if to not in TRANSITIONS[self.status[request]]:
                    return InvalidRequestTransitionError
                self.status[request] = to
        return None


@pytest.fixture(scope="module")
async def cast(database: Database) -> Cast:
    return await cast_of(database, requests_=REQUESTS, people=PEOPLE)


@settings(max_examples=FEW, deadline=None)
@given(acts=ACTS)
async def test_whatever_is_done_counts_voters_and_gives_them_back(database: Database, cast: Cast, acts):
    async with database.session() as session:
        for each in (RESET, UNLINK, OPEN):
            await session.execute(each, {"board": cast.board_id})
    model = Model()
    for at, (name, request, other) in enumerate(acts):
        if name == "merge" and request == other % REQUESTS:
            continue
        refused = model.act(name, request, other, at)
        assert await done(database, cast, name, request, other) is refused, (name, request, other)
        if name in ("merge", "unmerge", "withdraw") and refused is None:
            await compare(database, cast, model)
    await compare(database, cast, model)
    for request in sorted(model.arrows):
        model.act("unmerge", request, 0, 0)
        await done(database, cast, "unmerge", request, 0)
    await compare(database, cast, model)


async def compare(database: Database, cast: Cast, model: Model) -> None:
    """Counts, voters in the order of their first votes, merges and statuses are the model's."""
    async with database.session() as session:
        board = select(Request).where(Request.board_id == cast.board_id)
        rows = {each.id: each for each in await session.scalars(board)}
        seen = (await session.execute(select(VOTERS).order_by(VOTERS.c.voted_at))).all()
    for number, request_id in enumerate(cast.request_ids):
        row, root = rows[request_id], root_of(number, model.arrows)
        assert row.status == model.status[number]
        assert row.merged_into_id == (None if root == number else cast.request_ids[root])
        if root != number:
            continue
        expected = model.voters(number)
        order = [cast.person_ids[each] for each in sorted(expected, key=expected.__getitem__)]
        assert [each.person_id for each in seen if each.root_id == request_id] == order
        assert row.votes == len(order)


async def done(database: Database, cast: Cast, name: str, request: int, other: int) -> type[Exception] | None:
    """Do it for real; how it was refused."""
    request_id, person_id = cast.request_ids[request], cast.person_ids[other % PEOPLE]
    try:
        async with database.session() as session:
            match name:
                case "cast":
                    await votes.cast(session, request_id, person_id, actor=cast.agent)
                case "withdraw":
                    await votes.withdraw(session, request_id, person_id, actor=cast.agent)
                case "merge":
                    target = cast.request_ids[other % REQUESTS]
                    await merging.merge(session, request_id, target, actor=cast.agent)
                case "unmerge":
                    await merging.unmerge(session, request_id, actor=cast.agent)
                case "move":
                    to = list(FeatureStatus)[other % len(FeatureStatus)]
                    await transitions.move(session, request_id, to, actor=cast.agent)
    except (RequestClosedError, RequestMergedError, NotMergedError, InvalidRequestTransitionError) as error:
        return type(error)
    return None
