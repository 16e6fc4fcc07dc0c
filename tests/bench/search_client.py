"""The client of bench_search, in a process of its own so that it takes nothing from the server's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.bench_search import client

if __name__ == "__main__":
    url, key, queries = sys.argv[1:]
    print(json.dumps(client(url, key, Path(queries).read_text(encoding="utf-8").splitlines())))
