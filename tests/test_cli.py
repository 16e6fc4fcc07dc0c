"""The command as a script and a person use it: help, usage, exit codes, pipes, JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from app.cli import operation
from app.cli.common import printable
from tests.rag.test_evaluation import write_tiny
from tests.tridesk import COMMAND, ROOT, SECONDS, Tridesk, environment, tridesk

COMMANDS = [
    "up",
    "serve",
    "worker",
    "migrate",
    "doctor",
    "ingest",
    "search",
    "ask",
    "eval",
    "keys",
    "ledger",
    "openapi",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir, rag) -> Path:
    """A DATA_DIR of the commands; the local model is the run's."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "models").symlink_to(data_dir / "models")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The address of `tridesk serve` without a worker; it keeps the database up between the commands."""
    with Tridesk("serve", DATA_DIR=folder, WORKER_IN_SERVER="false") as serve:
        line = serve.wait_for("ready at")
        yield re.search(r"http://\S+", line)[0]
        assert serve.stop(signal.SIGTERM) == 0
        assert "Traceback" not in serve.output


@pytest.fixture(scope="module")
def documents(server, folder, tmp_path_factory) -> Path:
    """Two pages, taken in by the command."""
    pages = tmp_path_factory.mktemp("pages")
    (pages / "kettle.md").write_text("# Kettle\n\nDescale the kettle with citric acid every 4 weeks.\n")
    (pages / "lamp.md").write_text("# Lamp\n\nThe lamp takes a 40 watt bulb with a small screw cap.\n")
    done = tridesk("ingest", str(pages), DATA_DIR=folder)
    assert done.returncode == 0, done.stderr
    return pages


