"""Who changes a thing says which version they have seen; of two editors of the same version one is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import create_engine
from app.main import create_app
from app.openapi import documented
from app.preconditions import Expected, VersionMismatchError, etag
from app.requests import wrap_in_context


class Note(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    body: str
    version: int


class NoteCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    body: str


class NoteUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    body: str


COLUMNS = "returning id, body, version"


async def one(session: AsyncSession, sql: str, **values: object) -> Note:
    row = (await session.execute(text(sql), values)).one()
    return msgspec.convert(row, Note, from_attributes=True)


@post("/test/notes", operation_id="create_note", tags=["health"])
async def create(data: JSONBody[NoteCreate], session: NamedDependency[AsyncSession]) -> Note:
    """Make a note."""
    return await one(session, f"insert into versioned_note (body) values (:body) {COLUMNS}", body=data.body)


@get("/test/notes/{note_id:uuid}", operation_id="get_note", tags=["health"])
async def read(note_id: FromPath[UUID], session: NamedDependency[AsyncSession]) -> Note:
    """A note."""
    return await one(session, "select id, body, version from versioned_note where id = :id", id=note_id)


@get("/test/notes/{note_id:uuid}/counted", opt=documented(etag=False), include_in_schema=False)
async def counted(note_id: FromPath[UUID]) -> Response[Note]:
    return Response(Note(id=note_id, body="of something else", version=3))


@patch("/test/notes/{note_id:uuid}", operation_id="update_note", tags=["health"])
async def update(
    note_id: FromPath[UUID],
    data: JSONBody[NoteUpdate],
    session: NamedDependency[AsyncSession],
    expected: NamedDependency[Expected],
) -> Note:
    """Change a note."""
    found = await one(
        session, "select id, body, version from versioned_note where id = :id for update", id=note_id
    )
    expected.check(found.version)
    return await one(
        session,
        f"update versioned_note set body = :body, version = version + 1 where id = :id {COLUMNS}",
        id=note_id,
        body=data.body,
    )


@pytest.fixture(scope="module")
async def notebook(settings, database, rag) -> AsyncIterator[Litestar]:
    """The real app with a resource that has versions."""
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(
            text(
                "create table versioned_note (id uuid default uuidv7() primary key, body text not null,"
                " version int default 1 not null)"
            )
        )
    app = create_app(settings, database=database, rag=rag)
    for handler in (create, read, counted, update):
        app.register(handler)
    wrap_in_context(app)
    yield app
    async with owner.begin() as connection:
        await connection.execute(text("drop table versioned_note"))
    await owner.dispose()


@pytest.fixture
async def editor(notebook, keys) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=notebook),
        base_url="http://tridesk.test",
        headers={"Authorization": f"Bearer {keys['agent']}"},
    ) as client:
        yield client


@pytest.fixture
async def note(editor) -> str:
    """Address of a new note."""
    made = await editor.post("/test/notes", json={"body": "first"})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    return f"/test/notes/{made.json()['id']}"


async def write(editor, note: str, body: str, *if_match: str) -> httpx.Response:
    headers = [("If-Match", each) for each in if_match]
    return await editor.patch(note, json={"body": body}, headers=headers)


async def test_the_etag_follows_the_version(editor, note):
    for version in (2, 3):
        changed = await write(editor, note, "next", etag(version - 1))
        assert (changed.status_code, changed.json()["version"], changed.headers["etag"]) == (
            200,
            version,
            f'"{version}"',
        )
    assert (await editor.get(note)).headers["etag"] == '"3"'


async def test_of_two_editors_at_once_one_is_told_and_changes_nothing(editor, note):
    """Ten times, and ten editors at once: every one but the first has a stale version."""
    for version in range(1, 11):
        responses = await asyncio.gather(
            *(write(editor, note, f"editor {number}", etag(version)) for number in range(10))
        )
        assert sorted(each.status_code for each in responses) == [200] + [412] * 9
        (winner,) = [each for each in responses if each.status_code == 200]
        for loser in responses:
            if loser.status_code == 412:
                assert loser.json()["code"] == "version_mismatch"
                assert loser.json()["current_version"] == version + 1
        assert (await editor.get(note)).json() == winner.json()


async def test_two_editors_of_a_person_of_the_real_api(as_role, unique):
    async with as_role("agent") as client:
        person = (await client.post("/v1/identity/people", json={"name": unique})).json()
        path, tag = f"/v1/identity/people/{person['id']}", etag(person["version"])
        responses = await asyncio.gather(
            *(
                client.patch(path, json={"name": f"{unique} {number}"}, headers={"If-Match": tag})
                for number in range(2)
            )
        )
        assert sorted(each.status_code for each in responses) == [200, 412]
        (winner,) = [each for each in responses if each.status_code == 200]
        assert (await client.get(path)).json()["name"] == winner.json()["name"]


async def test_without_if_match_the_last_one_wins(editor, note):
    for body in ("one", "two"):
        assert (await write(editor, note, body)).status_code == 200


@pytest.mark.parametrize(
    ("given_tags", "status"),
    [
        (["*"], 200),
        (['"1"'], 200),
        (['"7", "1"'], 200),
        (['"7"', '"1"'], 200),
        (['"7" ,"1",'], 200),
        (['"7"'], 412),
        (['W/"1"'], 412),
        (['"01"'], 412),
        (['""'], 412),
        (['"ä"'], 412),
        (["1"], 400),
        (['"1'], 400),
        (['"1" "2"'], 400),
        (['w/"1"'], 400),
        (["*, *"], 400),
        ([""], 400),
        (['"1"' + ', "1"' * 300], 400),
    ],
)
async def test_if_match_is_a_star_or_a_list_of_strong_tags(editor, note, given_tags, status):
    headers = [(b"If-Match", each.encode("latin-1")) for each in given_tags]
    response = await editor.patch(note, json={"body": "other"}, headers=headers)
    assert response.status_code == status, response.text
    if status == 400:
        assert [each["field"] for each in response.json()["errors"]] == ["If-Match"]
    assert (await editor.get(note)).json()["version"] == (2 if status == 200 else 1)


@pytest.mark.parametrize(
    ("given_tags", "is_weak"),
    [('W/"1"', True), ('W/"7"', True), ('"7", W/"1"', True), ('"7", W/"8"', False), ('"7"', False)],
)
async def test_who_sends_a_weak_tag_is_told_that_it_never_matches(editor, note, given_tags, is_weak):
    response = await editor.patch(note, json={"body": "other"}, headers={"If-Match": given_tags})
    told = response.json()
    assert (response.status_code, told["code"], told["current_version"]) == (412, "version_mismatch", 1)
    assert ("weak tag" in told["detail"], "has been changed" in told["detail"]) == (is_weak, not is_weak)


@pytest.mark.parametrize(
    ("tag", "status"),
    [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"2", "1"', 304), ('"2"', 200), ("1", 200), ("", 200)],
)
async def test_a_reader_who_has_the_version_gets_no_body(editor, note, tag, status):
    response = await editor.get(note, headers={"If-None-Match": tag})
    assert (response.status_code, response.headers["etag"]) == (status, '"1"')
    assert bool(response.content) is (status == 200)
    assert response.headers["x-request-id"]


async def test_only_a_get_is_answered_by_what_the_reader_has(editor, note):
    response = await editor.patch(note, json={"body": "b"}, headers={"If-None-Match": '"2"'})
    assert (response.status_code, response.json()["version"]) == (200, 2)


async def test_a_version_of_something_else_is_no_etag(editor):
    response = await editor.get(f"/test/notes/{uuid4()}/counted", headers={"If-None-Match": '"3"'})
    assert (response.status_code, "etag" in response.headers) == (200, False)


async def test_a_list_has_no_etag(as_role):
    async with as_role("agent") as client:
        response = await client.get("/v1/identity/people", headers={"If-None-Match": "*"})
    assert (response.status_code, "etag" in response.headers) == (200, False)


@given(version=st.integers(1, 12), tags=st.lists(st.integers(1, 9).map(etag), max_size=4))
def test_only_the_named_versions_pass(version, tags):
    expected = Expected(frozenset(tags))
    if etag(version) in tags:
        expected.check(version)
        return
    with pytest.raises(VersionMismatchError) as refused:
        expected.check(version)
    assert refused.value.extra == {"current_version": version}


def test_the_document_shows_what_follows_from_a_version(notebook):
    item = notebook.openapi_schema.to_schema()["paths"]["/test/notes/{note_id}"]

    def named(operation):
        return {each["$ref"].rpartition("/")[2] for each in operation["parameters"] if "$ref" in each}

    assert named(item["get"]) == {"IfNoneMatch", "RequestId"}
    assert named(item["patch"]) == {"IfMatch", "RequestId"}
    assert {"304", "412"} & set(item["get"]["responses"]) == {"304"}
    assert {"304", "412"} & set(item["patch"]["responses"]) == {"412"}
    for method in ("get", "patch"):
        assert "ETag" in item[method]["responses"]["200"]["headers"]
