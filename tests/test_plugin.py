"""The plugin in a reactor, with Cowrie's own dispatcher and outputs round it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cowrie.core import events as cowrie_events
from cowrie.core.config import CowrieConfig
from cowrie.output import dshield, jsonlog
from cowrie.output.sessionstats import Output
from samples import START, closed, command, connect, event, login
from twisted.internet import task
from twisted.logger import ILogObserver, globalLogPublisher
from waiting import until
from zope.interface import implementer

from cowrie_sessionstats import worker
from cowrie_sessionstats.options import SECTION
from cowrie_sessionstats.sessions import Sessions

if not hasattr(cowrie_events, "EventDispatcher"):
    pytest.skip("this Cowrie has no dispatcher", allow_module_level=True)


class Watcher:
    """An output of Cowrie that remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.session_state: dict[str, Any] = {}

    def write(self, event: dict[str, Any]) -> None:
        """Remember an event, as Cowrie's DShield output does its session."""
        self.seen.append(event)
        self.session_state.setdefault(event["session"], {})
        if event["eventid"] == "cowrie.session.closed":
            del self.session_state[event["session"]]

    def ids(self) -> list[str]:
        """Return the ids of what was seen."""
        return [event["eventid"] for event in self.seen]


class Pipeline:
    """The plugin between two other outputs, behind Cowrie's dispatcher."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.before, self.after = Watcher(), Watcher()
        self.dispatcher = cowrie_events.EventDispatcher([self.before, plugin, self.after])
        plugin.dispatcher = self.dispatcher

    def play(self, *events: dict[str, Any]) -> None:
        """Dispatch events as Cowrie does, with the time as a number."""
        for i, raw in enumerate(events):
            self.dispatcher.dispatch({**raw, "time": START + i})


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Return what is logged."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(logged: Any) -> None:
        if "sessionstats" in str(logged.get("log_namespace")):
            lines.append(logged["log_format"].format(**logged))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def logfile(tmp_path: Path) -> Iterator[Path]:
    """Return the log of the plugin, which is configured in Cowrie's own configuration."""
    path = tmp_path / "sessionstats.json"
    store = str(tmp_path / "sessionstats.sqlite")
    CowrieConfig.read_dict({SECTION: {"enabled": "true", "logfile": str(path), "store": store}})
    yield path
    CowrieConfig.remove_section(SECTION)


@pytest.fixture
def pipeline(logfile: Path) -> Iterator[Pipeline]:
    """Return the plugin with its surroundings."""
    assert not logfile.exists()
    made = Pipeline(Output())
    yield made
    made.plugin.stop()


SUMMARY = "cowrie.sessionstats.summary"
ANYTHING: list[Any] = [None, 7, "", [], {"eventid": {}}, {"eventid": "cowrie.command.input"}]
WORDS = ["written", "revised", "evicted", "dropped", "not in the log", "not in the store", "errors"]
VISIT = (connect(), login(), command("id", 2.0), closed(3.0))


def test_a_stopped_plugin_holds_nobody_up(pipeline: Pipeline) -> None:
    """The reactor's end, which comes after it then, waits for no thread that has ended."""
    pipeline.play(*VISIT)
    pipeline.plugin.stop()
    thread = pipeline.plugin._enrichment.worker
    waited = thread._waited
    pipeline.plugin._flush()
    assert thread._waited == waited


@pytest_twisted.inlineCallbacks
def test_the_record_goes_out_on_the_next_turn(pipeline: Pipeline, logfile: Path) -> Iterator[Any]:
    """Outputs before and behind ours see the close first, then the record, once."""
    pipeline.play(*VISIT)
    assert "cowrie.sessionstats.summary" not in pipeline.before.ids() + pipeline.after.ids()
    yield until(lambda: SUMMARY in pipeline.after.ids())
    want = [*(raw["eventid"] for raw in VISIT), "cowrie.sessionstats.summary"]
    assert pipeline.before.ids() == want
    assert pipeline.after.ids() == want
    pipeline.plugin.stop()
    (line,) = logfile.read_text().splitlines()
    sent = {k: v for k, v in pipeline.after.seen[-1].items() if k != "time"}
    assert {**sent, "uuid": 0, "sensor": 0} == {**json.loads(line), "uuid": 0, "sensor": 0}
    assert pipeline.after.seen[-1]["time"] == pipeline.after.seen[-2]["time"]


@pytest_twisted.inlineCallbacks
def test_no_output_grows_by_our_event(pipeline: Pipeline) -> Iterator[Any]:
    """An output that keeps something for the session of each event forgets it again.

    Cowrie's DShield output does, until the close, behind which our event comes.
    """
    real = dshield.Output.__new__(dshield.Output)
    real.session_state = {}
    real.batch, real.batch_size, real.debug = [], 1000, False
    pipeline.dispatcher.sinks.append(real)
    pipeline.play(*VISIT)
    yield until(lambda: SUMMARY in pipeline.after.ids())
    assert len(real.batch) == 1
    assert real.session_state == {}
    assert pipeline.after.session_state == {}


@pytest_twisted.inlineCallbacks
def test_an_output_keeps_what_it_knows_of_a_session_that_goes_on(
    pipeline: Pipeline,
) -> Iterator[Any]:
    """The record of an evicted session does not make DShield's output forget its login."""
    pipeline.plugin._sessions.max_sessions = 1
    pipeline.play(connect(0.0, "a"), login(1.0, "a"), connect(2.0, "b"))
    yield until(lambda: SUMMARY in pipeline.after.ids())
    assert pipeline.after.ids().count(SUMMARY) == 1
    assert set(pipeline.after.session_state) == {"a", "b"}


