# One image for every service; the argument names the one that `docker run` starts by default:
#   docker build --build-arg SERVICE=consent -t postlaw:dev .
#   docker run postlaw:dev run identity         any other, or any other `postlaw` command
# Final stage: Python, the runtime's hash-pinned dependencies, this package; no compiler, no pip, no shell tools added, no caches.
# Probes: GET /livez and /readyz on POSTLAW_HEALTH_PORT (9000). State: only below POSTLAW_STATE and /tmp; the root may be read-only.
# BASE is any image with Python 3.11 or newer as `python3`; .ci/run builds on one made by debootstrap, without a registry.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
COPY requirements-runtime.lock pyproject.toml README.md ./
COPY requirements-build.lock ./
RUN python3 -m venv /opt/postlaw && python3 -m venv /opt/tools
RUN /opt/postlaw/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r requirements-runtime.lock
RUN /opt/tools/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r requirements-build.lock
COPY libs libs
COPY services services
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --disable-pip-version-check -w /wheel . \
 && /opt/postlaw/bin/pip install --no-cache-dir --no-compile --no-index --no-deps --disable-pip-version-check /wheel/*.whl \
 && /opt/postlaw/bin/pip uninstall --yes --quiet pip setuptools wheel \
 && find /opt/postlaw -name __pycache__ -prune -exec rm -rf {} +

FROM ${BASE}
ARG SERVICE=gateway
ENV POSTLAW_SERVICE=${SERVICE} \
    POSTLAW_STATE=/var/lib/postlaw \
    POSTLAW_LISTEN=0.0.0.0 \
    POSTLAW_HEALTH_PORT=9000 \
    PATH=/opt/postlaw/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/postlaw /opt/postlaw
# A new volume takes the owner of the directory that it is mounted on.
RUN mkdir -p /var/lib/postlaw /certificates && chown 10001:10001 /var/lib/postlaw /certificates && chmod 0700 /var/lib/postlaw
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 CMD ["python", "-m", "postlaw_common.probe"]
ENTRYPOINT ["postlaw"]
CMD ["run"]
