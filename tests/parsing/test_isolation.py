"""Children: they answer, they fail by name, and they never outlive their use."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.exceptions import NotFoundError, UnavailableError
from app.parsing import ParsingError, parse
from app.parsing.isolation import IsolatedPool
from tests.parsing import functions


@pytest.fixture
async def pool() -> AsyncIterator[IsolatedPool]:
    pool = IsolatedPool(workers=2)
    yield pool
    await pool.aclose()
    assert pool.children == 0


async def ended(pid: int) -> None:
    """Wait until a process has ended; an orphan may stay a zombie, which a pidfd counts as ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), 10)
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


async def test_a_file_is_read_in_a_child(pool: IsolatedPool) -> None:
    assert pool.children == 0
    parsed = await pool.run(functools.partial(parse, filename="a.md"), b"# Hi\n\ntext", timeout=20)
    assert parsed == parse(b"# Hi\n\ntext", filename="a.md")
    with pytest.raises(ParsingError) as caught:
        await pool.run(functools.partial(parse, filename="a.pdf"), b"nothing", timeout=20)
    assert caught.value.code == "file_wrong_type"


async def test_children_are_reused_and_own_nothing_of_the_parent(
    pool: IsolatedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with socket.socket() as ours:
        ours.set_inheritable(True)
        first = await pool.run(functions.surroundings, timeout=20)
        second = await pool.run(functions.surroundings, timeout=20)
    assert first["pid"] == second["pid"] != os.getpid()
    assert first["descriptors"] == []
    assert first["litestar"] is False
    assert "OPENAI_API_KEY" not in str(first["environment"])


async def test_errors_of_the_tree_come_back_as_themselves(pool: IsolatedPool) -> None:
    with pytest.raises(NotFoundError) as caught:
        await pool.run(functions.refuse, timeout=20)
    assert (caught.value.detail, caught.value.code, caught.value.extra) == (
        "gone",
        "custom_code",
        {"wanted": 3},
    )


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (functions.crash, "signal 11"),
        (functions.eat_memory, "out of memory"),
        (functions.fail, "KeyError"),
        (functions.evil_answer, "unusable answer"),
        (functions.open_socket, "TypeError"),
    ],
)
async def test_a_crash_is_named_and_the_next_call_works(
    pool: IsolatedPool, function: object, cause: str
) -> None:
    with pytest.raises(ParsingError) as caught:
        await pool.run(function, timeout=20)  # type: ignore[arg-type]
    assert caught.value.code == "parser_crashed"
    assert caught.value.extra == {"cause": cause}
    assert await pool.run(functions.identity, 1, timeout=20) == 1


async def test_an_answer_cannot_make_the_parent_run_anything(pool: IsolatedPool) -> None:
    with pytest.raises(ParsingError) as caught:
        await pool.run(functions.identity, os.system, timeout=20)
    assert caught.value.extra == {"cause": "unusable answer"}


async def test_a_child_writes_no_files_and_its_prints_do_no_harm(pool: IsolatedPool, tmp_path: Path) -> None:
    target = tmp_path / "written"
    with pytest.raises(ParsingError):
        await pool.run(functions.write_file, str(target), timeout=20)
    assert not target.exists() or target.stat().st_size == 0
    assert await pool.run(functions.noisy, timeout=20) == "quiet"


async def test_a_hanging_child_is_killed_and_replaced(pool: IsolatedPool) -> None:
    pid = (await pool.run(functions.surroundings, timeout=20))["pid"]
    with pytest.raises(ParsingError) as caught:
        await pool.run(functions.hang, timeout=0.1)
    assert caught.value.code == "parse_timeout"
    await ended(int(str(pid)))
    assert (await pool.run(functions.surroundings, timeout=20))["pid"] != pid


async def test_cancelling_a_call_kills_its_child(pool: IsolatedPool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    task = asyncio.create_task(pool.run(functions.spin, str(tmp_path / "started"), timeout=60))
    pid = int(await asyncio.to_thread((tmp_path / "started").read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(pid)
    assert pool.children == 0


async def test_the_loop_goes_on_while_children_work_and_answer(pool: IsolatedPool) -> None:
    text = ("word " * 20 + "\n\n") * 5_000
    turns, done = 0, False

    async def watch() -> None:
        nonlocal turns
        while not done:
            await asyncio.sleep(0.001)
            turns += 1

    watcher = asyncio.create_task(watch())
    parsed = await pool.run(functools.partial(parse, filename="a.txt"), text.encode(), timeout=60)
    done = True
    await watcher
    assert len(parsed.blocks) == 5_000
    assert turns > 20  # a loop that waited for the child would have turned once or twice


async def test_idle_children_end_by_themselves() -> None:
    pool = IsolatedPool(workers=1, idle_seconds=0.05)
    pid = (await pool.run(functions.surroundings, timeout=20))["pid"]
    await ended(int(str(pid)))
    assert pool.children == 0
    await pool.aclose()


async def test_a_closed_pool_says_so_and_leaves_no_child() -> None:
    pool = IsolatedPool(workers=1)
    pid = (await pool.run(functions.surroundings, timeout=20))["pid"]
    await pool.aclose()
    await pool.aclose()
    await ended(int(str(pid)))
    with pytest.raises(UnavailableError):
        await pool.run(functions.identity, 1, timeout=20)


async def test_more_calls_than_workers_wait_their_turn(pool: IsolatedPool) -> None:
    assert await asyncio.gather(*(pool.run(functions.identity, n, timeout=20) for n in range(8))) == list(
        range(8)
    )
    assert pool.children <= 2


async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    program = textwrap.dedent(f"""
        import asyncio
        from app.parsing.isolation import IsolatedPool
        from tests.parsing import functions
        async def main():
            await IsolatedPool().run(functions.spin, {str(tmp_path / "started")!r}, timeout=60)
        asyncio.run(main())
    """)
    parent = subprocess.Popen([sys.executable, "-c", program])  # noqa: ASYNC220 - starts at once
    try:
        pid = int(await asyncio.to_thread((tmp_path / "started").read_text))
        assert pid != parent.pid
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await ended(pid)


async def test_a_large_parent_does_not_make_its_children_look_large(pool: IsolatedPool) -> None:
    ballast = bytearray(700 * 2**20)
    ballast[::4096] = b"x" * len(ballast[::4096])  # every page resident
    first = await pool.run(functions.surroundings, timeout=20)
    second = await pool.run(functions.surroundings, timeout=20)
    assert first["pid"] == second["pid"]
    del ballast
