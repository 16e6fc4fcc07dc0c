# The server with its embedded Postgres, or with DATABASE_URL for one of your own:
#   docker run -p 8000:8000 -v tridesk:/data tridesk
FROM python:3.13-slim AS build
WORKDIR /tridesk
RUN python -m venv --without-pip /venv
COPY requirements/prod.txt requirements/
RUN python -m pip --python /venv/bin/python --disable-pip-version-check --no-cache-dir install --require-hashes \
    -r requirements/prod.txt
COPY . .
RUN python -m pip --python /venv/bin/python --disable-pip-version-check --no-cache-dir install --no-deps \
    --no-build-isolation -e . \
    && rm -rf build ./*.egg-info && /venv/bin/python -m compileall -q app db
# A new volume begins with a copy of this folder, and so with the quantised model; without it (a folder of the host
# is mounted over it) the first start quantises, which takes some seconds.
RUN /venv/bin/python -c "import asyncio; from app.rag.embeddings.local import LocalEmbedder; \
asyncio.run(LocalEmbedder.open(__import__('pathlib').Path('/data/models')))"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Tridesk" \
    org.opencontainers.image.description="One Postgres, three desks, answers with sources: the backend of a support team."
# Postgres does not run as root. The id is fixed so that a mounted folder can be given to it.
RUN useradd --no-log-init --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin tridesk
COPY --from=build /venv /venv
COPY --from=build /tridesk /tridesk
COPY --from=build --chown=10001:10001 /data /data
WORKDIR /tridesk
ENV PATH=/venv/bin:$PATH DATA_DIR=/data HOST=0.0.0.0 PORT=8000 LOG_FORMAT=json
USER 10001
# No VOLUME: some builders lay it over the folder that one mounts there, and unnamed volumes pile up. Mount /data.
EXPOSE 8000
STOPSIGNAL SIGTERM
# Ready would also tell of a database that is away, which a restart of this container does not mend.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/live', timeout=4)"]
CMD ["tridesk", "up"]
