"""Files and folders into the index: which, by what name, what fails, and what a second run does."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text

from app.cli.files import collect_files
from app.cli.ingestion import Ingestion
from app.jobs import Worker
from app.main import job_handlers
from app.rag.models import Collection, Document
from app.rag.service import documents

LIMIT = 10_000  # bytes of an upload, in these tests


@pytest.fixture
async def take_in(database, rag, unique):
    """``take_in(path, …)`` is the outcome of a run over these paths, with a worker of its own."""

    async def run(*paths: Path, meanwhile=None, **described):
        ingestion = Ingestion.of(paths, **{"collection": unique, "audience": "public"} | described)
        async with working(database, rag):
            async for event in ingestion.run(database, upload_max_bytes=LIMIT):
                if meanwhile is not None:
                    await meanwhile(ingestion, event)
        return ingestion.outcome()

    return run


@asynccontextmanager
async def working(database, rag):
    worker = Worker(database, job_handlers(rag), concurrency=2)
    worker.start()
    try:
        yield
    finally:
        await worker.stop()


def write(folder: Path, **files: str) -> Path:
    """Files by name without ``.md``; each of its own text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.md").write_text(f"# {name}\n\n{content}\n")
    return folder


async def sources(database, name) -> list[str]:
    async with database.session() as session:
        rows = await session.scalars(
            select(Document.source).join(Collection).where(Collection.name == name).order_by(Document.source)
        )
        return list(rows)