class TestHelpAndUsage:
    def test_help_lists_every_command_and_imports_nothing_heavy(self):
        script = (
            "import sys; from app.cli import cli; cli(['--help'], standalone_mode=False);"
            "print(sorted({'litestar', 'sqlalchemy', 'asyncpg', 'numpy', 'onnxruntime'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert done.stdout.splitlines()[-1] == "[]"
        for command in COMMANDS:
            assert re.search(rf"^│ {command}\b", done.stdout, re.MULTILINE), command

    @pytest.mark.parametrize(
        "command", [["nonsense"], ["search"], ["keys", "revoke", "x"], ["up", "--port", "1"]]
    )
    def test_wrong_usage_is_2_with_a_hint(self, command):
        done = tridesk(*command)
        assert done.returncode == 2
        assert "--help" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_question_of_blanks_is_wrong_usage(self):
        assert tridesk("ask", "  ").returncode == 2

    def test_an_error_of_ours_is_one_line_and_1(self, tmp_path):
        done = tridesk("search", "x", DATABASE_URL="postgresql://u:hush@127.0.0.1:1/d", DATA_DIR=tmp_path)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("tridesk: The database does not answer: ")
        assert "hush" not in line

    async def test_a_server_that_cannot_open_says_so_in_one_line(self, database, tmp_path):
        url = database.dsn("app").replace("/tridesk?", "/nowhere?")
        done = await asyncio.to_thread(tridesk, "serve", DATABASE_URL=url, DATA_DIR=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            'tridesk: Postgres refuses: database "nowhere" does not exist; '
            "create it, or correct DATABASE_URL\n"
        )

    def test_a_reader_who_leaves_early_is_no_fault(self):
        """The document is larger than a pipe holds, so the writer notices."""
        with subprocess.Popen(
            [*COMMAND, "openapi"],
            env=environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as openapi:
            assert openapi.stdout.readline() == "{\n"
            openapi.stdout.close()
            assert openapi.stderr.read() == ""
            assert openapi.wait(SECONDS) == 1


def test_openapi_is_valid_and_the_same_bytes_in_another_process_with_other_settings(tmp_path):
    printed = tridesk("openapi", PORT=9, JWT_ROLES="agent", BODY_MAX_BYTES=5).stdout
    operation.openapi(str(tmp_path / "openapi.json"))
    assert (tmp_path / "openapi.json").read_text() == printed
    document = json.loads(printed)
    validate(document)
    assert document["openapi"].startswith("3.1")


class TestDocuments:
    def test_search_finds_and_shows_why(self, documents, folder):
        hits = json.loads(tridesk("search", "citric acid", "--json", "--limit", "1", DATA_DIR=folder).stdout)
        (hit,) = hits
        assert hit["source"] == str(documents / "kettle.md")
        assert {"score", "cosine", "share"} <= set(hit)

    def test_an_answer_comes_with_its_source(self, documents, folder):
        done = tridesk("ask", "How often should I descale the kettle?", DATA_DIR=folder)
        assert done.returncode == 0
        assert "every 4 weeks. [1]\n" in done.stdout
        assert '[1] Kettle\n    "Descale the kettle with citric acid every 4 weeks."' in done.stdout
        assert "\x1b" not in done.stdout

    def test_ask_json_is_the_stored_answer(self, documents, folder):
        done = tridesk("ask", "Who won the chess final in 1972?", "--json", DATA_DIR=folder)
        answer = json.loads(done.stdout)
        assert (answer["outcome"], answer["citations"]) == ("abstained", [])

    def test_eval_names_a_malformed_file_before_anything_is_indexed(self, server, folder, tmp_path):
        (write_tiny(tmp_path) / "corpus.jsonl").write_text("{\n")
        done = tridesk("eval", str(tmp_path), DATA_DIR=folder)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("tridesk: ")
        assert "corpus.jsonl:1" in line


class TestIngest:
    def test_exit_codes_failures_and_json(self, server, folder, tmp_path):
        (tmp_path / "good.md").write_text("# Good\n\nThe kettle boils water.\n")
        (tmp_path / "bad\x1b[31m.md").touch()
        done = tridesk("ingest", str(tmp_path), DATA_DIR=folder)
        assert done.returncode == 1
        assert "1 ingested, 0 unchanged, 1 failed" in done.stdout
        assert "\\x1b[31m.md: file_empty: " in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        (tmp_path / "bad\x1b[31m.md").unlink()
        done = tridesk("ingest", str(tmp_path), "--json", DATA_DIR=folder)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        assert (report["unchanged"], report["embedded"], report["failed"]) == (1, 0, [])

    @pytest.mark.proof  # a dead worker is believed dead after ten seconds
    def test_after_kill_9_in_the_middle_the_next_run_finishes_it(self, server, folder, tmp_path):
        for number in range(40):
            page = f"# {number}\n\n" + f"Page {number} is about number {number}. " * 30
            (tmp_path / f"p{number}.md").write_text(page)
        (tmp_path / "a.md").touch()
        with Tridesk("ingest", str(tmp_path), DATA_DIR=folder) as ingest:
            ingest.wait_for("a.md: file_empty")  # it comes with the first files registered
            ingest.send(signal.SIGKILL)
            assert ingest.end() == -signal.SIGKILL
        (tmp_path / "a.md").unlink()
        done = tridesk("ingest", str(tmp_path), "--json", DATA_DIR=folder)
        report = json.loads(done.stdout)
        assert (done.returncode, report["failed"]) == (0, [])
        assert report["ingested"] + report["unchanged"] == 40

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["ingest"], 2, "PATHS"),
            (["ingest", "/no/such/folder"], 2, "/no/such/folder"),
            (["ingest", "{tmp}", "--audience", "friends"], 2, "public, customers, staff"),
            (["ingest", "{tmp}"], 1, "tridesk: there are no files"),
        ],
    )
    def test_wrong_usage_is_2_and_an_empty_folder_is_1(self, tmp_path, arguments, code, said):
        done = tridesk(*(each.format(tmp=tmp_path) for each in arguments), DATA_DIR=tmp_path / "data")
        assert done.returncode == code
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "data").exists()


