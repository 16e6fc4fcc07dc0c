"""Chunking speed beside two libraries, on the same text, with the same token limit and encoding.

    python tests/bench/bench_chunking.py [FOLDER]

Ours reads parsed documents, the others the same text as one string. Parsing is not measured. The runs are
interleaved and measured in processor time, so that a busy machine disturbs little; figures are medians. All
aim at chunks as long as the limit.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.parsing import Parsed, ParsingError, parse  # noqa: E402 - needs the path above
from app.rag.chunking import Limits, chunk  # noqa: E402
from app.rag.encodings import packaged_ranks  # noqa: E402
from app.rag.tokens import TiktokenTokenizer  # noqa: E402

ENCODING = "cl100k_base"
RANKS_ADDRESS = f"https://openaipublic.blob.core.windows.net/encodings/{ENCODING}.tiktoken"
MAXIMUM = 400
RUNS = 7
SUFFIXES = {".md", ".mdx", ".markdown", ".txt", ".rst"}
DEFAULT = ROOT.parent / "shared" / "data" / "docs"

Run = Callable[[], int]


def documents(folder: Path) -> list[Parsed]:
    """Every readable text file below the folder, parsed."""
    parsed = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            try:
                parsed.append(parse(path.read_bytes(), filename=path.name))
            except ParsingError as error:
                print(f"left out {path.name}: {error}")
    return parsed


def ours(texts: list[Parsed]) -> Run:
    """Tridesk's chunker."""
    tokenizer, limits = TiktokenTokenizer(ENCODING), Limits(target=MAXIMUM, maximum=MAXIMUM)
    return lambda: sum(
        len(chunk(each, title=each.title, tokenizer=tokenizer, limits=limits)) for each in texts
    )


def langchain(texts: list[Parsed]) -> Run:
    """LangChain's recursive splitter, counting with tiktoken."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter.from_tiktoken_encoder(
        encoding_name=ENCODING, chunk_size=MAXIMUM, chunk_overlap=0, disallowed_special=()
    )
    return lambda: sum(len(splitter.split_text(each.text)) for each in texts)


def chonkie(texts: list[Parsed]) -> Run:
    """chonkie's recursive chunker, counting with tiktoken."""
    import tiktoken
    from chonkie import RecursiveChunker

    encoding = tiktoken.get_encoding(ENCODING)

    def run() -> int:
        # A new one each time: it remembers the counts of what it has seen, and documents come once.
        chunker = RecursiveChunker(tokenizer=encoding, chunk_size=MAXIMUM)
        return sum(len(chunker.chunk(each.text)) for each in texts)

    return run


def contestants(texts: list[Parsed]) -> Iterator[tuple[str, Run]]:
    """Whoever is installed."""
    for build in (ours, langchain, chonkie):
        try:
            yield build.__name__, build(texts)
        except ImportError as error:
            print(f"{build.__name__}: not installed ({error.name}); see requirements/bench.txt")


def measure(runs: list[tuple[str, Run]], size: int) -> dict[str, float]:
    """Median MB per second of processor time of each, after one unmeasured run."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in runs}
    counts = {name: run() for name, run in runs}
    for _ in range(RUNS):
        for name, run in runs:
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    rates = {name: size / statistics.median(times) / 1e6 for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:10} {rate:6.2f} MB/s  {counts[name]:6} chunks  ours: {rates['ours'] / rate:.2f} times")
    return rates


def main() -> None:
    """Measure and print; a slow result is a result."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    texts = documents(folder)
    if not texts:
        print(f"no Markdown or text files below {folder}")
        return
    size = sum(len(each.text.encode()) for each in texts)
    print(
        f"{len(texts)} documents, {size / 1e6:.2f} MB of text, limit {MAXIMUM} tokens, median of {RUNS} runs"
    )
    with tempfile.TemporaryDirectory() as cache:
        # tiktoken's own cache, filled from the package: the peers load the encoding by name.
        name = hashlib.sha1(RANKS_ADDRESS.encode(), usedforsecurity=False).hexdigest()
        Path(cache, name).write_bytes(packaged_ranks(ENCODING))
        os.environ["TIKTOKEN_CACHE_DIR"] = cache
        measure(list(contestants(texts)), size)


if __name__ == "__main__":
    main()
