"""Attachments: uploaded, sent, downloaded, refused, purged; through the real routes."""

from __future__ import annotations

import asyncio
import email.message
from datetime import timedelta
from urllib.parse import unquote
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import conversations
from app.conversations.constants import MessageKind
from app.conversations.exceptions import (
    AttachmentNotFoundError,
    TooManyAttachmentsError,
    TooManyUploadsError,
    UnknownAttachmentError,
)
from app.identity import SYSTEM

PATH = "/v1/attachments"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def send(client, content: bytes = PNG, name: str = "a.png", **fields: str):
    return await client.post(PATH, files={"file": (name, content, "text/html")}, data=fields)


class TestUploading:
    async def test_a_file_is_what_its_content_says_and_its_uploaders_alone(self, of, people):
        response = await send(of(people.customer), name="../x/\u202eshot.png")
        assert response.status_code == 201, response.text
        made = response.json()
        assert (made["name"], made["media_type"], made["size"]) == ("shot.png", "image/png", len(PNG))
        assert (made["message_id"], made["text_status"]) == (None, "none")
        assert response.headers["location"] == f"{PATH}/{made['id']}"
        assert (await of(people.customer).get(f"{PATH}/{made['id']}")).json() == made
        for other in (people.colleague, people.stranger, people.agent, people.lead):
            for path in (f"{PATH}/{made['id']}", f"{PATH}/{made['id']}/content"):
                response = await of(other).get(path)
                assert (response.status_code, response.json()["code"]) == (404, "attachment_not_found")

    @pytest.mark.parametrize(
        ("content", "name", "answer"),
        [
            (b"", "a.txt", (422, "attachment_empty")),
            (b"MZ\x90\x00" + bytes(64), "a.txt", (415, "attachment_refused")),
            (b"words", "setup.exe", (415, "attachment_refused")),
        ],
    )
    async def test_empty_files_and_programs_are_refused(self, of, people, content, name, answer):
        response = await send(of(people.customer), content, name)
        assert (response.status_code, response.json()["code"]) == answer

    async def test_a_file_above_the_limit_is_413(self, app, of, people, settings, monkeypatch):
        small = type("Small", (), {"attachment_max_bytes": 99})()
        monkeypatch.setitem(app.state._state, "settings", small)
        response = await send(of(people.customer))
        assert (response.status_code, response.json()["code"]) == (413, "attachment_too_large")

    async def test_a_body_far_above_the_limit_is_413_before_it_is_read(self, of, people, settings):
        response = await send(of(people.customer), bytes(settings.attachment_max_bytes + 2**17))
        assert response.status_code == 413

    @pytest.mark.parametrize(
        "request_",
        [
            {"json": {"file": "x"}},
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            {"data": {"file": "no file"}, "files": {"other": ("x", b"x")}},
            {"files": {"file": ("x", b"x")}, "data": {"conversation_id": "none"}},
            {"files": {"file": ("x", b"x")}, "data": {"surprise": "1"}},
            {"files": [("file", ("x", b"x")), ("file", ("y", b"y"))]},
        ],
    )
    async def test_other_bodies_are_refused_cleanly(self, of, people, request_):
        response = await of(people.customer).post(PATH, **request_)
        assert response.status_code in {400, 415}, response.text

    async def test_only_a_conversation_that_the_uploader_sees_can_be_named(self, of, people, opened):
        conversation = await opened()
        fields = {"conversation_id": str(conversation.id)}
        assert (await send(of(people.customer), **fields)).status_code == 201
        response = await send(of(people.stranger), **fields)
        assert (response.status_code, response.json()["code"]) == (404, "conversation_not_found")

    async def test_nobody_fills_the_database_with_uploads_they_never_send(self, upload, people, monkeypatch):
        monkeypatch.setattr("app.conversations.service.attachments.PENDING_MAX", 3)
        for _ in range(3):
            await upload(people.lead)
        with pytest.raises(TooManyUploadsError):
            await upload(people.lead)
        for _ in range(4):
            await upload(SYSTEM)


