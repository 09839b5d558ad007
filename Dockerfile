# hubaudit in a container: docker run --read-only -v hf-cache:/cache IMAGE org/model
# Pin the base image by its digest where your registry keeps it.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY hubaudit ./hubaudit
# Compiled here, since the root file system may be read-only later. The hashes are those of the sources, so
# that a change of time stamps costs no start-up time.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-compile ".[alerts,archives,server]" \
    && /venv/bin/pip uninstall --yes pip \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib

FROM python:3.13-slim
RUN groupadd --gid 10001 hubaudit \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /cache --shell /usr/sbin/nologin hubaudit \
    && install -d -o 10001 -g 10001 -m 0700 /cache /work
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/cache/huggingface \
    HUBAUDIT_CACHE=/cache/hubaudit
USER 10001:10001
# Reports go below /work/reports, what is downloaded below /cache.
WORKDIR /work
VOLUME ["/cache", "/work"]
# Most commands run to their end and serve nothing; who runs `watch --serve` asks its /healthz.
HEALTHCHECK NONE
ENTRYPOINT ["hubaudit"]
CMD ["--help"]
