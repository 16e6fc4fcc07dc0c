"""The server's settings, sized to the machine or the container."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from app.embedded.places import PORT, Places

MIB = 2**20
GIB = 2**30
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Memory of the machine or, if smaller, of the container."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or the word "max"
            sizes.append(int(Path(name).read_text()))
    return min(sizes)


def processor_count() -> int:
    """Processors we may use; a container's quota counts as so many whole ones."""
    count = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


def shared_memory_type() -> str:
    """Where /dev/shm is as small as in most containers, a parallel index build needs System V memory."""
    with suppress(OSError):
        found = os.statvfs("/dev/shm")  # noqa: S108 - only asked for its size
        if found.f_frsize * found.f_blocks >= GIB:
            return "posix"
    return "sysv"


def sizes(memory: int, processors: int) -> dict[str, str]:
    """Settings that follow from bytes of memory and processors, both shared with Tridesk itself."""

    def share(part: int, low: int, high: int) -> str:
        return f"{max(low * MIB, min(memory // part, high * MIB)) // MIB}MB"

    return {
        "shared_buffers": share(8, 32, 4096),
        "effective_cache_size": share(2, 128, 65_536),
        "maintenance_work_mem": share(16, 32, 1024),
        "work_mem": share(1024, 4, 32),
        "max_worker_processes": str(max(8, processors)),
        "max_parallel_workers": str(processors),
        "max_parallel_workers_per_gather": str(min(2, processors - 1)),
        "max_parallel_maintenance_workers": str(min(7, processors - 1)),
    }


def server_settings(places: Places, *, durable: bool) -> dict[str, str]:
    """All settings that differ from the server's own defaults.

    Errors of statements stay out of the log (the client gets them), since they quote people's messages.
    """
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": os.fspath(places.runtime),
        "unix_socket_permissions": "0700",
        "cluster_name": places.name,
        "max_connections": "100",
        "wal_compression": "on",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_error_verbosity": "terse",
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "dynamic_shared_memory_type": shared_memory_type(),
        **sizes(memory_bytes(), processor_count()),
    }
    if not durable:
        # commits still reach the kernel at once, so the death of a process loses none even then
        settings |= {"fsync": "off", "full_page_writes": "off"}
    return settings


def write_settings(places: Places, *, durable: bool) -> None:
    """Write the server's configuration file."""
    lines = ["# Written at every start; change a setting with: alter system set <name> = <value>"]
    for name, value in server_settings(places, durable=durable).items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    fresh = places.configuration.with_suffix(".conf.new")
    fresh.write_text("\n".join([*lines, ""]), encoding="utf-8")
    fresh.chmod(0o644)  # the server's account is another than root
    fresh.replace(places.configuration)
