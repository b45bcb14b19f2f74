"""A session of Apache Spark, by the address of its cluster: what summarizes and reports there."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import parse_qsl

from cowrie_sessionstats.extras import install_command
from cowrie_sessionstats.summary import KINDS

SCHEMES: Final = ("spark", "yarn", "k8s", "local", "sc")
"""What an address of Spark's begins with (docs: "Master URLs"), and ``sc``, Spark Connect's."""
_TYPES: Final = {
    "text": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "texts": "array<string>",
}
COLUMNS: Final = ", ".join(f"`{key}` {_TYPES[kind]}" for key, kind in KINDS.items())
"""The record's columns, as Spark writes a schema."""
PATIENCE: Final = 60.0
"""Seconds until a worker has to take the work: one that has room does within ten."""
CONNECT: Final = 5.0  # seconds for a connection to a master
_LOOK: Final = 0.1
_END: Final = 20.0  # seconds for the JVM to end
_PORTS: Final = {"spark": "7077", "sc": "15002"}
"""Where a master listens, and a server of Spark Connect, unless the address says otherwise."""
_SAID: Final = 64 << 10  # bytes of what the JVM said that are looked at

_SETTINGS: Final[Mapping[str, str]] = {
    "spark.app.name": "cowrie-sessionstats",
    # Timestamps are texts in UTC; nothing may be read in the machine's zone.
    "spark.sql.session.timeZone": "UTC",
    # It goes to the standard error, over whatever is there.
    "spark.ui.showConsoleProgress": "false",
    # As in DuckDB and PostgreSQL: a number that is none ends the query instead of becoming NULL;
    # where NULL is meant, the expressions say so.
    "spark.sql.ansi.enabled": "true",
}


class SparkError(Exception):
    """Spark cannot do the work; the text says why and what to do."""


def is_spark(address: str) -> bool:
    """Return whether an address is one of Spark's."""
    return re.match(rf"({'|'.join(SCHEMES)})\b", address) is not None


@contextmanager
def spark_session(address: str) -> Iterator[Any]:
    """Give a ``SparkSession`` on the cluster at ``address``; it ends with the block.

    ``spark://HOST:PORT`` is a standalone cluster, ``yarn``, ``k8s://HTTPS_ADDRESS`` and
    ``local[N]`` are as Spark itself has them, ``sc://HOST:PORT`` is Spark Connect (Databricks
    Connect too), and ``spark`` is whatever Spark's own configuration says. Settings of Spark's may
    follow as in ``spark://HOST:7077?spark.executor.memory=4g&...``. Raises SparkError if there
    is no session.
    """
    try:
        import pyspark.sql  # noqa: F401, PLC0415 - of an extra, and large
    except ImportError as error:
        raise SparkError(
            f"{error.msg}. {address} needs Spark's package: {install_command('spark')}"
        ) from None
    _hush()
    master, _, query = address.partition("?")
    settings = {**_SETTINGS, **dict(parse_qsl(query))}
    with (
        _connect(master, settings)
        if master.startswith("sc://")
        else _classic(master, settings) as (session)
    ):
        yield session


