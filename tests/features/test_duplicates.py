"""Likely duplicates that are found at night; with the real model."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.service.clusters import refresh
from app.features.utils.clustering import clusters
from app.main import features_desk

REQUESTS, DUPLICATES = "/v1/features/requests", "/v1/features/duplicates"
NUMBERS = st.integers(0, 12)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] != pair[1]), max_size=20)


class Duplicates:
    """Requests of one board that say the same, and the clusters that the nightly search makes of them."""

    def __init__(self, agent, board_id, word, embedded, look):
        self.agent, self.board_id, self.word, self._embedded, self._look = (
            agent,
            board_id,
            word,
            embedded,
            look,
        )

    async def ask(self, count=1, **given):
        """The ids of new requests; without ``title`` they are one in the same words."""
        text = f"Show the {self.word} report as a chart, please: numbers alone say little."
        said = {"title": f"Chart of the {self.word} report", "body": text, "on_duplicate": "create"}
        request = {"board_id": self.board_id} | said | given
        made = [await self.post(REQUESTS, status=201, json=request) for _ in range(count)]
        await self._embedded()
        return [each["id"] for each in made]

    async def found(self, looks=1):
        """The board's open clusters, after so many searches at once."""
        await asyncio.gather(*(self._look() for _ in range(looks)))
        listed = await self.agent.client.get(DUPLICATES, params={"status": "open", "limit": 100})
        return [each for each in listed.json()["items"] if each["board_id"] == self.board_id]

    async def post(self, path, status=200, **given):
        response = await self.agent.client.post(path, **given)
        assert response.status_code == status, response.text
        return response.json()

    async def merged_into(self, ids):
        requests = [(await self.agent.client.get(f"{REQUESTS}/{each}")).json() for each in ids]
        return [each["merged_into"] and each["merged_into"]["id"] for each in requests]


@pytest.fixture
def look(database, rag):
    """``await look()``: the nightly search for duplicates."""
    return partial(refresh, database, features_desk(database.settings, rag))


@pytest.fixture
async def duplicates(caller, board, embedded, look, word):
    return Duplicates(await caller("agent"), (await board())["id"], word, embedded, look)


def of(cluster):
    """The ids of a cluster's members."""
    return {each["request"]["id"] for each in cluster["members"]}


async def test_clusters_are_merged_with_one_click_undone_and_dismissed(caller, duplicates):
    made = await duplicates.ask(3)
    (other,) = await duplicates.ask(title="Keyboard shortcuts", body="")
    await (await caller()).client.put(f"{REQUESTS}/{made[1]}/vote")
    (cluster,) = await duplicates.found()
    assert of(cluster) == set(made)
    path = f"{DUPLICATES}/{cluster['id']}"
    refused = await duplicates.post(f"{path}/merge", status=422, json={"into": other})
    assert refused["code"] == "unknown_request"
    merged = await duplicates.post(f"{path}/merge", json={})
    assert (merged["status"], merged["target_id"]) == ("merged", made[1]), "it has the most votes"
    assert await duplicates.merged_into(made) == [made[1], None, made[1]]
    again = await duplicates.post(f"{path}/merge", status=409, json={})
    assert again["code"] == "cluster_decided"
    assert await duplicates.found() == [], "what is merged is no duplicate any more"
    await duplicates.post(f"{REQUESTS}/{made[0]}/unmerge")
    undone = await duplicates.post(f"{path}/undo")
    assert (undone["status"], undone["decided_at"]) == ("open", None)
    assert await duplicates.merged_into(made) == [None] * 3
    assert [each["id"] for each in await duplicates.found()] == [cluster["id"]]
    assert (await duplicates.post(f"{path}/dismiss"))["status"] == "dismissed"
    assert await duplicates.found() == [], "not proposed again"


async def test_clusters_are_the_staffs_and_searched_for_by_leads(caller):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    assert (await customer.client.get(DUPLICATES)).status_code == 403
    assert (await agent.client.post(f"{DUPLICATES}/refresh")).status_code == 403
    assert (await lead.client.post(f"{DUPLICATES}/refresh")).status_code == 202


async def test_searches_at_once_and_decisions_taken_back_leave_one_cluster_of_the_same(duplicates):
    made = await duplicates.ask(2)
    (cluster,) = await duplicates.found(looks=3)
    path = f"{DUPLICATES}/{cluster['id']}"
    merged = await duplicates.post(f"{path}/merge", json={})
    (source,) = set(made) - {merged["target_id"]}
    await duplicates.post(f"{REQUESTS}/{source}/unmerge")
    (second,) = await duplicates.found()
    assert second["id"] != cluster["id"], "the first one is decided"
    await duplicates.post(f"{path}/undo")
    (left,) = await duplicates.found()
    assert of(left) == set(made)
    for each in made:
        await duplicates.post(f"{REQUESTS}/{each}/transitions", json={"to": "declined"})
    assert await duplicates.found() == [], "nobody works on these"


async def test_what_was_dismissed_does_not_come_together_through_a_third_one(duplicates):
    made = await duplicates.ask(2)
    (cluster,) = await duplicates.found()
    await duplicates.post(f"{DUPLICATES}/{cluster['id']}/dismiss")
    (third,) = await duplicates.ask()
    (proposed,) = await duplicates.found()
    assert third in of(proposed)
    assert len(of(proposed)) == 2
    assert [each["id"] for each in await duplicates.found()] == [proposed["id"]], "the same again"
    assert of(proposed) < {third, *made}


@given(pairs=PAIRS)
def test_clusters_are_what_pairs_connect(pairs):
    found = clusters(pairs)
    assert sum(map(len, found)) == len({each for pair in pairs for each in pair})
    edges = {frozenset(pair) for pair in pairs}
    for one, other in pairs:
        assert [one in each for each in found] == [other in each for each in found]
    for each in found:
        reached, frontier = set(), [min(each)]
        while frontier:
            here = frontier.pop()
            reached.add(here)
            frontier += [other for other in each - reached if frozenset({here, other}) in edges]
        assert reached == each
    assert not any(one & other for one, other in combinations(found, 2))


@given(pairs=PAIRS, apart=PAIRS)
def test_clusters_keep_apart_what_is_and_leave_out_no_pair_without_need(pairs, apart):
    found = clusters(pairs, apart=apart)
    forbidden = {frozenset(pair) for pair in apart}
    assert not any(frozenset(pair) in forbidden for each in found for pair in combinations(each, 2))
    of = {each: members for members in found for each in members}
    for one, other in pairs:
        together = of.get(one, {one}) | of.get(other, {other})
        is_one = other in of.get(one, {one})
        assert is_one or any(frozenset(pair) in forbidden for pair in combinations(together, 2))
