"""Who gets the next ticket, as a pure rule: shares, capacities, skills, order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.technical.utils.choosing import Candidate, choose, needed_skills

START = datetime(2026, 11, 22, tzinfo=UTC)


def hand_out(candidates: list[Candidate], count: int) -> Counter[UUID]:
    """Tickets that come one by one, to whom they go."""
    now = {each.person_id: each for each in candidates}
    given_to: Counter[UUID] = Counter()
    for number in range(count):
        chosen = choose(now.values())
        if chosen is None:
            break
        now[chosen.person_id] = chosen.given_one(START + timedelta(seconds=number))
        given_to[chosen.person_id] += 1
    return given_to


def members(*capacities: int | None) -> list[Candidate]:
    return [Candidate(person_id=UUID(int=index), capacity=each) for index, each in enumerate(capacities)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 200))
def test_no_share_is_more_than_one_ticket_from_its_proportion(capacities, count):
    """And nobody gets more than their capacity, nor does a ticket wait while somebody has room."""
    shares = hand_out(members(*capacities), count)
    assert sum(shares.values()) == min(count, sum(capacities))
    for index, capacity in enumerate(capacities):
        assert shares[UUID(int=index)] <= capacity
    loads = [shares[UUID(int=index)] / capacity for index, capacity in enumerate(capacities)]
    for load, capacity in zip(loads, capacities, strict=True):
        assert load - 1 / capacity <= min(loads) + 1e-9  # their last one came when nobody had less


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5))
def test_what_divides_without_a_remainder_is_shared_out_exactly(weights, times):
    capacities = [each * 10 for each in weights]
    shares = hand_out(members(*capacities), sum(weights) * times)
    assert [shares[UUID(int=index)] for index in range(len(weights))] == [each * times for each in weights]


@given(st.integers(1, 10), st.integers(1, 20))
def test_who_has_no_limit_takes_as_much_as_the_greatest_and_is_never_full(capacity, more):
    one, two = members(capacity, None)
    shares = hand_out([one, two], 2 * capacity + more)
    assert shares[one.person_id] == capacity
    assert shares[two.person_id] == capacity + more


def test_of_equals_the_one_whose_last_ticket_is_longest_ago_is_chosen():
    a, b, c = (
        Candidate(person_id=UUID(int=index), last_assigned_at=START + timedelta(minutes=minutes))
        for index, minutes in enumerate((3, 1, 2))
    )
    assert choose([a, b, c]) == b
    never = Candidate(person_id=UUID(int=9))
    assert choose([a, b, c, never]) == never


def test_the_absent_and_the_full_get_nothing():
    absent = Candidate(person_id=UUID(int=1), available=False)
    full = Candidate(person_id=UUID(int=2), capacity=2, unfinished=2)
    assert choose([absent, full]) is None
    busy = Candidate(person_id=UUID(int=3), capacity=2, unfinished=1)
    assert choose([absent, full, busy]) == busy


def test_a_ticket_needs_the_skills_that_somebody_of_the_team_has_and_no_others():
    csv = Candidate(person_id=UUID(int=1), skills=frozenset({"csv"}))
    both = Candidate(person_id=UUID(int=2), skills=frozenset({"csv", "sso"}), unfinished=5)
    needed = needed_skills([csv, both], ["CSV", "unheard-of", None, "sso "])
    assert needed == {"csv", "sso"}
    assert choose([csv, both], needed) == both
    assert choose([csv], needed) is None
    assert choose([csv, both], {"csv"}) == csv