class TestSending:
    async def test_a_sent_file_is_read_by_who_reads_its_message(self, of, people, sent):
        _, posted, file = await sent(content=PNG, name="a.png")
        for reader in (people.customer, people.colleague, people.agent):
            seen = (await of(reader).get(f"{PATH}/{file}")).json()
            assert seen["message_id"] == str(posted.message.id)
            assert (await of(reader).get(f"{PATH}/{file}/content")).content == PNG
        for other in (people.neighbour, people.stranger):
            assert (await of(other).get(f"{PATH}/{file}/content")).status_code == 404

    async def test_a_notes_file_is_for_staff(self, of, people, opened, post, upload):
        conversation, file = await opened(), await upload(people.agent)
        await post(conversation, people.agent, "n", kind=MessageKind.note, attachments=[file])
        assert (await of(people.lead).get(f"{PATH}/{file}")).status_code == 200
        for path in (f"{PATH}/{file}", f"{PATH}/{file}/content"):
            assert (await of(people.customer).get(path)).status_code == 404

    async def test_a_file_is_sent_once_by_its_uploader_to_where_it_was_meant(
        self, people, opened, post, upload
    ):
        conversation, other = await opened(), await opened()
        file = await upload(people.customer, conversation_id=conversation.id)
        for place, author in (
            (other, people.customer),
            (conversation, people.agent),
            (conversation, people.colleague),
        ):
            with pytest.raises(UnknownAttachmentError) as caught:
                await post(place, author, attachments=[file])
            assert caught.value.extra["attachments"] == [file]
        await post(conversation, people.customer, "", attachments=[file, file])
        with pytest.raises(UnknownAttachmentError):
            await post(conversation, people.customer, attachments=[file])
        with pytest.raises(UnknownAttachmentError):
            await post(conversation, people.customer, attachments=[uuid4()])

    async def test_of_messages_that_send_the_same_file_at_once_one_has_it(self, people, opened, post, upload):
        file = await upload(people.customer)
        places = [await opened() for _ in range(6)]
        outcomes = await asyncio.gather(
            *(post(place, people.customer, attachments=[file]) for place in places), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["Posted", *["UnknownAttachmentError"] * 5]

    async def test_a_message_has_twenty_files_at_most(self, people, opened, post, upload):
        files = [await upload(people.agent) for _ in range(21)]
        conversation = await opened()
        with pytest.raises(TooManyAttachmentsError):
            await post(conversation, people.agent, attachments=files)
        await post(conversation, people.agent, attachments=files[:20])


class TestDownloading:
    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"<html><script>alert(1)</script>", "page.html"),
            (b"<svg onload='alert(1)'>", "logo.svg"),
            (b"words", 'R\u00e9sum\u00e9 \u540d\u524d; x="1".txt'),
        ],
    )
    async def test_no_browser_shows_or_runs_it(self, of, people, upload, content, name):
        file = await upload(people.customer, content, name)
        response = await of(people.customer).get(f"{PATH}/{file}/content")
        assert response.content == content
        headers = response.headers
        assert headers["content-type"] == "application/octet-stream"
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert headers["cache-control"] == "private, no-store"
        disposition = email.message.Message()
        disposition["Content-Disposition"] = headers["content-disposition"]
        assert disposition.get_content_disposition() == "attachment"
        stored = (await of(people.customer).get(f"{PATH}/{file}")).json()["name"]
        assert unquote(headers["content-disposition"].rpartition("''")[2]) == stored

    async def test_without_a_key_there_is_nothing(self, client):
        for path in (f"{PATH}/{uuid4()}", f"{PATH}/{uuid4()}/content"):
            assert (await client.get(path)).status_code == 401


class TestPurging:
    async def test_only_uploads_that_were_never_sent_and_are_old_are_deleted(
        self, database, people, sent, upload, events_of
    ):
        _, _, kept = await sent()
        old, new = await upload(people.agent), await upload(people.agent)
        async with database.session() as session:
            await session.execute(
                text("update attachment set created_at = now() - interval '25 hours' where id = any (:ids)"),
                {"ids": [kept, old]},
            )
        async with database.session() as session:
            assert await conversations.attachments.purge_orphans(session) == 1
            assert await conversations.attachments.purge_orphans(session) == 0
            await conversations.attachments.get(session, kept, principal=people.customer)
            await conversations.attachments.get(session, new, principal=people.agent)
            with pytest.raises(AttachmentNotFoundError):
                await conversations.attachments.get(session, old, principal=people.agent)
        assert [each["type"] for each in await events_of(old)] == [
            "attachment.uploaded",
            "attachment.deleted",
        ]

    async def test_one_that_is_being_sent_is_passed_over(self, database, people, opened, upload):
        conversation, file = await opened(), await upload(people.agent)
        async with database.session() as session:
            await conversations.post(session, conversation, author=people.agent, body="", attachments=[file])
            async with database.session() as other:
                gone = await conversations.attachments.purge_orphans(other, older_than=timedelta(0))
                await other.rollback()
        assert gone >= 0
        async with database.session() as session:
            found = await conversations.attachments.get(session, file, principal=people.agent)
        assert found.message_id is not None