def test_all_sessions_may_end_at_once(logfile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full table closed in one turn is in the log whole: nothing is refused."""
    monkeypatch.setattr(worker, "DRAIN_SECONDS", 120.0)  # a busy machine is another matter
    plugin = Output()
    for i in range(20_000):
        plugin.write(connect(0.0, f"{i}"))
    plugin.stop()
    assert len(logfile.read_text().splitlines()) == 20_000
    assert plugin._lines.lost == 0


def test_records_at_the_end_still_go_out(pipeline: Pipeline, logfile: Path) -> None:
    """At shutdown there is no next turn; a session still open has its record, too."""
    pipeline.play(*VISIT, connect(4.0, "open"))
    pipeline.plugin._flush()  # what the reactor calls in its last phase but one
    assert pipeline.after.ids().count("cowrie.sessionstats.summary") == 2
    pipeline.dispatcher.stop()
    pipeline.plugin.stop()
    written = [json.loads(line) for line in logfile.read_text().splitlines()]
    assert [record.get("partial") for record in written] == [None, "open"]


def test_nothing_escapes_write_and_it_is_said_once_a_minute(
    pipeline: Pipeline, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be counted is counted as an error, with the id of the event."""
    for raw in ANYTHING:
        pipeline.plugin.write(raw)

    def fail(*_: Any) -> None:
        raise RecursionError("too {deep}")

    monkeypatch.setattr(Sessions, "feed", fail)
    for _ in range(100):
        pipeline.plugin.write(event("command.input", 1.0, input="{attack}"))
    complaints = [line for line in said if "could not be counted" in line]
    assert len(complaints) == 1
    pipeline.plugin.stop()
    assert "errors" in said[-1]
    assert int(said[-1].split()[-2]) >= 100


def test_an_output_that_fails_does_not_stop_the_others(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """Where there is no dispatcher to isolate them, we do: one fails, the rest have the record."""

    class Failing:
        def write(self, _: dict[str, Any]) -> None:
            raise ValueError("{no}\x1b[2J\n")

    outputs = [Failing(), pipeline.plugin, pipeline.after]
    monkeypatch.setattr("cowrie_sessionstats.plugin._loaded_outputs", lambda: outputs)
    pipeline.plugin.dispatcher = None
    for raw in VISIT:
        pipeline.plugin.write(raw)
    pipeline.plugin._flush()
    assert pipeline.after.ids() == ["cowrie.sessionstats.summary"]
    assert any(r"refused a record: {no}\x1b[2J\n" in line for line in said)


def test_counters_are_said_every_hour(
    logfile: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line an hour, and one at the stop."""
    assert not logfile.exists()
    clock = task.Clock()
    clock.addSystemEventTrigger = lambda *_: None  # type: ignore[attr-defined]
    clock.callFromThread = lambda call, *more: call(*more)  # type: ignore[attr-defined]
    clock.callWhenRunning = lambda *_: None  # type: ignore[attr-defined]
    monkeypatch.setattr("cowrie_sessionstats.plugin._reactor", lambda: clock)
    plugin = Output()
    plugin.write(connect())
    clock.advance(3599)
    assert said == [f"sessionstats is on: records go to {logfile} and to Cowrie's other outputs"]
    clock.advance(1)
    assert said[1:] == [f"sessionstats: 1 open, {', '.join(f'0 {word}' for word in WORDS)}"]
    plugin.stop()
    assert "0 open, 1 written" in said[-1]


def test_outputs_can_be_turned_off(logfile: Path) -> None:
    """``log = false`` writes no file, ``pipeline = false`` dispatches nothing."""
    CowrieConfig.read_dict({SECTION: {"log": "false", "pipeline": "false"}})
    made = Pipeline(Output())
    made.play(*VISIT)
    made.plugin.stop()
    assert not logfile.exists()
    assert "cowrie.sessionstats.summary" not in made.after.ids()


def test_a_bad_option_turns_the_plugin_off(logfile: Path, said: list[str]) -> None:
    """Cowrie loads it all the same; it then does nothing, also at the stop."""
    CowrieConfig.read_dict({SECTION: {"max_sessions": "0"}})
    plugin = Output()
    plugin.write(connect())
    plugin.stop()
    assert len(said) == 1
    assert "max_sessions = '0'" in said[0]
    assert not logfile.exists()


def test_cowries_json_log_writes_the_record_unchanged(tmp_path: Path, pipeline: Pipeline) -> None:
    """What jsonlog makes of our event is our record."""
    CowrieConfig.set("output_jsonlog", "logfile", str(tmp_path / "cowrie.json"))
    CowrieConfig.set("honeypot", "logtype", "plain")
    output = jsonlog.Output()
    pipeline.dispatcher.sinks.append(output)
    pipeline.play(*VISIT)
    pipeline.plugin._flush()
    output.outfile.close()
    last = json.loads((tmp_path / "cowrie.json").read_text().splitlines()[-1])
    assert last["eventid"] == "cowrie.sessionstats.summary"
    assert "time" not in last
    assert last["message"] == "root@203.0.113.7 ssh 3.0 s, 1 command, last: id"
