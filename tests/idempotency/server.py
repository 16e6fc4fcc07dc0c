"""`python -m tests.idempotency.server PORT`: the app without worker and models, until it is killed.

Prints the port that it listens on once it does; 0 takes a free one.
"""

from __future__ import annotations

import socket
import sys
from types import SimpleNamespace
from typing import Any

import uvicorn

from app.config import Settings
from app.main import create_app


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(sockets[0].getsockname()[1] if sockets else 0, flush=True)


def main(port: int) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    settings = Settings.from_environment(worker_in_server=False, sample_company=False)
    no_models: Any = SimpleNamespace(embeds=None)
    app: Any = create_app(settings, rag=no_models)
    config = uvicorn.Config(app, log_config=None, lifespan="on", ws="none")
    _Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))
