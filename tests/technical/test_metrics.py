"""Metrics: what was counted by hand is what the desk says, in every group, and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from app.technical.models import Team
from app.technical.schemas.metrics import GroupBy, MetricsReport
from app.technical.service.metrics import measure, percentile
from tests.technical.reporting import PERIOD, Made, Maker, by_hand
from tests.technical.test_tickets import PATH, move, write

METRICS = "/v1/technical/metrics"
START, FINISH = PERIOD


async def report(session: AsyncSession, group_by: GroupBy = GroupBy.none) -> MetricsReport:
    return await measure(session, start=START, finish=FINISH, group_by=group_by)


def shown(found: MetricsReport) -> dict[str | None, dict[str, Any]]:
    return {each.key: msgspec.to_builtins(each.metrics) for each in found.groups}


async def lay_down(session: AsyncSession, unique: str, person_ids: list[UUID], seed: int) -> list[Made]:
    teams = [Team(name=f"{name} {unique}") for name in ("A", "B")]
    session.add_all(teams)
    await session.flush()
    tags = [f"{name}{unique}" for name in ("one ", "two ", "=three ")]
    maker = Maker(session, seed, teams=teams, people=person_ids, tags=tags)
    await maker.calendar()
    made = [await maker.make(f"Product {unique} {number % 2}") for number in range(64)]
    for one, other in zip(made[:3], made[3:6], strict=True):
        one.ticket.status, one.ticket.merged_into_id = "merged", other.ticket.id
    await session.flush()
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_figure_of_every_group_is_what_a_count_by_hand_gives(database, caller, unique, seed):
    people = [(await caller("agent")).person_id for _ in range(2)]
    async with database.session() as session:
        before = (await report(session)).total
        made = await lay_down(session, unique, people, seed)
        keys = {
            GroupBy.product: lambda each: [each.ticket.product],
            GroupBy.team: lambda each: [each.ticket.team_id and str(each.ticket.team_id)],
            GroupBy.assignee: lambda each: [each.ticket.assignee_id and str(each.ticket.assignee_id)],
            GroupBy.tag: lambda each: each.ticket.tags,
        }
        for group_by, key_of in keys.items():
            found = shown(await report(session, group_by))
            own = {key for each in made for key in key_of(each) if key is not None}
            assert len(own) > 1
            for key in own:
                inside = [each for each in made if key in key_of(each)]
                assert found[key] == by_hand(inside, START, FINISH), (group_by, key)
        for group_by in GroupBy:
            total = (await report(session, group_by)).total
            hand = by_hand(made, START, FINISH)
            for name in ("created", "solved", "closed", "reopened", "one_touch", "backlog"):
                assert getattr(total, name) - getattr(before, name) == hand[name], (group_by, name)
            assert total.first_reply.count - before.first_reply.count == hand["first_reply"]["count"]
        await session.rollback()


async def test_the_made_tickets_hold_every_case_that_is_told_apart(database, caller, unique):
    people = [(await caller("agent")).person_id]
    async with database.session() as session:
        made = await lay_down(session, unique, people, 1)
        reopened_since = [
            each
            for each in made
            if each.reopenings
            and (each.status_at(FINISH) in ("solved", "closed"))
            and each.ticket.status_changed_at >= FINISH
        ]
        hand = by_hand(made, START, FINISH)
        assert reopened_since
        assert min(hand[name] for name in ("closed", "reopened", "one_touch", "backlog")) > 0
        assert hand["csat"]["count"] > 1
        assert hand["resolution"]["p50_seconds"] != hand["resolution"]["p95_seconds"]
        await session.rollback()


async def test_what_the_desk_does_shows_in_its_metrics(caller, open_ticket, unique):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    product = f"=Product, {unique}"
    tickets = [await open_ticket(customer, product=product) for _ in range(5)]
    for each in tickets[:3]:
        assert (await write(agent, each, "Try again.", status="solved")).status_code == 201
    assert (await customer.client.post(f"{PATH}/{tickets[0]['id']}/csat", json={"score": 4})).is_success
    assert (await write(customer, tickets[1], "It is back.")).status_code == 201
    assert (await move(lead, tickets[2], "closed")).status_code == 200
    into = {"target_id": tickets[3]["id"]}
    assert (await agent.client.post(f"{PATH}/{tickets[4]['id']}/merge", json=into)).status_code == 200
    response = await agent.client.get(METRICS, params={"group_by": "product"})
    assert response.status_code == 200, response.text
    found = response.json()
    group = next(each for each in found["groups"] if each["key"] == product)
    metrics = group["metrics"]
    counts = {"created": 4, "solved": 3, "closed": 1, "reopened": 1, "one_touch": 2, "backlog": 2}
    assert {name: metrics[name] for name in counts} == counts
    assert metrics["reopen_rate"] == pytest.approx(1 / 3, abs=1e-6)
    assert metrics["csat"] == {"count": 1, "average": 4.0, "good": 1, "good_share": 1.0}
    assert metrics["unfinished_now"] == {"new": 1, "open": 1, "pending": 0, "on_hold": 0}
    sheet = await agent.client.get(
        f"{METRICS}.csv", params={"from": found["from"], "to": found["to"], "group_by": "product"}
    )
    assert sheet.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"), newline="")))
    again = (
        await agent.client.get(
            METRICS, params={"from": found["from"], "to": found["to"], "group_by": "product"}
        )
    ).json()
    assert rows[0]["key"] == "*"
    assert [_told(row) for row in rows] == [
        {"key": key, **_flat(metrics)}
        for key, metrics in [
            ("*", again["total"]),
            *((_cell(each["key"]), each["metrics"]) for each in again["groups"]),
        ]
    ]
    assert f"'{product}" in {row["key"] for row in rows}


def _told(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in ("from", "to", "group_by", "name")}


def _cell(key: str | None) -> str:
    return "" if key is None else f"'{key}" if key[0] in "=+-@\t\r\n" else key


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {path: "" if value is None else str(value)}
    nested = [_flat(each, f"{path}_{name}" if path else name) for name, each in value.items()]
    return {name: each for members in nested for name, each in members.items()}


async def test_teams_and_assignees_are_called_by_their_names(caller, open_ticket, unique):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    team = (await lead.client.post("/v1/technical/teams", json={"name": f"Team {unique}"})).json()
    placed = {"team_id": team["id"], "assignee_id": str(agent.person_id)}
    await open_ticket(agent, requester_id=str(customer.person_id), **placed)
    for group_by, key, name in (
        ("team", team["id"], f"Team {unique}"),
        ("assignee", str(agent.person_id), "A agent"),
    ):
        found = (await agent.client.get(METRICS, params={"group_by": group_by})).json()
        assert next(each["name"] for each in found["groups"] if each["key"] == key) == name


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "2026-01-01T00:00:00"}, "from"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2022-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "0001-01-01T00:00:00+14:00", "to": "0001-01-03T00:00:00Z"}, "from"),
        ({"to": "0001-01-03T00:00:00Z"}, "to"),
        ({"group_by": "colour"}, "group_by"),
    ],
)
async def test_a_period_that_makes_no_sense_is_refused_by_name(caller, asked, field):
    agent = await caller("agent")
    for path in (METRICS, f"{METRICS}.csv"):
        response = await agent.client.get(path, params=asked)
        assert response.status_code == 400, response.text
        assert [each["field"] for each in response.json()["errors"]] == [field]


async def test_metrics_are_the_staffs(caller):
    customer, overseer = await caller(), await caller(sees_account=True)
    for each in (customer, overseer):
        for path in (METRICS, f"{METRICS}.csv", f"{PATH}/export"):
            assert (await each.client.get(path)).status_code == 403


async def test_a_period_without_tickets_has_counts_of_zero_and_shares_of_nothing(database):
    start = datetime(1971, 1, 1, tzinfo=UTC)
    async with database.session() as session:
        found = await measure(
            session, start=start, finish=start + timedelta(days=1), group_by=GroupBy.priority
        )
    assert (found.total.created, found.total.backlog, found.total.reopen_rate) == (0, 0, None)
    assert (found.total.resolution.count, found.total.resolution.p95_seconds) == (0, None)
    assert found.total.csat.average is None


async def test_more_groups_than_can_be_shown_are_left_off_and_counted(database, unique, monkeypatch):
    monkeypatch.setattr("app.technical.service.metrics.GROUPS_MAX", 1)
    async with database.session() as session:
        maker = Maker(session, 5, teams=[], people=[], tags=[])
        await maker.calendar()
        for number in range(3):
            await maker.make(f"Few {unique} {uuid4()} {number}")
        found = await report(session, GroupBy.product)
        assert len(found.groups) == 1
        assert found.groups_left_off >= 2
        await session.rollback()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.sampled_from([50, 90, 95]))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values, percent):
    found = percentile(sorted(values), percent)
    assert found in values
    assert 100 * sum(each <= found for each in values) >= percent * len(values)
    assert 100 * sum(each < found for each in values) < percent * len(values)
