"""Every path and every kind of bad request is answered with a problem that echoes nothing of the request."""

from __future__ import annotations

import errno
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from litestar import get
from litestar.params import FromPath
from sqlalchemy import text

from app.exceptions import ConflictError
from app.mail.tokens import unsubscribe_token
from app.main import create_app
from app.problems import PROBLEM_JSON, Problem
from app.requests import wrap_in_context

JSON = {"Content-Type": "application/json"}
MARK = "zq7echo"  # in what is sent; must not come back as a value


@pytest.fixture
async def agent(as_role) -> AsyncIterator[httpx.AsyncClient]:
    async with as_role("agent") as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    """The response's problem; it must be one, with this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_JSON
    assert response.headers["x-request-id"]
    decoded = msgspec.json.decode(response.content, type=Problem)
    assert (decoded.status, decoded.code) == (status, code), response.text
    assert decoded.request_id == response.headers["x-request-id"]
    return decoded


def fields(decoded: Problem) -> list[str]:
    return [each.field for each in decoded.errors or []]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1/rag/nothing",
        "/v1/rag/documents/no-uuid",
        "/schema/x.json",
        "/schema/openapi.json/x",
        "/schema/openapi.json/openapi.json",
        "/%00",
        "/%ff",
    ],
)
async def test_an_unknown_path_is_not_found_for_anybody(client, path):
    problem(await client.get(path), 404, "not_found")


async def test_a_wrong_method_names_the_right_ones(client):
    response = await client.put("/v1/rag/documents")
    problem(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_options_names_the_methods_without_a_key(client):
    response = await client.options("/v1/rag/search")
    assert (response.status_code, response.headers["allow"]) == (204, "OPTIONS, POST")


@pytest.mark.parametrize(
    "path", ["/health/live", "/", "/schema", "/schema/openapi.json", "/v1/rag/collections"]
)
async def test_head_is_get_without_its_body(agent, path):
    got, headed = await agent.get(path), await agent.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]


async def test_head_of_what_cannot_be_read_is_405(agent):
    assert (await agent.head("/v1/rag/search")).status_code == 405


async def test_a_trailing_slash_is_the_same_address(agent):
    assert (await agent.get("/v1/rag/collections/")).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"colection_id={MARK}", "colection_id"),
        ("limit=1&limit=2", "limit"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        (f"limit={MARK}", "limit"),
        (f"status={MARK}", "status"),
        (f"collection_id={MARK}", "collection_id"),
        ("cursor=%FF", "cursor"),
        ("cursor=%00", "cursor"),
        (f"cursor={MARK}", "cursor"),
        ("cursor=" + "a" * 600, "cursor"),
        ("%FF=1", "query"),
    ],
)
async def test_a_query_that_does_not_fit_names_the_parameter_and_echoes_no_value(agent, query, field):
    response = await agent.get(f"/v1/rag/documents?{query}")
    assert fields(problem(response, 400, "validation_error")) == [field]
    assert MARK not in response.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/v1/identity/people", {"name": "a\u202eb"}),
        ("post", "/v1/identity/people", {"name": "a", "external_id": " "}),
        ("get", "/v1/identity/people?q=a%01b", None),
    ],
)
async def test_what_is_wrong_is_said_in_words_and_not_by_a_pattern(agent, method, path, body):
    response = await agent.request(method, path, json=body)
    decoded = problem(response, 400, "validation_error")
    assert len(fields(decoded)) == 1
    assert not [sign for sign in ("regex", "\\", "^", "$") if sign in response.text]


async def test_a_parameter_has_the_name_that_the_caller_knows(as_role):
    async with as_role("agent") as client:
        response = await client.get("/v1/identity/people?account_id=x")
    assert fields(problem(response, 400, "validation_error")) == ["account_id"]


@pytest.mark.parametrize("version", ["0", "-1", str(2**31), str(10**30), "1.5", "NaN"])
async def test_a_version_that_no_column_could_hold_is_refused_before_the_database(agent, version):
    response = await agent.get(f"/v1/rag/documents/{uuid4()}/text?version={version}")
    assert fields(problem(response, 400, "validation_error")) == ["version"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b'{"query": "\xff"}', "body"),
        (b'{"query": "\\ud800"}', "body"),
        (b"\xef\xbb\xbf{}", "body"),
        (b"{}", "query"),
        (b'{"query": 5}', "query"),
        (b'{"query": ""}', "query"),
        (b'{"query": " \\t\\n "}', "query"),
        (b'{"query": "a\\u0000b"}', "query"),
        (b'{"query": "a", "limit": "5"}', "limit"),
        (b'{"query": "a", "limit": 1e400}', "limit"),
        (b'{"query": "a", "limit": NaN}', "body"),
        (b'{"query": "a", "limit": ' + b"9" * 400 + b"}", "limit"),
        (b'{"query": "a", "collections": []}', "collections"),
        (
            b'{"query": "a", "collections": ["00000000-0000-0000-0000-000000000000", "zq7echo"]}',
            "collections[1]",
        ),
        (b'{"query": "a", "filters": {"as_of": "zq7echo"}}', "filters.as_of"),
        (b'{"query": "a", "filters": {"as_of": "2026-01-01T00:00:00"}}', "filters.as_of"),
        (b'{"query": "a", "filters": {"product": "\\u0000"}}', "filters.product"),
        (b'{"query": "a", "filters": {"colour": "zq7echo"}}', "filters.colour"),
        (b'{"query": "a", "Limit": "zq7echo"}', "Limit"),
        (b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "query"),
        (b'{"q": ' + b"[" * 100_000, "q"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_place_and_echoes_no_value(agent, body, field):
    response = await agent.post("/v1/rag/search", content=body, headers=JSON)
    assert fields(problem(response, 400, "validation_error")) == [field]
    assert MARK not in response.text


@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "multipart/form-data; boundary=x"}])
async def test_a_body_that_did_not_come_is_required(agent, headers):
    response = await agent.post("/v1/rag/search", content=b"", headers=headers)
    (error,) = problem(response, 400, "validation_error").errors or []
    assert (error.field, error.message) == ("body", "Required")


async def test_a_character_that_postgres_cannot_store_is_refused_by_its_place(agent):
    body = b'{"collection_id": "019a0000-0000-7000-8000-000000000001", "content": "a\\u0000b"}'
    response = await agent.post("/v1/rag/documents", content=body, headers=JSON)
    assert fields(problem(response, 400, "validation_error")) == ["content"]
    harmless = body.replace(b"\\u0000", b"\\\\u0000")  # an escaped backslash, then plain text
    problem(
        await agent.post("/v1/rag/documents", content=harmless, headers=JSON), 404, "collection_not_found"
    )


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_at_the_end_of_the_calendar_is_no_fault_of_the_server(agent, moment):
    response = await agent.post("/v1/rag/search", json={"query": "a", "filters": {"as_of": moment}})
    assert response.status_code in (200, 400), response.text


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/msgpack",
    ],
)
@pytest.mark.parametrize("path", ["/v1/rag/search", "/v1/rag/answers", "/v1/rag/chats"])
async def test_json_under_another_name_is_415(agent, path, kind):
    body = json.dumps({"query": "a"}).encode()
    problem(
        await agent.post(path, content=body, headers={"Content-Type": kind}), 415, "unsupported_media_type"
    )


async def test_a_document_is_json_or_a_form(agent):
    response = await agent.post("/v1/rag/documents", content=b"text", headers={"Content-Type": "text/plain"})
    problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_announced_or_not(agent, settings, chunked):
    async def pieces():
        for _ in range(settings.body_max_bytes // 2**16 + 2):
            yield b" " * 2**16

    content = pieces() if chunked else b" " * (settings.body_max_bytes + 1)
    problem(await agent.post("/v1/rag/search", content=content, headers=JSON), 413, "payload_too_large")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", None),
        (b"--x\r\n\r\n", None),
        (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\r\n--x--\r\n', "body"),
        (
            b"--x\r\nContent-Type: text/plain; charset=nonsense\r\n"
            b'Content-Disposition: form-data; name="title"\r\n\r\na\r\n--x--\r\n',
            "body",
        ),
        (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\na\0b\r\n--x--\r\n', "title"),
        (
            b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\na\r\n'
            b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nb\r\n--x--\r\n',
            "title",
        ),
        (b'--x\r\nContent-Disposition: form-data; name="colour"\r\n\r\na\r\n--x--\r\n', "colour"),
        (
            b'--x\r\nContent-Disposition: form-data; name="collection_id"\r\n\r\n'
            b"019a0000-0000-7000-8000-000000000001\r\n--x--\r\n",
            "file",
        ),
    ],
)
async def test_a_form_that_does_not_fit_is_400(agent, content, field):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    decoded = problem(
        await agent.post("/v1/rag/documents", content=content, headers=headers), 400, "validation_error"
    )
    assert field is None or fields(decoded) == [field]


CONTENT_TYPES = [
    b"application/json",
    b"application/json; charset=\xff",
    b"multipart/form-data; boundary=x",
    b"multipart/form-data; boundary=",
    b'multipart/form-data; boundary="\xff"',
    b"multipart/form-data",
]
FORM_PIECES = [
    b"--x",
    b"--",
    b"\r\n",
    b'Content-Disposition: form-data; name="file"; filename="a"',
    b"name=",
    b"\0",
    b"a",
]


@example_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(
    body=st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(FORM_PIECES), max_size=20).map(b"".join)
    ),
    kind=st.sampled_from(CONTENT_TYPES),
)
async def test_no_bytes_at_all_make_the_server_fail(agent, body, kind):
    """Any bytes as a document, under either content type, are the caller's mistake."""
    response = await agent.post("/v1/rag/documents", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400, (response.status_code, response.text)
    assert response.headers["content-type"] == PROBLEM_JSON


@pytest.fixture
async def failing(settings, database, rag) -> AsyncIterator[httpx.AsyncClient]:
    """The app with routes that fail, each in its own way."""

    async def violate() -> None:
        async with database.session() as session:
            for _ in range(2):
                await session.execute(text("insert into collection (name, description) values ('twice', '')"))

    failures = {
        "plain": RuntimeError(MARK),
        "group": ExceptionGroup("many", [ExceptionGroup("one", [ConflictError("It is taken.")])]),
        "two": ExceptionGroup("many", [ValueError(MARK), KeyError(MARK)]),
        "gone": ConnectionRefusedError(errno.ECONNREFUSED, MARK),
    }

    @get("/fail/{how:str}", opt={"public": True}, include_in_schema=False)
    async def fail(how: FromPath[str]) -> None:
        if how == "constraint":
            await violate()
        if how == "unstorable":
            async with database.session() as session:
                await session.execute(text("select cast(:value as text)"), {"value": "a\0b"})
        raise failures[how]

    app = create_app(settings, database=database, rag=rag)
    app.register(fail)
    transport = httpx.ASGITransport(app=app)
    wrap_in_context(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("plain", 500, "internal_error"),
        ("two", 500, "internal_error"),
        ("group", 409, "conflict"),
        ("constraint", 409, "conflict"),
        ("gone", 503, "database_unavailable"),
        ("unstorable", 400, "validation_error"),
    ],
)
async def test_an_unforeseen_error_is_a_problem_that_tells_nothing_of_itself(failing, how, status, code):
    response = await failing.get(f"/fail/{how}?secret={MARK}")
    problem(response, status, code)
    assert MARK not in response.text
    assert "constraint" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize("given_id", ["abc-1", "a" * 64])
