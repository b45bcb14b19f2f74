# An image laid out as the official one (cowrie/cowrie, by docker/Dockerfile of its repository on
# 2026-08-21): its paths, uid, environment and entry point, no shell and no pip; Cowrie's source in
# a checkout's place, and one of its optional outputs (influxdb), which brings a msgpack of its own.
# tests/container.py builds it where the official image cannot be had.
ARG SYSTEM

FROM debian:trixie-slim AS builder
ARG PIP_CERT
ARG PIP_INDEX_URL
ARG COWRIE=3.0.15
# hadolint ignore=DL3008
RUN apt-get update -qq && \
    apt-get install -y -qq --no-install-recommends ca-certificates python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /cowrie
RUN python3 -m venv cowrie-env && \
    cowrie-env/bin/pip install --quiet --no-cache-dir "cowrie==$COWRIE" influxdb==5.3.2 && \
    cowrie-env/bin/pip uninstall --quiet --yes cowrie && \
    cowrie-env/bin/pip install --quiet --no-cache-dir --no-deps --target cowrie-git/src "cowrie==$COWRIE" && \
    cowrie-env/bin/pip uninstall --quiet --yes pip && \
    mkdir -p cowrie-git/etc cowrie-git/var/log/cowrie cowrie-git/var/run \
      cowrie-git/var/lib/cowrie/downloads cowrie-git/var/lib/cowrie/tty

# hadolint ignore=DL3006
FROM ${SYSTEM}
COPY --from=builder --chown=999:999 /cowrie /cowrie
VOLUME ["/cowrie/cowrie-git/var", "/cowrie/cowrie-git/etc"]
USER 999:999
WORKDIR /cowrie/cowrie-git
ENV PATH=/cowrie/cowrie-env/bin:/usr/bin \
    PYTHONPATH=/cowrie/cowrie-git/src \
    PYTHONUNBUFFERED=1
RUN ["python3", "-c", "from twisted import plugin; list(plugin.getPlugins(plugin.IPlugin))"]
EXPOSE 2222 2223
STOPSIGNAL SIGTERM
ENTRYPOINT ["/cowrie/cowrie-env/bin/python3"]
CMD ["/cowrie/cowrie-env/bin/twistd", "-n", "--umask=0022", "--pidfile=", "--logger", "cowrie.python.logfile.stdoutLogger", "cowrie"]
