"""The local embedding model: texts a second, a query's time alone and beside an ingest, memory, loop pauses.

Run ``python -m tests.bench.bench_embedding [--cache FOLDER] [--rounds N]``; prints one JSON object, medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

TEXT_TOKENS = 150
TEXTS = 200
PROSE = (
    "the customer can cancel a subscription before renewal and receives partial refund when payment failed "
    "invoice shows tax included for each seat of plan open settings then choose export to download archive "
    "server returns error code because token expired retry after configured interval workspace administrator"
)
WORDS = PROSE.split()


def resident_mb() -> float:
    """Resident memory of this process, in 10^6 bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make_texts(count: int, words: int) -> list[str]:
    """Common words, nearly all of them one token each."""
    rng = random.Random(11)
    return [" ".join(rng.choice(WORDS) for _ in range(words)) for _ in range(count)]


def cut_to(embedder, text: str, tokens: int) -> str:
    """The text's longest start, by words, of at most that many tokens with the two special ones."""
    words = text.split()
    while len(embedder._ids(" ".join(words))) > tokens:
        words.pop()
    return " ".join(words)


async def query_times(embedder, *, until: asyncio.Task | None = None, count: int = 200) -> list[float]:
    """Milliseconds of questions asked one after the other, ``count`` of them or until the task is done."""
    times: list[float] = []
    while not until.done() if until else len(times) < count:
        text = make_texts(1, 10)[0] + f" {len(times)}"
        started = time.perf_counter()
        await embedder.embed_query(text)
        times.append(1000 * (time.perf_counter() - started))
        await asyncio.sleep(0.005)
    return sorted(times)


async def longest_pause(work: asyncio.Task) -> float:
    """The longest time, in milliseconds, that the event loop did not turn while the task ran."""
    worst = 0.0
    while not work.done():
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        worst = max(worst, time.perf_counter() - started - 0.001)
    return 1000 * worst


async def measure(cache: Path, rounds: int) -> dict[str, object]:
    """All figures, on this machine as it is."""
    before = resident_mb()
    started = time.perf_counter()
    from app.rag.embeddings.local import LocalEmbedder

    embedder = await LocalEmbedder.open(cache)
    made = time.perf_counter() - started
    started = time.perf_counter()
    await (await LocalEmbedder.open(cache)).aclose()
    loaded = time.perf_counter() - started
    texts = [cut_to(embedder, text, TEXT_TOKENS) for text in make_texts(TEXTS, TEXT_TOKENS)]
    tokens = statistics.mean(len(embedder._document_ids(text, 0)) for text in texts)
    await embedder.embed(texts[:4])
    rates, pauses = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        work = asyncio.create_task(embedder.embed(texts))
        await work
        rates.append(len(texts) / (time.perf_counter() - started))
        pauses.append(await longest_pause(asyncio.create_task(embedder.embed(texts))))
    alone = await query_times(embedder)
    ingest = asyncio.create_task(embedder.embed(texts * 2))
    beside = await query_times(embedder, until=ingest)
    every_length = [cut_to(embedder, text, 3 + at) for at, text in enumerate(make_texts(254, 260))]
    await embedder.embed(every_length)  # memory may grow with each new shape
    await embedder.aclose()
    return {
        "model": embedder.model,
        "cores": len(os.sched_getaffinity(0)),
        "tokens_per_text": round(tokens, 1),
        "texts_per_second": [round(rate, 1) for rate in rates],
        "texts_per_second_median": round(statistics.median(rates), 1),
        "loop_pause_ms_longest": [round(pause, 1) for pause in pauses],
        "query_ms": {"p50": round(alone[len(alone) // 2], 2), "p95": round(alone[len(alone) * 95 // 100], 2)},
        "query_beside_ingest_ms": {
            "p50": round(beside[len(beside) // 2], 2),
            "p95": round(beside[len(beside) * 95 // 100], 2),
        },
        "open_seconds": {"first": round(made, 2), "again": round(loaded, 2)},
        "resident_mb": {"before": round(before), "after": round(resident_mb())},
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="kept cache; a temporary one measures the first start")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options.cache or Path(folder), options.rounds))
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
