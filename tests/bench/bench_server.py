"""Start, memory and liveness of the whole server: ``python -m tests.bench.bench_server``

First and second start of `tridesk up`, resident memory with the model loaded, and what a 900-page document
does to memory and to the event loop (the slowest of many health checks while it is taken in).
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from fpdf import FPDF

PAGES = 900
READY = re.compile(r"ready at (http://\S+)")
SENTENCES = 28  # a page


@contextmanager
def running(data_dir: Path) -> Iterator[tuple[str, float, psutil.Process]]:
    """`tridesk up`: (address, seconds until it was ready, the process)."""
    environment = {**os.environ, "DATA_DIR": str(data_dir), "PORT": "0", "SAMPLE_COMPANY": "true"}
    started = time.monotonic()
    command = [str(Path(sys.executable).parent / "tridesk"), "up"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := READY.search(line):
                yield found[1], time.monotonic() - started, psutil.Process(process.pid)
                break
        else:
            raise RuntimeError("the server did not become ready")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def megabytes(process: psutil.Process) -> float:
    """Resident memory of one process."""
    return process.memory_info().rss / 2**20


def call(url: str, key: str, body: dict[str, object] | None = None) -> dict[str, object]:
    """One JSON request."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None)
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:
        found: dict[str, object] = json.load(response)
        return found


def upload(url: str, key: str, collection: object, content: bytes) -> str:
    """A PDF as a multipart form; returns the document's id."""
    fields = {"collection_id": str(collection), "audience": "staff"}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
        for k, v in fields.items()
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="long.pdf"\r\n'
    body = b"".join([*parts, head, b"Content-Type: application/pdf\r\n\r\n", content, b"\r\n--x--\r\n"])
    request = urllib.request.Request(f"{url}/v1/rag/documents", body)
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["id"])


def long_pdf() -> bytes:
    """A text of ``PAGES`` pages, no two alike."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    for page in range(PAGES):
        pdf.add_page()
        sentences = (
            f"Procedure {page}.{n} sets valve {page * n % 997} to {n * 7} percent within {n + 2} minutes."
            for n in range(SENTENCES)
        )
        pdf.multi_cell(0, 6, " ".join(sentences))
    return bytes(pdf.output())


def ingest(url: str, key: str, process: psutil.Process) -> None:
    """Take the long document in; print time, peak memory and the slowest health check meanwhile."""
    collection = call(f"{url}/v1/rag/collections", key, {"name": "long"})["id"]
    content = long_pdf()
    started = time.monotonic()
    document = upload(url, key, collection, content)
    waits, peak = [], 0.0
    status = ""
    while status not in ("ready", "failed"):
        begun = time.perf_counter()
        urllib.request.urlopen(f"{url}/health/live").read()
        waits.append((time.perf_counter() - begun) * 1000)
        family = [process, *process.children(recursive=True)]
        peak = max(peak, sum(megabytes(each) for each in family if each.is_running()))
        if len(waits) % 50 == 0:
            status = str(call(f"{url}/v1/rag/documents/{document}", key)["status"])
        time.sleep(0.01)
    print(
        f"{PAGES} pages: {status} in {time.monotonic() - started:.0f} s;"
        f" server and children at most {peak:.0f} MB;"
        f" health check median {statistics.median(waits):.1f} ms, slowest {max(waits):.0f} ms of {len(waits)}"
    )


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        with running(data_dir) as (_, seconds, _process):
            print(f"first start, sample company embedded: ready after {seconds:.1f} s")
        with running(data_dir) as (url, seconds, process):
            print(f"second start: ready after {seconds:.1f} s; {megabytes(process):.0f} MB resident")
            key = json.loads((data_dir / "demo-keys.json").read_text(encoding="utf-8"))["admin"]
            ingest(url, key, process)


if __name__ == "__main__":
    main()