async def test_a_request_id_is_kept(client, given_id):
    response = await client.get("/health/live", headers={"X-Request-ID": given_id})
    assert response.headers["x-request-id"] == given_id


@pytest.mark.parametrize("given_id", ["a b", "a" * 65, "é", ""])
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(client, given_id):
    response = await client.get("/health/live", headers={"X-Request-ID": given_id.encode()})
    assert response.headers["x-request-id"] != given_id
    assert len(response.headers["x-request-id"]) == 32


async def test_every_response_carries_the_security_headers(client):
    for path in ("/", "/nothing", "/health/live", "/v1/rag/search"):
        response = await client.get(path)
        assert response.headers["x-content-type-options"] == "nosniff", path
        assert response.headers["x-frame-options"] == "DENY", path


async def test_the_log_has_the_path_but_neither_query_nor_body(client, caplog):
    with caplog.at_level("INFO", logger="app.access"):
        await client.post(f"/nothing?{MARK}=1", content=MARK)
    (record,) = [each for each in caplog.records if each.name == "app.access"]
    assert "/nothing 404" in record.getMessage()
    assert MARK not in record.getMessage()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize(
    "path", ["/v1/unsubscribe/{}", "/v1/unsubscribe/{}/", "/unsubscribe/{}", "/v1/unsubscribe/{}/x"]
)
async def test_no_token_of_a_path_is_in_the_log(client, caplog, method, path):
    token = unsubscribe_token("a secret of at least 24 bytes", uuid4())
    with caplog.at_level("DEBUG"):
        await client.request(method, path.format(token))
    records = [each for each in caplog.records if each.name == "app.access"]
    assert len(records) == 1
    # the client's own line is no part of the server
    assert token not in str([vars(each) for each in caplog.records if each.name.startswith("app.")])


async def test_the_log_keeps_the_ids_of_a_path(agent, caplog):
    path = f"/v1/rag/documents/{uuid4()}"
    with caplog.at_level("INFO", logger="app.access"):
        await agent.get(path)
    (record,) = [each for each in caplog.records if each.name == "app.access"]
    assert f"GET {path} 404" in record.getMessage()