class TestWhichFiles:
    def names(self, *paths: Path) -> list[str]:
        return [file.name for file in collect_files(paths)[0]]

    def test_a_folder_means_all_regular_files_below_it_in_order(self, tmp_path):
        write(tmp_path / "b" / "deep", x="x")
        write(tmp_path, a="a", c="c")
        assert self.names(tmp_path) == [f"{tmp_path}/{name}.md" for name in ("a", "c", "b/deep/x")]

    def test_hidden_files_are_left_out_unless_they_are_named(self, tmp_path):
        write(tmp_path / ".git", config="x")
        hidden = write(tmp_path, **{".secret": "x"}) / ".secret.md"
        assert self.names(tmp_path) == []
        assert self.names(hidden) == [str(hidden)]

    def test_each_file_counts_once_however_often_it_is_given(self, tmp_path):
        folder = write(tmp_path / "docs", a="a")
        (tmp_path / "docs" / "again.md").symlink_to(folder / "a.md")
        given = (folder, folder / "a.md", tmp_path / "docs" / ".." / "docs", folder)
        assert self.names(*given) == [str(folder / "a.md")]

    def test_loops_of_links_end(self, tmp_path):
        write(tmp_path, a="a")
        (tmp_path / "loop").symlink_to(tmp_path)
        (tmp_path / "self.md").symlink_to(tmp_path / "self.md")
        assert self.names(tmp_path) == [str(tmp_path / "a.md")]

    def test_what_is_no_regular_file_is_left_out(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.md")
        (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere")
        assert self.names(tmp_path) == []

    def test_the_collection_is_the_top_folder_below_what_was_given(self, tmp_path):
        write(tmp_path / "docs" / "billing" / "deep", a="a")
        write(tmp_path / "docs", b="b")
        files, _ = collect_files([tmp_path / "docs"])
        assert {file.path.stem: file.folder for file in files} == {"a": "billing", "b": "docs"}

    def test_a_name_that_is_no_utf8_can_be_stored_and_printed(self, tmp_path):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md"))).write_text("x")
        (name,) = self.names(tmp_path)
        assert name == f"{tmp_path}/caf\\xe9.md"
        name.encode()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_may_not_be_read_is_told(self, tmp_path):
        closed = write(tmp_path / "closed", a="a")
        closed.chmod(0)
        try:
            _, unreadable = collect_files([tmp_path])
        finally:
            closed.chmod(stat.S_IRWXU)
        assert [each.name for each in unreadable] == [str(closed)]


class TestRuns:
    async def test_a_second_run_embeds_nothing_and_a_change_only_what_changed(self, take_in, tmp_path):
        write(tmp_path, a="The kettle boils.", b="The lamp shines.")
        first = await take_in(tmp_path)
        assert (first.ingested, first.unchanged, first.failed) == (2, 0, [])
        assert first.embedded == 2
        again = await take_in(tmp_path)
        assert (again.ingested, again.unchanged, again.embedded) == (0, 2, 0)
        write(tmp_path, b="The lamp is broken.")
        changed = await take_in(tmp_path)
        assert (changed.ingested, changed.unchanged, changed.embedded, changed.removed) == (1, 1, 1, 1)

    async def test_the_same_relative_path_under_two_roots_is_two_documents(
        self, take_in, tmp_path, database, unique
    ):
        one, two = write(tmp_path / "one" / "docs", index="A"), write(tmp_path / "two" / "docs", index="B")
        await take_in(one)
        await take_in(two)
        assert await sources(database, unique) == [f"{one}/index.md", f"{two}/index.md"]
        assert (await take_in(one, two)).unchanged == 2

    async def test_a_file_stays_in_its_collection_from_whichever_folder_one_starts(self, take_in, tmp_path):
        inner = write(tmp_path / "docs" / "billing" / "plans", a="The plan costs money.")
        assert (await take_in(tmp_path / "docs", collection=None)).ingested == 1
        again = await take_in(inner, collection=None)
        assert (again.ingested, again.unchanged) == (0, 1)

    async def test_each_bad_file_is_named_with_its_reason_and_the_rest_goes_on(self, take_in, tmp_path):
        write(tmp_path, good="Here is something to read.")
        (tmp_path / "empty.md").touch()
        (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
        (tmp_path / "large.txt").write_bytes(b"x" * (LIMIT + 1))
        outcome = await take_in(tmp_path)
        assert outcome.ingested == 1
        assert {Path(each.file).name: each.code for each in outcome.failed} == {
            "empty.md": "file_empty",
            "picture.png": "unsupported_media_type",
            "large.txt": "payload_too_large",
        }
        assert all(each.detail for each in outcome.failed)

    async def test_a_file_that_vanishes_is_a_failure_of_that_file(self, take_in, tmp_path, database, unique):
        write(tmp_path, a="Stays here.", b="Goes away.")
        ingestion = Ingestion.of([tmp_path], collection=unique, audience="public")
        (tmp_path / "b.md").unlink()
        await ingestion._register(database, ingestion.files, LIMIT)
        (failure,) = ingestion._failures
        assert (failure.file, failure.code) == (str(tmp_path / "b.md"), "file_unreadable")
        assert failure.detail == "No such file or directory"

    async def test_a_document_deleted_meanwhile_does_not_keep_the_run_waiting(
        self, database, tmp_path, unique
    ):
        """No worker runs: only the deletion can end it."""
        ingestion = Ingestion.of([write(tmp_path, a="Soon gone.")], collection=unique, audience="public")
        async with asyncio.timeout(30):
            async for _ in ingestion.run(database, upload_max_bytes=LIMIT):
                source = ingestion.files[0].name
                async with database.session() as session:
                    await session.execute(text("delete from document where source = :s"), {"s": source})
        assert [each.code for each in ingestion.outcome().failed] == ["document_deleted"]

    async def test_two_runs_at_once_make_each_document_once(self, database, rag, tmp_path, unique):
        write(tmp_path, **{f"page{number}": f"Page {number} tells of thing {number}." for number in range(8)})
        runs = [Ingestion.of([tmp_path], collection=unique, audience="public") for _ in range(2)]

        async def run(ingestion):
            async for _ in ingestion.run(database, upload_max_bytes=LIMIT):
                pass

        async with working(database, rag):
            await asyncio.gather(*map(run, runs))
        assert len(await sources(database, unique)) == 8
        for each in runs:
            outcome = each.outcome()
            assert outcome.failed == []
            assert outcome.ingested + outcome.unchanged == 8

    async def test_a_run_that_was_cut_off_goes_on_where_it_was(self, database, take_in, tmp_path, unique):
        write(tmp_path, a="Registered before the cut.", b="Registered after it.")
        cut = Ingestion.of([tmp_path], collection=unique, audience="public")
        await cut._register(database, cut.files[:1], LIMIT)
        outcome = await take_in(tmp_path)
        assert (outcome.ingested, outcome.embedded, outcome.failed) == (2, 2, [])
        async with database.session() as session:
            versions = list(
                await session.scalars(
                    select(Document.latest_version).join(Collection).where(Collection.name == unique)
                )
            )
        assert versions == [1, 1]

    async def test_progress_counts_up_to_all_files(self, take_in, tmp_path):
        seen = []

        async def note(ingestion, event):
            seen.append(event.finished)

        write(tmp_path, a="One thing.", b="Another thing.")
        await take_in(tmp_path, meanwhile=note)
        assert seen == sorted(seen)
        assert seen[-1] == 2

    async def test_no_upload_is_larger_in_memory_than_the_limit(self, take_in, tmp_path, monkeypatch):
        taken = []
        monkeypatch.setattr(documents, "take_in", lambda *args, **kwargs: taken.append(args))
        (tmp_path / "large.txt").write_bytes(b"x" * (LIMIT * 3))
        assert (await take_in(tmp_path)).failed[0].code == "payload_too_large"
        assert taken == []


async def test_taking_a_file_in_again_lets_nobody_in(database, take_in, tmp_path, unique):
    """Without --audience a known file keeps its readers; only a new one is public."""
    folder = tmp_path / unique
    folder.mkdir()
    (folder / "page.md").write_text("# Secret\n\nThe bonus is 4242 euros.")

    async def ingest(audience: str | None) -> list[str]:
        await take_in(folder, audience=audience)
        async with database.session() as session:
            source = str((folder / "page.md").resolve())
            return (await session.scalars(select(Document.audience).where(Document.source == source))).one()

    assert await ingest("staff") == ["staff"]
    assert await ingest(None) == ["staff"]
    (folder / "page.md").write_text("# Secret\n\nThe bonus is 4243 euros.")
    assert await ingest(None) == ["staff"]
    assert await ingest("public") == ["public"]
