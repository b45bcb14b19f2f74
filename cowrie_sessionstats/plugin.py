"""The output plugin inside Cowrie's process: configuration in, parts wired."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cowrie.core.output
from attrs import evolve
from cowrie.core.config import CowrieConfig
from twisted.internet import task
from twisted.logger import Logger

from cowrie_sessionstats import events, metrics
from cowrie_sessionstats.commands import Templates
from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.enriching import Enrichment
from cowrie_sessionstats.findings.automation import rules as automation_rules
from cowrie_sessionstats.findings.judging import Judge
from cowrie_sessionstats.findings.keys import Keys
from cowrie_sessionstats.history import Past, Way
from cowrie_sessionstats.metrics import Counts, Metrics
from cowrie_sessionstats.options import SECTION, OptionError, Options, cowrie_log, read_options
from cowrie_sessionstats.outputs import STOP_SECONDS, Destination
from cowrie_sessionstats.outputs.delivery import Delivery
from cowrie_sessionstats.outputs.destinations import read_destinations
from cowrie_sessionstats.outputs.log import LineFile, LogDestination, check_writable
from cowrie_sessionstats.outputs.outbox import Logs, Outbox
from cowrie_sessionstats.outputs.pipeline import PipelineDestination
from cowrie_sessionstats.outputs.sending import Sender
from cowrie_sessionstats.recordings import Running, keys_live
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Store, StoreError, check_usable
from cowrie_sessionstats.summary import Draft, Summary, draft_of, printable
from cowrie_sessionstats.worker import QUEUE_LIMIT, Worker

REPORT_SECONDS: Final = 3600
"""Seconds between two lines that say what the plugin did."""

_log: Final = Logger(namespace="sessionstats")


class Output(cowrie.core.output.Output):  # type: ignore[misc]  # Cowrie ships no types
    """Writes one record for every session that closes.

    A mistake in the configuration is one line in Cowrie's log; Cowrie then runs without us.
    Nothing an event holds gets out of ``write()`` as an exception.
    """

    _sessions: Sessions | None = None
    """None while the plugin is off."""

    def start(self) -> None:
        """Read the configuration and get ready; Cowrie calls this before it goes to background."""
        try:
            options = read_options(CowrieConfig, os.environ)
            if options.log:
                _check_log(options)
            _check_metrics(options)
            store = _checked_store(options)
            senders = read_destinations(CowrieConfig, options.forward, os.environ)
        except OptionError as error:
            _log.error("sessionstats is off, Cowrie runs without it: {error}", error=str(error))
            return
        self._reactor = _reactor()
        self._errors = _complaints()
        self._counts = Counts(time.time())
        at_once = options.max_sessions + QUEUE_LIMIT  # all sessions may end in one turn
        self._worker = Worker(at_once * (2 if store is None else 3))  # recording, log, store
        self._lines: LogDestination | None = None
        self._destinations: list[Destination] = []
        if options.log:
            self._lines = LogDestination(
                LineFile(options.logfile, options.daily),
                self._worker,
                _complaints(),
                self._reactor.callFromThread,
            )
            self._destinations.append(self._lines)
        if options.pipeline:
            self._destinations.append(
                PipelineDestination(
                    self._deliver,
                    # The next turn, by no timer: the clock can be set back before it comes.
                    self._reactor.callFromThread,
                    _complaints(),
                    at_once,
                )
            )
        judge = Judge(options.rules, options.timeouts)
        self._recordings = None if options.ttylogs is None else Running(options.ttylogs)
        self._opener = Worker()  # of its own: it must not wait for the store's disk
        self._enrichment = Enrichment(
            judge,
            self._worker,
            self._keys,
            self._past,
            self._emit,
            self._reactor.callFromThread,
            _complaints(),
        )
        self._sessions = Sessions(
            self._enrichment.write,
            max_sessions=options.max_sessions,
            keep_passwords=options.keep_passwords,
            templates=Templates(options.vocabulary, marks=options.rules.marks),
            make=draft_of,
            judge=judge,
        )
        self._finished = False
        self._outbox: Outbox | None = None
        if store is not None:
            self._outbox = self._keep(options, store, senders, self._sessions)
            self._destinations.append(self._outbox)
            self._reactor.addSystemEventTrigger("before", "shutdown", self._outbox.settle)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stopping)
        # Cowrie 3.0.10 on calls stop() after everything, when its dispatcher delivers no more;
        # older ones before the sessions are closed. So the plugin sees to its own end: records
        # of the sessions that end with the reactor go out in the phase in which it drops the
        # connections, after that, and the rest in the phase after.
        self._reactor.addSystemEventTrigger("during", "shutdown", self._flush)
        self._reactor.addSystemEventTrigger("after", "shutdown", self._finish)
        self._reports = task.LoopingCall(self._report)
        self._reports.clock = self._reactor
        self._reports.start(REPORT_SECONDS, now=False)
        self._metrics = self._measure(options)
        self._worker.set_back = lambda: self._reactor.callFromThread(self._clock_set_back)
        targets = [str(options.logfile)] if options.log else []
        targets += ["Cowrie's other outputs"] if options.pipeline else []
        targets += [f"{name} ({sender.target})" for name, sender in senders.items()]
        _log.info(
            "sessionstats is on: records go to {targets}",
            targets=" and to ".join(targets) or "nobody (log and pipeline are off)",
        )

    def _keep(
        self, options: Options, path: Path, senders: Mapping[str, Sender], sessions: Sessions
    ) -> Outbox:
        """Return the outbox, which begins when the reactor runs: Cowrie may fork before."""
        troubles = _complaints()
        store = Store(
            path,
            tuple(senders),
            time.time,
            lambda trouble: self._reactor.callFromThread(troubles.complain, trouble),
            options.outbox_max,
        )
        outbox = Outbox(
            store,
            self._worker,
            sessions,
            Logs(cowrie_log(CowrieConfig), options.logfile if options.log else None),
            self._emit_found,
            self._reactor,
            _complaints(),
        )
        deliveries = [
            Delivery(
                name, sender, store, outbox.in_worker, self._reactor, random.random, _complaints()
            )
            for name, sender in senders.items()
        ]
        self._reactor.callWhenRunning(outbox.start, deliveries)
        return outbox

    def stop(self) -> None:
        """Finish, where Cowrie calls this at the very end; before that, only hand out records."""
        if hasattr(self, "dispatcher"):
            self._finish()
        elif self._sessions is not None:
            self._enrichment.finish(STOP_SECONDS)
            for destination in self._destinations:
                destination.flush()

    def write(self, event: dict[str, Any]) -> None:
        """Count one event; in the reactor thread, so without waiting for anything."""
        if self._sessions is None:
            return
        begin = time.perf_counter()
        try:
            self._sessions.feed(event)
            if self._recordings is not None and events.is_channel(event):
                self._record(self._recordings, event)
        except Exception as error:  # noqa: BLE001 - no event may get an exception out of here
            self._failed(event, error)
        self._counts.write_seconds += time.perf_counter() - begin
        self._counts.writes += 1

    def _failed(self, event: Any, error: Exception) -> None:
        eventid = event.get("eventid") if isinstance(event, dict) else type(event)
        self._errors.complain(
            f"an event could not be counted: {printable(str(eventid), ERROR_LIMIT)}: "
            f"{type(error).__name__}: {printable(str(error), ERROR_LIMIT)}; please report it"
        )

    def _record(self, recordings: Running, event: dict[str, Any]) -> None:
        """Have the recording of a terminal opened while it has its name."""
        key, when = events.session_key(event), events.tick(event)
        if key is not None and when is not None:
            is_telnet = event.get("protocol") == "telnet"
            self._opener.submit(lambda: recordings.begin(key[1], when, is_telnet=is_telnet))

    def _keys(self, draft: Draft) -> Keys | None:
        """Return how the session's keys came; in the worker thread."""
        if self._recordings is None:
            return None
        rhythm = automation_rules().rhythm
        return keys_live(draft.session, draft.facts, draft.ttylogs, self._recordings, rhythm)

    def _past(self, way: Way) -> Past | None:
        """Return what was before a session; in the worker thread."""
        return None if self._outbox is None else self._outbox.store.past(way)

    def _emit_found(self, found: Draft | Summary) -> None:
        if isinstance(found, Summary):
            self._emit(found)
        else:
            self._enrichment.write(found, is_new=False)

    def _emit(self, summary: Summary) -> None:
        self._counts.last_record_timestamp_seconds = time.time()
        for destination in self._destinations:
            destination.write(summary)

    def _measure(self, options: Options) -> Metrics | None:
        """Return what publishes figures, which begins when the reactor runs; None: nobody asked."""
        if options.metrics_file is None and not options.metrics_endpoint:
            return None
        made = Metrics(
            str(self.sensor),
            options.metrics_file,
            self._count,
            dict if self._outbox is None else self._outbox.store.backlogs,
            self._worker,
            self._reactor,
            _complaints(),
        )
        if options.metrics_endpoint:
            metrics.serve(made)
        self._reactor.callWhenRunning(made.start)
        return made

    def _clock_set_back(self) -> None:
        """Set all timers anew."""
        for part in (self._outbox, self._metrics):
            if part is not None:
                part.clock_set_back()

    def _count(self) -> Counts:
        """Return what was counted since the start."""
        counts = self._counts
        if self._sessions is not None:
            counters = self._sessions.counters
            counts.open_sessions = len(self._sessions)
            counts.records, counts.revisions = counters.written, counters.revised
            counts.evictions, counts.dropped_events = counters.evicted, counters.dropped
        counts.errors = self._errors.count
        counts.unlogged_records = 0 if self._lines is None else self._lines.lost
        outbox = self._outbox
        counts.unstored_records = 0 if outbox is None else outbox.lost + outbox.store.lost
        return evolve(counts)

    def _report(self) -> None:
        """Say in one line what the plugin did since the start."""
        if self._sessions is None:
            return
        counts = self._count()
        _log.info(
            "sessionstats: {open} open, {written} written, {revised} revised, {evicted} evicted, "
            "{dropped} dropped, {lost} not in the log, {unkept} not in the store, {errors} errors",
            open=counts.open_sessions,
            written=counts.records,
            revised=counts.revisions,
            evicted=counts.evictions,
            dropped=counts.dropped_events,
            lost=counts.unlogged_records,
            unkept=counts.unstored_records,
            errors=counts.errors,
        )

    # ------------------------------------------------------------ the end

    def _stopping(self) -> None:
        if self._sessions is not None:
            self._sessions.stopping = True

    def _flush(self) -> None:
        """Hand out the records of all sessions: the connections are gone, Cowrie delivers still."""
        if self._sessions is None or self._finished:
            return
        while True:
            try:
                self._sessions.finish()
                break
            except Exception as error:  # noqa: BLE001 - the sessions after that one have records
                self._failed({"eventid": "the end of a session"}, error)
        self._enrichment.finish(STOP_SECONDS)
        for destination in self._destinations:
            destination.flush()

    def _finish(self) -> None:
        if self._sessions is None or self._finished:
            return
        self._flush()
        self._finished = True
        if self._metrics is not None:
            self._metrics.stop()
        for destination in self._destinations:
            destination.stop()
        self._opener.stop(STOP_SECONDS)
        self._worker.stop(STOP_SECONDS)
        if self._recordings is not None:
            self._recordings.close()
        if self._reports.running:
            self._reports.stop()
        self._report()

    # ------------------------------------------------------------ Cowrie's pipeline

    def _deliver(self, event: dict[str, Any]) -> None:
        """Hand an event to every output of Cowrie."""
        dispatcher = getattr(self, "dispatcher", None)
        if dispatcher is None or dispatcher.stopped:
            self._deliver_to(_loaded_outputs(), event)
        else:
            with _forgetting(dispatcher.sinks, event["session"]):
                dispatcher.dispatch(event)

    def _deliver_to(self, outputs: list[Any], event: dict[str, Any]) -> None:
        """Hand an event to each output itself.

        In Cowrie 3.0.0, where outputs watch Twisted's log and drop what belongs to a session that
        was closed; and at the very end, when the dispatcher of later ones has stopped.
        """
        event.setdefault("time", time.time())
        with _forgetting(outputs, event["session"]):
            for output in outputs:
                if output is self:
                    continue
                try:
                    output.write({key: _copied(value) for key, value in event.items()})
                except Exception as error:  # noqa: BLE001 - one output must not stop the others
                    self._errors.complain(
                        f"Cowrie's output {type(output).__module__} refused a record: "
                        f"{printable(str(error), ERROR_LIMIT)}"
                    )
        _log.info("{summary}", summary=event["message"])


