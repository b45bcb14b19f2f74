"""Where the records are that are asked about: files, or an engine that has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import ibis

from cowrie_sessionstats.extras import install_command
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.report.dialects import RAW, Dialect, Postgres, Spark
from cowrie_sessionstats.report.engine import EngineError
from cowrie_sessionstats.report.on_spark import Gathering
from cowrie_sessionstats.report.remote import Remote, remote
from cowrie_sessionstats.spark_session import SparkError, brief, is_spark, spark_session

TABLE: Final = "sessions"
"""The table or view that an engine is asked for."""
_POSTGRES: Final = ("postgres", "postgresql")


def is_postgres(address: str) -> bool:
    """Return whether an address is a PostgreSQL server's."""
    return address.partition("://")[0] in _POSTGRES


@contextmanager
def elsewhere(address: str, paths: Sequence[str], problems: Problems) -> Iterator[Remote]:
    """Give the engine at ``address``, asked about ``paths``, or about its own table ``sessions``.

    Raises EngineError if it cannot be asked; what is wrong with the files goes to ``problems``.
    """
    if is_spark(address):
        with _on_spark(address, paths, problems) as engine:
            yield engine
        return
    if paths:
        raise EngineError(
            f"{shown(address)} reads no files, only its own table {TABLE}: leave out {paths[0]}"
            + (". `cowrie-sessionstats load` fills that table" if is_postgres(address) else "")
        )
    backend = connected(address)
    try:
        dialect = Postgres(backend) if is_postgres(address) else Dialect(backend)
        yield remote(dialect, _table(dialect, address))
    finally:
        backend.disconnect()


def connected(address: str) -> Any:
    """Return Ibis's backend for an address; EngineError if there is none."""
    if "://" not in address:
        raise EngineError(
            f"--engine {address}: there is no such engine. Give duckdb, or an address: "
            "spark://HOST:PORT, postgres://USER@HOST/DATABASE, or another that Ibis knows"
        )
    address = re.sub(r"^postgresql:", "postgres:", address)
    try:
        return ibis.connect(address)
    except (ImportError, ModuleNotFoundError) as error:
        extra = "postgres" if is_postgres(address) else ""
        how = install_command(extra) if extra else "Install what Ibis needs for it"
        raise EngineError(f"{shown(address)} needs a package: {brief(error)}. {how}") from None
    except Exception as error:  # noqa: BLE001 - each engine has its own kinds
        raise EngineError(f"{shown(address)} cannot be asked: {safe(error, address)}") from None


def _table(dialect: Dialect, address: str) -> Any:
    try:
        return dialect.table(TABLE)
    except Exception as error:  # noqa: BLE001 - each engine has its own kinds
        raise EngineError(
            f"{shown(address)} has no table or view {TABLE} that can be read: "
            f"{safe(error, address)}"
        ) from None


@contextmanager
def _on_spark(address: str, paths: Sequence[str], problems: Problems) -> Iterator[Remote]:
    try:
        with spark_session(address) as session:
            backend = ibis.pyspark.connect(session)
            dialect = Spark(backend, session=session)
            if paths:
                Gathering(session, problems).frame(paths).createOrReplaceTempView(RAW)
                raw = backend.table(RAW)
            else:
                raw = _table(dialect, address)
            yield remote(dialect, raw)
    except SparkError as error:
        raise EngineError(str(error)) from None


_SECRET: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def shown(address: str) -> str:
    """Return an address for people: without the password that may be in it."""
    return _SECRET.sub(r"\1@", address).partition("?")[0]


def safe(error: Exception, address: str) -> str:
    """Return what an error says, without the password that may be in the address."""
    text = brief(error)
    secret = _SECRET.search(address)
    return text.replace(secret.group(0), "") if secret else text