@contextmanager
def _connect(master: str, settings: dict[str, str]) -> Iterator[Any]:
    """Give a session of Spark Connect: the driver is elsewhere."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    _reachable(master)
    builder = SparkSession.builder.remote(master)
    for name, value in settings.items():
        # What else there is was set where the driver was started, and is warned of.
        if name.startswith("spark.sql.") or name not in _SETTINGS:
            builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # noqa: BLE001 - gRPC's, PySpark's, a missing package's
        raise SparkError(f"{master.partition('/;')[0]}: {brief(error)}") from None
    try:
        yield session
    finally:
        with contextlib.suppress(Exception):  # the cluster may be gone
            session.stop()


@contextmanager
def _classic(master: str, settings: dict[str, str]) -> Iterator[Any]:
    """Give a session whose driver runs in this process, with a JVM beside it."""
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    _reachable(master)
    conf = SparkConf().setAll(list(_completed(master, settings).items()))
    with tempfile.TemporaryFile() as said, contextlib.ExitStack() as stack:
        stack.enter_context(_python(settings))
        try:
            gateway = launch_gateway(conf, {"stderr": said, "stdout": said})  # type: ignore[no-untyped-call,unused-ignore]
            stack.callback(_end, gateway)
            context = SparkContext(conf=conf, gateway=gateway)
            session = SparkSession(context)
            stack.callback(_stop, session)
            if master.startswith("spark://"):
                _wait_for_workers(context, master)
        except SparkError:
            raise
        except Exception as error:  # noqa: BLE001 - Java's, Py4J's, PySpark's
            raise SparkError(f"{master}: {_why(error, said)}") from None
        yield session


def _completed(master: str, settings: dict[str, str]) -> dict[str, str]:
    """Return the settings, with those that follow from the address."""
    known = dict(settings)
    if master != "spark":
        known["spark.master"] = master
    if master.startswith(("spark://127.", "spark://localhost", "local")):
        # The workers reach the driver so, and nobody else does.
        known.setdefault("spark.driver.host", "127.0.0.1")
        known.setdefault("spark.driver.bindAddress", "127.0.0.1")
        known.setdefault("spark.ui.enabled", "false")
    java = known.get("spark.driver.extraJavaOptions", "")
    known["spark.driver.extraJavaOptions"] = f"{java} -Dlog4j2.configurationFile={_quiet()}".strip()
    return known


@contextmanager
def _python(settings: Mapping[str, str]) -> Iterator[None]:
    """Let workers start the same Python as this one, at its path.

    Else they start the first python3 of their PATH, which has no package of ours. The setting of
    Spark's for that counts for ``spark-submit`` alone.
    """
    if "PYSPARK_PYTHON" in os.environ:
        yield
        return
    os.environ["PYSPARK_PYTHON"] = settings.get("spark.pyspark.python", sys.executable)
    try:
        yield
    finally:
        del os.environ["PYSPARK_PYTHON"]


def _stop(session: Any) -> None:
    with contextlib.suppress(Exception):  # the cluster may be gone
        session.stop()


def _end(gateway: Any) -> None:
    """End the JVM: PySpark would keep it, and with it this session's settings, for another one."""
    from pyspark import SparkContext  # noqa: PLC0415

    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - no other way
    with contextlib.suppress(Exception):
        gateway.close(close_callback_server_connections=True)
        gateway.shutdown()
    gateway.proc.stdin.close()  # which it ends by
    try:
        gateway.proc.wait(_END)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()


def _hush() -> None:
    """Let PySpark log nothing by itself: it would log each mistake in a query, with its stack."""
    from pyspark.logger import PySparkLogger  # noqa: PLC0415

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True


def _quiet() -> str:
    """Return the address of the file by which Spark logs errors only."""
    path = resources.files("cowrie_sessionstats").joinpath("spark-log4j2.properties")
    return Path(str(path)).as_uri()


def _reachable(master: str) -> None:
    """Raise SparkError if nothing listens where a master, or a server of Spark Connect, is to be.

    Spark itself tries for a minute, or for many, and ends the JVM.
    """
    scheme, _, rest = master.partition("://")
    if scheme not in _PORTS:
        return
    trouble = "names no host"
    for place in filter(None, rest.partition("/")[0].split(",")):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", _PORTS[scheme])
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT):
                return
        except (OSError, ValueError, OverflowError) as error:
            trouble = f"{place}: {getattr(error, 'strerror', None) or error}"
    # What stands behind the place can be a token.
    raise SparkError(
        f"{master.partition('/;')[0]}: no master of Spark answers ({trouble}). Start it, or "
        "correct --engine"
    )


def _wait_for_workers(context: Any, master: str) -> None:
    """Return once a worker takes work; SparkError if none does."""
    end = time.monotonic() + PATIENCE
    # The driver is in the list itself.
    while context._jsc.sc().getExecutorMemoryStatus().size() <= 1:  # noqa: SLF001 - no other way
        if time.monotonic() > end:
            raise SparkError(
                f"{master}: no worker took the work within {PATIENCE:.0f} s. See on the master's "
                "page whether workers are there whose cores and memory (spark.executor.memory, 1g "
                "as a rule) no other application holds, and in their logs what they say"
            )
        time.sleep(_LOOK)


def _why(error: Exception, said: IO[bytes]) -> str:
    """Return why there is no session: what the JVM said, if it did."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _SAID))
    lines = said.read().decode("utf-8", "replace").splitlines()
    telling = [
        line
        for line in lines
        if re.search(r"Error\b.*:|Exception: |JAVA_HOME|not found|Invalid|Too small", line)
    ]
    if telling and "JAVA_GATEWAY_EXITED" in str(error):
        reason = re.sub(
            r'^(Exception in thread "main" )?[\w.$]+(Exception|Error): ', "", telling[0]
        )
        return f"{reason.strip()}. (Spark 4 needs Java 17 or later: JAVA_HOME)"
    return brief(error)


_CAUSE: Final = re.compile(r"(?:^|: )(?:[a-z]+\.)+(?:\w|\$)*(?:Exception|Error): ")


def brief(error: BaseException) -> str:
    """Return what an error of Spark's says, without its stack."""
    text = str(getattr(error, "desc", None) or getattr(error, "java_exception", None) or error)
    causes = [line for line in text.splitlines() if line.startswith("Caused by: ")]
    line = causes[-1].removeprefix("Caused by: ") if causes else text.strip().partition("\n")[0]
    return _CAUSE.sub("", line, count=1).strip() or type(error).__name__
