"""The embedded Postgres: the server that several processes of one ``DATA_DIR`` share.

Usage::

    with EmbeddedPostgres(Path("data")) as postgres:   # whoever comes first starts the server
        connect(postgres.dsn("app"))                   # the last one out stops it

``client`` is what the processes of Tridesk use; ``supervisor`` is a small process of its own (started as
``python -m app.embedded``) that runs the server as long as one user lives; the rest are its tools. Users hold
a shared lock on ``DATA_DIR/postgres.users.lock``, which the kernel takes back however they die; the
supervisor waits for the exclusive one. Linux only: it leans on /proc, pidfds and flock.
"""

from app.embedded.client import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
