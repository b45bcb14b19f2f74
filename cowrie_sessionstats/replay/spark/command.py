"""``cowrie-sessionstats summarize --engine spark://...``: logs in, a folder out, an exit status."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TextIO

from attrs import define, field, frozen

from cowrie_sessionstats.replay.command import (
    DONE,
    INTERRUPTED,
    NOTHING,
    WRONG,
    say,
    terminable,
)
from cowrie_sessionstats.replay.problems import StrictError
from cowrie_sessionstats.replay.progress import file_trouble, last_line
from cowrie_sessionstats.replay.spark.folder import Folder, FolderError
from cowrie_sessionstats.replay.spark.places import Places
from cowrie_sessionstats.replay.spark.running import Cluster, StoppedError
from cowrie_sessionstats.replay.spark.settings import Chosen
from cowrie_sessionstats.replay.spool import spool_folder
from cowrie_sessionstats.spark_session import SparkError, spark_session

KAFKA: Final = "kafka://"
LOOK: Final = 0.2
"""Seconds between two looks at how far the cluster is."""


@frozen
class Request:
    """What the user asked for."""

    paths: Sequence[str]
    engine: str
    output: str
    chosen: Chosen
    open_sessions: bool = False
    strict: bool = False


def summarize(request: Request) -> int:
    """Write the records of all sessions to a folder; return the exit status."""
    work = _Work(request)
    try:
        with terminable():
            work.start()
    except KeyboardInterrupt:
        work.stop()
        say("interrupted: nothing was written")
        return INTERRUPTED
    return work.status


@define(eq=False)
class _Work:
    """Is done in a thread: a signal in the middle of a call of Java's would break that."""

    request: Request
    status: int = field(default=NOTHING, init=False)
    _stopped: threading.Event = field(factory=threading.Event, init=False)
    _cluster: Cluster | None = field(default=None, init=False)
    _thread: threading.Thread = field(init=False)
    _failed: BaseException | None = field(default=None, init=False)

    def start(self) -> None:
        """Do it to its end, and show how far it is."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        with _progress(sys.stderr) as show:
            while self._thread.is_alive():
                self._thread.join(LOOK)
                if show is not None and self._cluster is not None:
                    with contextlib.suppress(Exception):  # it may have ended by now
                        show(*self._cluster.tasks())
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """End it, and wait until nothing of it is left."""
        self._stopped.set()
        while self._thread.is_alive():
            with contextlib.suppress(KeyboardInterrupt):
                if self._cluster is not None:
                    self._cluster.stop()
                self._thread.join(LOOK)

    def _run(self) -> None:
        try:
            self.status = _summarize(self.request, self._stopped, self._begun)
        except StoppedError:
            pass
        except FolderError as error:
            say(f"error: {file_trouble(str(error))}")
            self.status = WRONG
        except (SparkError, StrictError, OSError) as error:
            if not self._stopped.is_set():
                say(f"error: {file_trouble(str(error))}")
        except BaseException as error:  # noqa: BLE001 - raised where it can be seen
            if not self._stopped.is_set():
                self._failed = error

    def _begun(self, cluster: Cluster) -> None:
        self._cluster = cluster


def _summarize(request: Request, stopped: threading.Event, begun: Callable[[Cluster], None]) -> int:
    with ExitStack() as stack:
        session = stack.enter_context(spark_session(request.engine))
        cluster = Cluster(session, request.chosen, request.open_sessions, stopped)
        begun(cluster)
        totals = cluster.totals
        totals.problems.strict = request.strict
        folder = Folder(session, request.output)
        stack.callback(folder.clear)
        if request.paths[0].startswith(KAFKA):
            from cowrie_sessionstats import kafka_source  # noqa: PLC0415 - of an extra

            (address,) = request.paths
            folder.check([])
            name = kafka_source.Address.of(address).topic
            cluster.topic(kafka_source.topic(session, address), name, folder.made)
            totals.files = 1
        else:
            places = Places(session, spool_folder(), totals.problems)
            found = places.find(request.paths)
            folder.check([place.uri for place in found])
            totals.files, totals.repeats = places.count, places.repeats
            if found:
                cluster.logs(found, folder.made)
        if stopped.is_set():
            raise StoppedError
        if totals.records:  # else what was written another time is better than nothing
            folder.publish()
    for trouble in totals.problems.files:
        say(f"error: {file_trouble(trouble)}")
    say(last_line(totals))
    return DONE if totals.records else NOTHING


@contextmanager
def _progress(stderr: TextIO | None) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows how many tasks are done; None where nobody looks."""
    if stderr is None or not stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only for people
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks of this stage"),
        console=Console(file=stderr),
        transient=True,
    ) as bar:
        shown: Any = bar.add_task("", total=None)

        def show(done: int, total: int) -> None:
            bar.update(shown, completed=done, total=total or None)

        yield show
