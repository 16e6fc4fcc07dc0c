"""The pages and the documentation's assets as they are served: policies, tags and compression."""

from __future__ import annotations

import gzip
import re

import pytest

ASSETS = ["/schema/assets/swagger-ui-bundle.js", "/schema/assets/swagger-ui.css"]


@pytest.mark.parametrize("path", ["/", "/schema", *ASSETS])
async def test_it_is_open_and_a_second_visit_costs_nothing(client, path):
    first = await client.get(path)
    assert first.status_code == 200
    second = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    other = await client.get(path, headers={"If-None-Match": 'W/"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/", "/schema", *ASSETS])
@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip, br", "gzip"), ("br", None), ("gzip;q=0", None), ("", None)]
)
async def test_it_is_compressed_for_those_who_take_it(client, path, accepted, coding):
    async with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
    assert response.headers.get("content-encoding") == coding
    assert response.headers["vary"] == "Accept-Encoding"
    plain = gzip.decompress(raw) if coding else raw
    assert plain == (await client.get(path)).content


@pytest.mark.parametrize("path", ["/", "/schema"])
async def test_a_page_may_run_its_own_code_only(client, path):
    response = await client.get(path)
    policy = dict(
        each.strip().split(" ", 1) for each in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe" not in response.headers["content-security-policy"]
    own = re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"(/schema/assets/[^\"]+)\"", response.text)
    assert all("'self'" in policy["script-src"] and "'self'" in policy["style-src"] for _ in own)
    for asset in own:
        assert (await client.get(asset)).status_code == 200
    assert "tdk_" not in response.text.replace("tdk_…", "")


async def test_the_documentation_loads_all_its_assets_from_here(client):
    page = (await client.get("/schema")).text
    assert re.findall(r"(?:src|href)=\"(/schema/assets/[^\"]+)\"", page) == [ASSETS[1], ASSETS[0]]
    for asset, kind in zip(ASSETS, ["text/javascript", "text/css"], strict=True):
        response = await client.get(asset)
        assert response.headers["content-type"] == f"{kind}; charset=utf-8"
        assert "max-age" in response.headers["cache-control"]
