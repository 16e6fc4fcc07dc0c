"""The routes of sla through the real app: rules of calendars and policies, roles, versions."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import sla
from tests.sla.conftest import at

CALENDARS, POLICIES = "/v1/sla/calendars", "/v1/sla/policies"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
OFFICE = {
    "zone": "Europe/Berlin",
    "hours": [{"weekday": day, "opens": "09:00", "closes": "17:00"} for day in DAYS],
}


@pytest.fixture
def lead(as_role):
    return as_role("lead")


@pytest.fixture
async def calendar(lead, unique):
    made = await lead.post(CALENDARS, json={"name": unique, **OFFICE})
    assert made.status_code == 201, made.text
    return made.json()


@pytest.fixture
async def policy(lead, calendar, unique):
    body = {
        "name": unique,
        "calendar_id": calendar["id"],
        "targets": [{"kind": "resolution", "seconds": 3600}],
    }
    made = await lead.post(POLICIES, json=body)
    assert made.status_code == 201, made.text
    return made.json()


def fields(response) -> list[str]:
    return [each["field"] for each in response.json()["errors"]]


async def test_the_examples_of_the_document_work(lead, client):
    paths = (await client.get("/schema/openapi.json")).json()["paths"]

    def example(path: str) -> dict:
        return paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]

    calendar = await lead.post(CALENDARS, json=example(CALENDARS))
    assert calendar.status_code == 201
    policy = await lead.post(POLICIES, json={**example(POLICIES), "calendar_id": calendar.json()["id"]})
    assert policy.status_code == 201
    preview = example(f"{CALENDARS}/{{calendar_id}}/preview")
    assert (await lead.post(f"{CALENDARS}/{calendar.json()['id']}/preview", json=preview)).status_code == 200
    assert (
        await lead.post(POLICIES, json=example(POLICIES))
    ).status_code == 409  # its name; then its calendar


class TestCalendars:
    async def test_it_is_shown_as_it_was_made(self, lead, calendar):
        shown = await lead.get(f"{CALENDARS}/{calendar['id']}")
        assert shown.json() == calendar
        assert shown.headers["etag"] == '"1"'
        assert (calendar["holidays"], calendar["overrides"]) == ([], [])
        assert calendar in (await lead.get(CALENDARS)).json()["items"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"zone": "Europe/Atlantis"}, "zone"),
            ({"zone": "localtime"}, "zone"),
            ({"zone": "../etc/passwd"}, "zone"),
            ({"hours": [{"weekday": "monday", "opens": "09:00", "closes": "09:00"}]}, "hours[0].closes"),
            ({"hours": [{"weekday": "monday", "opens": "00:00", "closes": "00:59:59"}]}, "hours"),
            ({"holidays": [{"country": "XX"}]}, "holidays[0].country"),
            ({"holidays": [{"country": "DE", "subdivision": "NY"}]}, "holidays[0].subdivision"),
            ({"overrides": [{"date": "2026-12-24"}, {"date": "2026-12-24"}]}, "overrides[1].date"),
            ({"overrides": [{"date": "1900-01-01"}]}, "overrides[0].date"),
            (
                {"overrides": [{"date": "2026-12-24", "hours": [{"opens": "22:00", "closes": "06:00"}]}]},
                "overrides[0].hours[0].closes",
            ),
        ],
    )
    async def test_what_makes_no_sense_is_refused_by_its_field(self, lead, unique, change, field):
        refused = await lead.post(CALENDARS, json={"name": unique, **OFFICE, **change})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_calendar")
        assert fields(refused) == [field]

    @pytest.mark.parametrize(
        "change",
        [
            {"hours": []},
            {"hours": [{"weekday": "monday", "opens": "24:00", "closes": "24:00"}]},
            {"hours": [{"weekday": "monday", "opens": "9:00", "closes": "17:00"}]},
            {"hours": [{"weekday": "monday", "opens": "09:00", "closes": "24:01"}]},
            {"hours": [{"weekday": "Monday", "opens": "09:00", "closes": "17:00"}]},
            {"hours": [{"weekday": "monday", "opens": "09:00", "closes": "17:00"}] * 101},
            {"overrides": [{"date": "2026-02-30"}]},
            {"zone": 7},
            {"surprise": 1},
            {"name": "\0"},
        ],
    )
    async def test_what_does_not_fit_its_schema_is_a_validation_error(self, lead, unique, change):
        refused = await lead.post(CALENDARS, json={"name": unique, **OFFICE, **change})
        assert (refused.status_code, refused.json()["code"]) == (400, "validation_error")

    async def test_a_calendar_closed_for_the_whole_look_ahead_is_refused(self, lead, unique):
        today = datetime.now(UTC).date().toordinal()
        mondays = [
            {"date": day.isoformat()}
            for day in map(type(datetime.now(UTC).date()).fromordinal, range(today - 2, today + 380))
            if day.weekday() == 0
        ]
        body = {"name": unique, **OFFICE, "hours": OFFICE["hours"][:1], "overrides": mondays}
        refused = await lead.post(CALENDARS, json=body)
        assert fields(refused) == ["overrides"]
        body["overrides"] = mondays[1:-10]
        assert (await lead.post(CALENDARS, json=body)).status_code == 201

    async def test_a_name_is_taken_once(self, lead, calendar):
        refused = await lead.post(CALENDARS, json={"name": calendar["name"], **OFFICE})
        assert (refused.status_code, refused.json()["code"]) == (409, "calendar_exists")
        assert refused.json()["id"] == calendar["id"]

    async def test_two_editors_one_412(self, lead, calendar):
        address, seen = f"{CALENDARS}/{calendar['id']}", {"If-Match": '"1"'}
        first = await lead.patch(address, json={"zone": "Europe/Vienna"}, headers=seen)
        assert (first.status_code, first.headers["etag"], first.json()["version"]) == (200, '"2"', 2)
        second = await lead.patch(address, json={"zone": "Europe/Paris"}, headers=seen)
        assert (second.status_code, second.json()["code"]) == (412, "version_mismatch")
        assert second.json()["current_version"] == 2
        assert (await lead.delete(address, headers=seen)).status_code == 412

    async def test_a_change_that_changes_nothing_makes_no_version(self, lead, calendar):
        same = await lead.patch(f"{CALENDARS}/{calendar['id']}", json={"zone": calendar["zone"]})
        assert same.json() == calendar

    async def test_one_in_use_cannot_be_deleted(self, lead, calendar, policy):
        refused = await lead.delete(f"{CALENDARS}/{calendar['id']}")
        assert (refused.status_code, refused.json()["code"]) == (409, "calendar_in_use")
        assert (refused.json()["policies"], refused.json()["clocks"]) == (1, 0)
        assert (await lead.delete(f"{POLICIES}/{policy['id']}")).status_code == 204
        assert (await lead.delete(f"{CALENDARS}/{calendar['id']}")).status_code == 204
        assert (await lead.get(f"{CALENDARS}/{calendar['id']}")).status_code == 404

    async def test_one_that_a_running_clock_counts_by_cannot_be_deleted(self, lead, calendar, policy, desk):
        await desk.open(at(20, 9))
        await lead.delete(f"{POLICIES}/{policy['id']}")
        refused = await lead.delete(f"{CALENDARS}/{calendar['id']}")
        assert (refused.json()["policies"], refused.json()["clocks"]) == (0, 2)
        await desk.do(sla.cancel, at=at(20, 10))
        assert (await lead.delete(f"{CALENDARS}/{calendar['id']}")).status_code == 204

    async def test_its_changes_are_in_the_audit_log(self, database, lead, calendar):
        await lead.patch(f"{CALENDARS}/{calendar['id']}", json={"zone": "Europe/Vienna"})
        await lead.delete(f"{CALENDARS}/{calendar['id']}")
        async with database.session() as session:
            rows = await session.execute(
                text("select type, audit, before from event where subject_id = :id order by number"),
                {"id": calendar["id"]},
            )
            found = [tuple(row) for row in rows]
        assert [row[:2] for row in found] == [
            (f"sla_calendar.{what}", True) for what in ("created", "updated", "deleted")
        ]
        assert found[1][2] == {"zone": "Europe/Berlin"}

    async def test_its_versions_can_not_be_rewritten_by_the_application(self, database, calendar):
        for statement in ("update sla_calendar_version set version = 9", "delete from sla_calendar_version"):
            with pytest.raises(Exception, match="permission denied"):
                async with database.session() as session:
                    await session.execute(text(statement))


class TestPreview:
    async def test_it_shows_the_deadline_and_what_it_is_made_of(self, lead, calendar):
        body = {"start": "2026-11-20T15:30:00.75+01:00", "seconds": 2 * 3600}
        shown = (await lead.post(f"{CALENDARS}/{calendar['id']}/preview", json=body)).json()
        assert shown == {
            "start": "2026-11-20T14:30:00Z",
            "seconds": 7200,
            "deadline": "2026-11-23T08:30:00Z",
            "intervals": [
                {"start": "2026-11-20T14:30:00Z", "end": "2026-11-20T16:00:00Z"},
                {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:30:00Z"},
            ],
            "intervals_omitted": False,
        }

    @pytest.mark.parametrize(
        ("start", "seconds", "answer"),
        [
            ("9999-12-31T23:59:59Z", 1, (422, "moment_out_of_range")),
            ("0001-01-01T00:00:00+14:00", 1, (422, "moment_out_of_range")),
            ("2199-12-31T00:00:00Z", 10**6, (422, "unreachable_target")),
            ("2026-11-20T09:00:00", 1, (400, "validation_error")),
            ("2026-11-20T09:00:00Z", -1, (400, "validation_error")),
            ("2026-11-20T09:00:00Z", 10**12, (400, "validation_error")),
        ],
    )
    async def test_what_cannot_be_worked_out_is_said(self, lead, calendar, start, seconds, answer):
        body = {"start": start, "seconds": seconds}
        refused = await lead.post(f"{CALENDARS}/{calendar['id']}/preview", json=body)
        assert (refused.status_code, refused.json()["code"]) == answer

    async def test_more_than_500_intervals_are_cut_and_said_to_be(self, lead, calendar):
        body = {"start": "2026-01-01T00:00:00Z", "seconds": 600 * 8 * 3600}
        shown = (await lead.post(f"{CALENDARS}/{calendar['id']}/preview", json=body)).json()
        assert (len(shown["intervals"]), shown["intervals_omitted"]) == (500, True)

    async def test_holidays_are_listed_with_those_that_are_overridden(self, lead, calendar):
        address = f"{CALENDARS}/{calendar['id']}"
        change = {
            "holidays": [{"country": "DE", "subdivision": "BE"}],
            "overrides": [{"date": "2026-12-25", "hours": [{"opens": "10:00", "closes": "12:00"}]}],
        }
        assert (await lead.patch(address, json=change)).status_code == 200
        listed = (await lead.get(f"{address}/holidays", params={"year": 2026})).json()
        found = {each["date"]: each["overridden"] for each in listed["holidays"]}
        assert found["2026-03-08"] is False  # Berlin's own
        assert found["2026-12-25"] is True
        assert list(found) == sorted(found)
        assert (await lead.get(f"{address}/holidays", params={"year": 1066})).status_code == 400


class TestPolicies:
    async def test_without_a_position_it_comes_last_and_the_list_is_in_their_order(
        self, lead, calendar, policy
    ):
        body = {key: policy[key] for key in ("calendar_id", "targets")}
        last = (await lead.post(POLICIES, json={**body, "name": "last"})).json()
        first = (await lead.post(POLICIES, json={**body, "name": "first", "position": 1})).json()
        assert last["position"] > policy["position"]
        listed = (await lead.get(POLICIES)).json()["items"]
        assert [each["id"] for each in listed] == [first["id"], policy["id"], last["id"]]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            (
                {"targets": [{"kind": "resolution", "seconds": 1}, {"kind": "resolution", "seconds": 2}]},
                "targets[1]",
            ),
            ({"warn_at_percent": [50, 50]}, "warn_at_percent"),
            (
                {"conditions": [{"field": "plan", "operator": "all_of", "values": ["a", "b"]}]},
                "conditions[0].operator",
            ),
        ],
    )
    async def test_what_contradicts_itself_is_refused_by_its_field(self, lead, policy, change, field):
        for refused in (
            await lead.patch(f"{POLICIES}/{policy['id']}", json=change),
            await lead.post(
                POLICIES,
                json={
                    "name": "x",
                    "calendar_id": policy["calendar_id"],
                    "targets": policy["targets"],
                    **change,
                },
            ),
        ):
            assert (refused.status_code, refused.json()["code"]) == (400, "invalid_policy")
            assert fields(refused) == [field]

    @pytest.mark.parametrize(
        "change",
        [
            {"targets": []},
            {"targets": [{"kind": "evidence", "seconds": 1}]},
            {"targets": [{"kind": "resolution", "seconds": 0}]},
            {"targets": [{"kind": "resolution", "seconds": 10**10}]},
            {"warn_at_percent": [100]},
            {"conditions": [{"field": "plan", "operator": "any_of", "values": []}]},
            {"conditions": [{"field": "mood", "operator": "any_of", "values": ["bad"]}]},
            {"conditions": [{"field": "plan", "operator": "any_of", "values": ["a\0b"]}]},
            {"position": -1},
            {"enabled": "yes"},
        ],
    )
    async def test_what_does_not_fit_its_schema_is_a_validation_error(self, lead, policy, change):
        refused = await lead.patch(f"{POLICIES}/{policy['id']}", json=change)
        assert (refused.status_code, refused.json()["code"]) == (400, "validation_error")

    async def test_an_unknown_calendar_is_named(self, lead, policy):
        unknown = str(uuid4())
        refused = await lead.patch(f"{POLICIES}/{policy['id']}", json={"calendar_id": unknown})
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown_calendar")
        assert refused.json()["calendar_id"] == unknown

    async def test_a_target_that_takes_decades_is_refused_from_both_sides(self, lead, calendar, policy):
        one_hour = [{"weekday": "monday", "opens": "09:00", "closes": "10:00"}]
        targets = [{"kind": "resolution", "seconds": 1000 * 3600}]
        assert (await lead.patch(f"{POLICIES}/{policy['id']}", json={"targets": targets})).status_code == 200
        refused = await lead.patch(f"{CALENDARS}/{calendar['id']}", json={"hours": one_hour})
        assert (refused.status_code, refused.json()["code"]) == (422, "unreachable_target")
        assert (await lead.get(f"{CALENDARS}/{calendar['id']}")).json() == calendar

    async def test_a_change_counts_the_version_up(self, lead, policy):
        changed = await lead.patch(
            f"{POLICIES}/{policy['id']}", json={"enabled": False}, headers={"If-Match": '"1"'}
        )
        assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
        assert changed.json()["enabled"] is False

    async def test_a_policy_takes_effect_on_running_clocks_in_the_same_request(self, lead, policy, desk):
        await desk.open(at(20, 9))
        assert (await desk.clock("resolution")).due_at == at(20, 10)
        targets = [{"kind": "resolution", "seconds": 7200}]
        await lead.patch(f"{POLICIES}/{policy['id']}", json={"targets": targets})
        assert (await desk.clock("resolution")).due_at == at(20, 11)


class TestRoles:
    @pytest.mark.parametrize("path", [CALENDARS, POLICIES])
    async def test_customers_see_none_and_agents_change_none(self, as_role, client, calendar, policy, path):
        one = f"{path}/{calendar['id'] if path == CALENDARS else policy['id']}"
        body = {"name": "new", **OFFICE}
        if path == POLICIES:
            body = {"name": "new", "calendar_id": calendar["id"], "targets": policy["targets"]}
        customer, agent, admin = as_role("customer"), as_role("agent"), as_role("admin")
        for reading in (path, one):
            assert (await client.get(reading)).status_code == 401
            assert (await agent.get(reading)).status_code == 200
        assert (await customer.get(path)).status_code == 403
        assert (await customer.get(one)).status_code == 404
        for caller, refused in ((customer, 404), (agent, 403)):
            assert (await caller.post(path, json=body)).status_code == 403
            assert (await caller.patch(one, json={"name": "x"})).status_code == refused
            assert (await caller.delete(one)).status_code == refused
        assert (await admin.post(path, json=body)).status_code == 201
        for further in ("holidays?year=2026", "preview"):
            address = f"{CALENDARS}/{calendar['id']}/{further}"
            method = "POST" if further == "preview" else "GET"
            assert (await customer.request(method, address)).status_code == 404

    @pytest.mark.parametrize("path", [CALENDARS, POLICIES])
    async def test_what_does_not_exist_is_404_with_its_code(self, lead, path):
        code = "calendar_not_found" if path == CALENDARS else "policy_not_found"
        one = f"{path}/{uuid4()}"
        for answer in (
            await lead.get(one),
            await lead.patch(one, json={"name": "x"}),
            await lead.delete(one),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, code)
