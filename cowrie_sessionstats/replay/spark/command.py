"""``cowrie-sessionstats summarize --engine spark://...``: logs in, a folder out, an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TextIO

from attrs import frozen

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
from cowrie_sessionstats.replay.spark.running import Cluster
from cowrie_sessionstats.replay.spark.settings import Chosen
from cowrie_sessionstats.replay.spool import spool_folder
from cowrie_sessionstats.spark_session import SparkError, spark_session

KAFKA: Final = "kafka://"


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
    try:
        with terminable():
            return _summarize(request)
    except KeyboardInterrupt:
        say("interrupted: nothing was written")
        return INTERRUPTED
    except FolderError as error:
        say(f"error: {file_trouble(str(error))}")
        return WRONG
    except (SparkError, StrictError, OSError) as error:
        say(f"error: {file_trouble(str(error))}")
        return NOTHING


def _summarize(request: Request) -> int:
    with ExitStack() as stack:
        session = stack.enter_context(spark_session(request.engine))
        show = stack.enter_context(_progress(sys.stderr))
        cluster = Cluster(session, request.chosen, request.open_sessions, show)
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
