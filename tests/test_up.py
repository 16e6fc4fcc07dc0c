"""`tridesk up` as a newcomer, an operator and an impatient person meet it: real processes, real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from app.cli.listening import address_of as address_of_sockets
from app.cli.listening import close, open_sockets
from app.config import Settings
from app.database import Database
from app.exceptions import ConfigurationError
from tests.tridesk import SECONDS, Tridesk, processes_of, tridesk

ROLES = ["customer", "agent", "lead", "admin"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir, rag) -> Path:
    """A DATA_DIR of its own, with a space in its name; only the local model is shared with other tests."""
    folder = tmp_path_factory.mktemp("up") / "a data dir"
    folder.mkdir()
    (folder / "models").symlink_to(data_dir / "models")
    return folder


@pytest.fixture(scope="module")
def first(folder):
    """The first start, stopped by Ctrl-C with a request under way; its output and what it served."""
    seen = {}
    with Tridesk("up", DATA_DIR=folder, SAMPLE_COMPANY="") as up:
        seen["address"] = address_of(up.wait_for("ready at"))
        up.wait_for("  [1] ")
        seen["file"] = json.loads((folder / "demo-keys.json").read_text())
        seen["mode"] = stat.S_IMODE((folder / "demo-keys.json").stat().st_mode)
        seen["roles"] = {role: role_of(seen["address"], key) for role, key in seen["file"].items()}
        seen["documents"] = documents(seen["address"], seen["file"]["admin"])
        unfinished = begin_request(seen["address"], seen["file"]["admin"])
        began = time.monotonic()
        seen["code"] = up.stop()
        seen["took"] = time.monotonic() - began
        unfinished.close()
        seen["output"] = up.output
    seen["left"] = left_after_a_while(folder)
    return seen


def address_of(line: str) -> str:
    return re.search(r"http://\S+", line)[0]


def role_of(address: str, key: str) -> str:
    answer = httpx.get(f"{address}/v1/identity/me", headers={"Authorization": f"Bearer {key}"})
    return answer.json()["role"]


def documents(address: str, key: str) -> dict[str, str]:
    """Id to all that is shown of every document."""
    found, cursor = {}, None
    while True:
        parameters = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = httpx.get(
            f"{address}/v1/rag/documents", params=parameters, headers={"Authorization": f"Bearer {key}"}
        ).json()
        found |= {each["id"]: json.dumps(each, sort_keys=True) for each in page["items"]}
        if (cursor := page["next_cursor"]) is None:
            return found


def begin_request(address: str, key: str) -> socket.socket:
    """A request whose body never ends; it has arrived when its 100 Continue comes back."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=SECONDS)
    connection.sendall(
        f"POST /v1/rag/search HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert (got := connection.recv(1000)).startswith(b"HTTP/1.1 100"), got
    return connection


def left_after_a_while(folder: Path) -> list[str]:
    """What still works for the folder; a stopping Postgres has some seconds to go."""
    deadline = time.monotonic() + 20
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_the_first_start_prints_a_working_key_a_role_and_a_cited_answer(first):
    assert first["roles"] == {role: role for role in ROLES}
    for key in first["file"].values():
        assert key in first["output"]
    assert re.search(r"\S \[1\]", first["output"])
    assert re.search(r"^  \[1\] \S", first["output"], re.MULTILINE)
    assert "/schema" in first["output"]


def test_the_keys_file_has_exactly_the_four_roles_and_is_the_owners_alone(first):
    assert sorted(first["file"]) == sorted(ROLES)
    assert first["mode"] == 0o600


def test_ctrl_c_with_a_request_under_way_ends_well_quietly_and_completely(first):
    assert first["code"] == 0
    assert "Traceback" not in first["output"]
    assert first["took"] < 15
    assert first["left"] == []


def test_no_key_is_logged(first):
    logged = [line for line in first["output"].splitlines() if line.startswith("{")]
    assert logged, "the request under way or its end is logged"
    assert not any("tdk_" in line for line in logged)


def test_a_second_start_has_the_same_keys_and_ingests_nothing_again(first, folder):
    (folder / "demo-keys.json").chmod(0o644)  # as a copy or a restored backup may be
    with Tridesk("up", DATA_DIR=folder) as up:
        address = address_of(up.wait_for("ready at"))
        up.wait_for("  [1] ")
        assert json.loads((folder / "demo-keys.json").read_text()) == first["file"]
        assert stat.S_IMODE((folder / "demo-keys.json").stat().st_mode) == 0o600
        assert documents(address, first["file"]["admin"]) == first["documents"]
        # a command beside it joins the same database
        done = tridesk("keys", "list", "--json", DATA_DIR=folder)
        assert {each["name"] for each in json.loads(done.stdout)} >= {f"demo {role}" for role in ROLES}
        assert up.stop(signal.SIGTERM) == 0


def test_after_kill_9_of_everything_the_next_start_is_fine_and_mends_broken_keys(first, folder):
    with Tridesk("up", DATA_DIR=folder) as up:
        up.wait_for("ready at")
        up.send(signal.SIGKILL)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                kill_if_it_works_for(entry, folder)
        up.end()
    path = folder / "demo-keys.json"
    path.write_text('{"customer": "tdk_')
    with Tridesk("up", DATA_DIR=folder) as up:
        address = address_of(up.wait_for("ready at"))
        up.wait_for("  [1] ")
        assert httpx.get(f"{address}/health/ready").status_code == 200
        keys = json.loads(path.read_text())
        assert {role: role_of(address, key) for role, key in keys.items()} == {role: role for role in ROLES}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert up.stop() == 0
    assert left_after_a_while(folder) == []


async def test_a_page_that_could_not_be_taken_in_is_named_at_every_start(first, folder):
    database = Database(Settings(data_dir=folder))
    await database.start()
    async with database.session() as session:
        title = await session.scalar(
            text(
                "update document set status = 'failed', error_code = 'file_corrupt', error_detail = 'Torn.'"
                " where id = (select id from document order by id limit 1) returning title"
            )
        )
    await database.stop()
    with Tridesk("up", DATA_DIR=folder) as up:
        assert f"{title}: Torn." in up.wait_for("This page of the sample company is missing")
        assert up.stop() == 0


def kill_if_it_works_for(entry: Path, folder: Path) -> None:
    try:
        if os.fsencode(folder) in (entry / "cmdline").read_bytes():
            os.kill(int(entry.name), signal.SIGKILL)
    except OSError:
        return


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("Starting Postgres", signal.SIGINT),
        ("Bringing the database", signal.SIGTERM),
        ("Loading the models", signal.SIGINT),
    ],
)
def test_a_signal_while_it_starts_ends_it_quietly_and_leaves_nothing(first, folder, step, number):
    with Tridesk("up", DATA_DIR=folder) as up:
        up.wait_for(step)
        code = up.stop(number)
        # a signal that comes late finds it serving already, which ends well
        assert code == 128 + number or (code == 0 and "ready at" in up.output), up.output
        assert "Traceback" not in up.output
        assert "rror" not in up.output
        assert "at once" not in up.output, "it did not tidy up by itself"
    assert left_after_a_while(folder) == []