class TestKeys:
    def test_a_key_works_until_it_is_revoked(self, server, folder):
        made = json.loads(
            tridesk("keys", "create", "--role", "agent", "--name", "[b]x", "--json", DATA_DIR=folder).stdout
        )
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert httpx.get(f"{server}/v1/identity/me", headers=headers).json()["role"] == "agent"
        listed = tridesk("keys", "list", DATA_DIR=folder).stdout
        assert made["id"] in listed
        assert "[b]x" in listed
        assert made["key"] not in listed
        assert tridesk("keys", "revoke", made["id"], DATA_DIR=folder).stdout == "revoked\n"
        assert httpx.get(f"{server}/v1/identity/me", headers=headers).status_code == 401

    def test_a_customers_key_needs_a_person_who_is_made(self, server, folder):
        assert tridesk("keys", "create", "--role", "customer", DATA_DIR=folder).returncode == 2
        done = tridesk("keys", "create", "--role", "customer", "--person", "p-1", DATA_DIR=folder)
        headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
        assert httpx.get(f"{server}/v1/identity/me", headers=headers).json()["role"] == "customer"

    def test_an_unknown_key_is_one_line(self, server, folder):
        unknown = tridesk("keys", "revoke", "00000000-0000-7000-8000-000000000000", DATA_DIR=folder)
        assert (unknown.returncode, unknown.stderr) == (1, "tridesk: There is no such key.\n")


class TestDoctor:
    def test_all_well(self, server, folder):
        done = tridesk("doctor", "--json", DATA_DIR=folder)
        findings = {each["check"]: each for each in json.loads(done.stdout)}
        assert done.returncode == 0
        assert all(each["ok"] for each in findings.values())
        assert {"settings", "database", "schema", "vectors", "embedding", "chat"} <= set(findings)
        assert findings["settings"]["detail"] == f"PORT=0, DATA_DIR={folder}"

    def test_each_failure_says_what_to_do(self, folder, tmp_path):
        done = tridesk(
            *("doctor", "--json"),
            DATA_DIR=folder,
            DATABASE_URL="postgresql://u:hush@127.0.0.1:1/d",
            OPENAI_BASE_URL="http://127.0.0.1:1/v1",
            CHAT_MODEL="m",
        )
        findings = {each["check"]: each for each in json.loads(done.stdout)}
        assert done.returncode == 1
        assert not findings["database"]["ok"]
        assert "correct DATABASE_URL" in findings["database"]["detail"]
        assert not findings["chat"]["ok"]
        assert findings["embedding"]["ok"]
        assert "hush" not in done.stdout

    def test_a_malformed_setting_is_a_finding(self):
        done = tridesk("doctor", PORT="x")
        assert done.returncode == 1
        assert "FAIL settings" in done.stdout


def test_the_worker_finishes_and_stops_at_sigterm(server, folder):
    with Tridesk("worker", DATA_DIR=folder) as worker:
        worker.wait_for("Worker is running")
        assert worker.stop(signal.SIGTERM) == 0
        assert "Traceback" not in worker.output


STUBBORN = """
import asyncio
from app.cli.process import run

async def work(interruption):
    interruption.stop_by(lambda number: print("asked", flush=True))
    print("up", flush=True)
    await asyncio.Event().wait()

run(work)
"""


def test_a_second_signal_ends_at_once_what_takes_long_to_end():
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as command:
        assert command.stdout.readline() == "up\n"
        command.send_signal(signal.SIGTERM)
        assert command.stdout.readline() == "asked\n"
        while command.poll() is None:  # an echo within a third of a second is not a second signal
            command.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.wait(0.1)
        assert command.returncode == 128 + signal.SIGTERM
        assert command.stderr.read() == "tridesk: stopped at once\n"


def test_migrate_is_repeatable(server, folder):
    assert tridesk("migrate", DATA_DIR=folder).stdout.endswith("The database is up to date.\n")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain ünï \U0001f600", "plain ünï \U0001f600"),
        ("a\x1b]0;title\x07b\nc", "a\\x1b]0;title\\x07b\nc"),
        ("\udce9\u202e", "\\udce9\\u202e"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_instead(given, shown):
    assert printable(given) == shown
    shown.encode()
