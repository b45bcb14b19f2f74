# Adds this plugin to the official image of Cowrie. From the folder that holds pyproject.toml:
#
#   docker build -t cowrie-sessionstats:official -f docker/official.Dockerfile .
#
# That image has no shell and no pip, so the files are made here and copied.
ARG COWRIE_IMAGE=cowrie/cowrie:3.0.15

FROM ${COWRIE_IMAGE} AS cowrie

# ------------------------------------------------------------------ what is added
# Debian's release, and so its Python, has to be that of the image.
FROM debian:trixie-slim AS plugin

# A CA bundle for pip where the network has a proxy of its own; not in the result.
ARG PIP_CERT
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

# Debian's packages are not pinned: each build takes its security updates.
# hadolint ignore=DL3008
RUN apt-get update -qq && \
    apt-get install -y -qq --no-install-recommends ca-certificates python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /build && /build/bin/pip install --quiet hatch-vcs==0.5.0 hatchling==1.33.0

COPY --from=cowrie /cowrie/cowrie-env /cowrie/cowrie-env
RUN packages=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib", "venv", {"base": "/cowrie/cowrie-env"}))') && \
    if [ ! -d "$packages" ]; then \
      echo "$packages is not in the image: its Python is another one than this Debian's" >&2; exit 1; \
    fi

# Only what the image lacks: its Cowrie may be using a version of its own of the rest.
COPY docker/requirements/plugin.txt /build/
RUN touch /build/missing.txt && \
    for package in click confluent-kafka msgpack; do \
      /cowrie/cowrie-env/bin/python3 -c "__import__('$package'.replace('-', '_'))" 2>/dev/null || \
        sed -n "/^$package==/,/# via/p" /build/plugin.txt >> /build/missing.txt; \
    done && \
    touch /build/before && \
    /build/bin/pip --python /cowrie/cowrie-env/bin/python3 install --quiet --no-compile --no-deps \
      --require-hashes --only-binary :all: -r /build/missing.txt

# The plugin's version, 1.2.3: git's tags are not among the files. Without it, 0.0+unknown.
ARG SETUPTOOLS_SCM_PRETEND_VERSION
COPY pyproject.toml README.md LICENSE /build/source/
COPY cowrie_sessionstats /build/source/cowrie_sessionstats
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation -w /build/wheel /build/source && \
    /build/bin/pip --python /cowrie/cowrie-env/bin/python3 install --quiet --no-compile --no-deps /build/wheel/*.whl && \
    mkdir -p /added/cowrie/cowrie-git/src/cowrie/output && \
    mv /cowrie/cowrie-env/lib/python3*/site-packages/cowrie/output/sessionstats.py /added/cowrie/cowrie-git/src/cowrie/output/ && \
    find cowrie/cowrie-env -type f -cnewer /build/before -print0 | \
      tar --create --null --files-from - | tar --extract --directory /added

# ------------------------------------------------------------------ the result
# hadolint ignore=DL3006
FROM ${COWRIE_IMAGE}
COPY --from=plugin --chown=0:0 /added /
COPY docker/cowrie.cfg /etc/cowrie/cowrie.cfg
COPY docker/health.py docker/loads.py /opt/sessionstats/
USER 0:0
RUN ["/cowrie/cowrie-env/bin/python3", "/opt/sessionstats/loads.py"]
USER 999:999
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/cowrie/cowrie-env/bin/python3", "/opt/sessionstats/health.py"]