@pytest.mark.proof  # a second database from nothing
def test_a_signal_while_the_sample_company_is_loaded_loses_nothing(tmp_path, data_dir, rag):
    (tmp_path / "models").symlink_to(data_dir / "models")
    with Tridesk("up", DATA_DIR=tmp_path) as up:
        up.wait_for("Loading the sample company")
        assert up.stop() in {130, 0}
        assert "Traceback" not in up.output
    with Tridesk("up", DATA_DIR=tmp_path) as up:
        address = address_of(up.wait_for("ready at"))
        up.wait_for("  [1] ")
        key = json.loads((tmp_path / "demo-keys.json").read_text())["admin"]
        statuses = {json.loads(each)["status"] for each in documents(address, key).values()}
        assert statuses == {"ready"}
        assert up.stop() == 0


def test_a_port_in_use_is_one_line_and_starts_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tridesk("up", DATA_DIR=tmp_path, PORT=port)
    assert done.returncode == 1
    assert done.stderr == (
        f"tridesk: port {port} of 127.0.0.1 is taken by another program: stop that, or set another PORT\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DATA_DIR": "/proc/nowhere"}, "/proc/nowhere"),
        ({"PORT": "x"}, "PORT='x'"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(tmp_path, settings, said):
    done = tridesk("up", **{"DATA_DIR": tmp_path} | settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("tridesk: ")
    assert said in line


class TestSockets:
    """The port is had before anything else is started."""

    def test_port_0_takes_a_free_port_and_says_which(self):
        sockets = open_sockets(Settings(port=0))
        try:
            port = sockets[0].getsockname()[1]
            assert address_of_sockets(sockets) == f"http://127.0.0.1:{port}"
            assert port > 0
        finally:
            close(sockets)

    @pytest.mark.parametrize(
        ("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
    )
    def test_the_address_is_one_that_this_machine_can_open(self, host, reached):
        try:
            sockets = open_sockets(Settings(host=host, port=0))
        except ConfigurationError:
            pytest.skip("no IPv6 here")
        try:
            assert re.fullmatch(rf"http://{re.escape(reached)}:\d+", address_of_sockets(sockets))
        finally:
            close(sockets)

    def test_nobody_is_kept_waiting_before_it_listens(self):
        sockets = open_sockets(Settings(port=0))
        try:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(sockets[0].getsockname(), timeout=5)
        finally:
            close(sockets)

    @pytest.mark.parametrize(
        ("host", "said"),
        [
            ("no.such.host.invalid", "HOST='no.such.host.invalid'"),
            ("192.0.2.1", "is on no address of this machine"),
            ("a" * 80, "HOST='aaa"),
        ],
    )
    def test_a_host_that_cannot_be_is_named(self, host, said):
        with pytest.raises(ConfigurationError, match=re.escape(said)):
            open_sockets(Settings(host=host, port=0))