def _complaints() -> Complaints:
    return Complaints(_log, time.monotonic)


def _reactor() -> Any:
    """Return Cowrie's reactor; imported late, as importing it chooses one."""
    from twisted.internet import reactor  # noqa: PLC0415

    return reactor


def _check_log(options: Options) -> None:
    try:
        check_writable(options.logfile)
    except OSError as error:
        raise OptionError(
            "logfile",
            str(options.logfile),
            f"cannot be written: {error.strerror}. It has to be a file in a folder that exists "
            "and that Cowrie's user may write to",
        ) from None


def _check_metrics(options: Options) -> None:
    if options.metrics_file is not None:
        try:
            metrics.check_writable(options.metrics_file)
        except OSError as error:
            raise OptionError(
                "metrics_file", str(options.metrics_file), f"cannot be written: {error.strerror}"
            ) from None
    if options.metrics_endpoint and find_spec("prometheus_client") is None:
        raise OptionError(
            "metrics_endpoint",
            "true",
            "needs prometheus_client, as Cowrie's own output does: pip install prometheus-client",
        )


def _checked_store(options: Options) -> Path | None:
    """Return the store's file; None if there is none, or nobody asked and it cannot be made."""
    if options.store is None:
        return None
    try:
        check_usable(options.store)
    except (OSError, StoreError) as error:
        if options.forward or CowrieConfig.has_option(SECTION, "store"):
            raise OptionError("store", str(options.store), str(error)) from None
        _log.warn(
            "sessionstats has no store, and sessions that are open when Cowrie is killed will have "
            "no record: {path} {error}",
            path=str(options.store),
            error=str(error),
        )
        return None
    return options.store


def _loaded_outputs() -> list[Any]:
    """Return the outputs of the running Cowrie, ours among them."""
    started = sys.modules.get("twisted.plugins.cowrie_plugin")
    return list(getattr(getattr(started, "serviceMaker", None), "output_plugins", ()))


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


@contextmanager
def _forgetting(outputs: list[Any], session: str) -> Iterator[None]:
    """Take back what an output comes to remember because of our event.

    Cowrie's DShield output makes an entry for the session of every event and removes it at the
    session's close; ours comes after that, and without this it would grow by one a session. An
    entry that was there before stays: its session goes on.
    """
    remembered = [getattr(output, "session_state", None) for output in outputs]
    grown = [state for state in remembered if isinstance(state, dict) and session not in state]
    yield
    for state in grown:
        state.pop(session, None)
