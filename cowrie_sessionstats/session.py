"""What is counted while a session is open: bounded counters and hashes, no list of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import sub
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import define, field

from cowrie_sessionstats import activity, events, timestamps
from cowrie_sessionstats._bounded import TEXT_LIMIT, DistinctTexts, FirstTexts, Gaps
from cowrie_sessionstats.commands import Script, Templates
from cowrie_sessionstats.timestamps import WHOLE

if TYPE_CHECKING:
    from hashlib import _Hash

Partial: TypeAlias = Literal["evicted", "joined_late", "open", "recovered"]


FAST_RATE: Final = 20.0
"""Characters a second: the fastest of 168,000 typists (Dhakal et al., "Observations on Typing from
136 Million Keystrokes", CHI 2018) had 12."""

FAST_LENGTH: Final = 10
"""Characters: a shorter line can be the end of something that was typed ahead."""


@define(eq=False, weakref_slot=False)
class Commands:
    """What is counted over a session's command lines; made when the first one comes."""

    first: str | None
    """The first line, cut as ``last`` is."""
    exact: _Hash = field(factory=sha256, init=False)
    """SHA-256 over each line and a newline."""
    script: Script = field(factory=Script, init=False)
    """The chain that the fingerprint is made of."""
    distinct: DistinctTexts = field(factory=DistinctTexts, init=False)
    gaps: Gaps = field(factory=Gaps, init=False)
    characters: int = field(default=0, init=False)
    """Of all lines."""
    fast: int = field(default=0, init=False)
    """Lines of ``FAST_LENGTH`` characters or more that came faster than ``FAST_RATE``."""
    unreadable: bool = field(default=False, init=False)
    """Whether a line was of another type than text."""
    last: str | None = field(default=None, init=False)
    """The last line, cut to ``TEXT_LIMIT`` characters and one that tells it was."""
    first_tick: float | None = field(default=None, init=False)
    last_tick: float | None = field(default=None, init=False)

    def add(self, line: str | None, tick: float | None, templates: Templates) -> None:
        """Take one command line."""
        if line is None:
            self.unreadable = True
            self.last = None
        else:
            # A lone surrogate is no text, yet it can stand in a log; it hashes as its code point.
            self.exact.update((line + "\n").encode("utf-8", "surrogatepass"))
            self.characters += len(line)
            self.distinct.add(line)
            self.script.add(line, templates)
            self.last = line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT + 1]
        if tick is not None:
            self._time(tick, 0 if line is None else len(line))

    def extend(self, lines: Sequence[str], ticks: Sequence[float], templates: Templates) -> None:
        """Take command lines and their times, as ``add`` does one by one."""
        text = "\n".join(lines)
        self.characters += len(text) + 1 - len(lines)
        self.exact.update((text + "\n").encode("utf-8", "surrogatepass"))
        self.distinct.extend(lines)
        self.script.extend(lines, templates)
        last = lines[-1]
        self.last = last if len(last) <= TEXT_LIMIT else last[: TEXT_LIMIT + 1]
        last_tick, self.last_tick = self.last_tick, ticks[-1]
        if self.first_tick is None or last_tick is None:
            self.first_tick = last_tick = ticks[0]
            lines, ticks = lines[1:], ticks[1:]
        base = float(int(self.first_tick))
        micros = [(tick - base) * 1e6 + WHOLE for tick in ticks]
        between = map(sub, micros, [(last_tick - base) * 1e6 + WHOLE, *micros])
        gaps = [gap / 1e6 for gap in between]
        if min(gaps, default=0.0) < 0.0:  # a clock that was set back tells nothing
            lines = [line for line, gap in zip(lines, gaps, strict=True) if gap >= 0.0]
            gaps = [gap for gap in gaps if gap >= 0.0]
        self.fast += sum(
            [FAST_LENGTH <= len(ln) > gap * FAST_RATE for ln, gap in zip(lines, gaps, strict=True)]
        )
        self.gaps.extend(gaps)

    def _time(self, tick: float, length: int) -> None:
        """Take the time of one command line of so many characters."""
        last_tick, self.last_tick = self.last_tick, tick
        if self.first_tick is None or last_tick is None:
            self.first_tick = tick
            return
        # In microseconds after the whole seconds of the first: those are exact.
        base = float(int(self.first_tick))
        before, now = (last_tick - base) * 1e6 + WHOLE, (tick - base) * 1e6 + WHOLE
        if now >= before:  # a clock that was set back says nothing of the time between
            gap = (now - before) / 1e6
            self.gaps.add(gap)
            self.fast += length >= FAST_LENGTH and length > gap * FAST_RATE


@define(eq=False, weakref_slot=False)
class Session:
    """One session's counters, in constant memory: at most 4 KiB, texts of usual length included.

    Three figures come from bounded structures (see ``_bounded``):

    - ``lines.distinct``: different command lines, exact up to 64, then with a standard error of
      6.5 %.
    - ``lines.gaps``: the times between commands; the median is exact up to 64 gaps, then within
      5 %; the coefficient of variation is exact always.
    - ``urls``, ``files``, ``forward_targets``, ``ttylogs``: the first 32 different ones.

    Times are those of the events: a stamp as it stands there, a tick in seconds of which only the
    difference to another tick means anything (see ``events.tick``). None: nothing is known.
    """

    sensor: str
    session: str
    templates: Templates
    """What makes templates of command lines, the same for all sessions."""
    keep_passwords: bool = True

    uuid: str | None = None
    protocol: str | None = None
    src_ip: str | None = None
    src_port: int | None = None
    dst_ip: str | None = None
    dst_port: int | None = None

    connected: bool = False
    """Whether the session's beginning was seen."""
    first_stamp: Any = None
    last_stamp: Any = None
    """Times of the first and the last event as they stand there: read when they are needed."""
    first_time: float | None = None
    """What ``first_stamp`` says, in seconds since 1970, if that was read already."""
    closed: bool = False
    close_stamp: Any = None
    close_tick: float | None = None
    close_time: float | None = None
    """As ``first_time``."""
    duration: float | None = None
    """Seconds, as Cowrie measured them."""

    logged_in: bool = False
    login_attempts: int = 0
    login_tick: float | None = None
    username: str | None = None
    password: str | None = None
    auth: activity.Auth | None = None
    key_fingerprint: str | None = None

    client_version: str | None = None
    hassh: str | None = None
    terminal: str | None = None
    arch: str | None = None
    terminals: int = 0
    """How often a terminal, or another size of one, was asked for."""
    channels: int = 0
    """Shells and single commands that began; 0 in logs of before 2018, which do not tell."""
    channel_tick: float | None = None
    """When the last recording of one was closed."""

    commands: int = 0
    commands_failed: int = 0
    inputs: int = 0
    input_tick: float | None = None
    """When the last of those came."""
    command_events: int = 0
    lines: Commands | None = None
    """What is counted over the command lines; None before the first."""

    downloads: int = 0
    uploads: int = 0
    forwards: int = 0
    urls: FirstTexts | None = None
    files: FirstTexts | None = None
    forward_targets: FirstTexts | None = None
    ttylogs: FirstTexts | None = None

    stopped: bool = False
    """Whether Cowrie was being stopped when it ended."""
    partial: Partial | None = None
    cut: set[str] | None = None
    """Names of the texts that were cut to ``TEXT_LIMIT``."""
    late_events: int = 0
    revision: int = 0
    revised_at: int = 0
    """``late_events`` at the last revision."""
    _start: tuple[float | None, Any] | None = field(default=None, init=False)

    def count(self, event: activity.Event) -> None:
        """Take one event of this session into the counters."""
        _COUNTERS[event.__class__](self, event)

    def count_logged(self, logged: Iterator[Any]) -> Any:
        """Take events of a log up to one that does more than count; return that, or None.

        Command lines are taken together: of all other events that only count, it does not matter
        between which of them they come.
        """
        lines: list[str] = []
        ticks: list[float] = []
        last = stop = None
        for event in logged:
            eventid = event.eventid
            if eventid == _COMMAND:
                line, tick = event.input, event.time
                if event.realm is _ABSENT and line.__class__ is str and tick.__class__ is float:
                    lines.append(line)
                    ticks.append(tick)
                    last = event
                    continue
            if eventid in _MORE_THAN_COUNT:
                stop = event
                break
            read = events.read_log(event)
            if read is not None:
                _COUNTERS[read.__class__](self, read)
                last = event
        if last is not None:
            self.last_stamp = last.timestamp
        if lines:
            self.count_commands(lines, ticks)
        return stop

    def count_commands(self, lines: Sequence[str], ticks: Sequence[float]) -> None:
        """Take command lines that came one after the other, all with a time."""
        self.command_events += len(lines)
        self.commands += len(lines)
        if self.lines is None:
            self.lines = Commands(lines[0][: TEXT_LIMIT + 1])
        self.lines.extend(lines, ticks, self.templates)

    def identify(self, ends: events.Endpoints) -> None:
        """Take what an event says of the session's identity, where nothing was known before."""
        uuid, protocol, src_ip, src_port, dst_ip, dst_port = ends
        if self.uuid is None and uuid is not None:
            self.uuid = self.clip("uuid", uuid)
        if self.protocol is None:
            self.protocol = None if protocol is None else shared(protocol)
        if self.src_ip is None and src_ip is not None:
            self.src_ip = self.clip("src_ip", src_ip)
        if self.src_port is None:
            self.src_port = src_port
        if self.dst_ip is None and dst_ip is not None:
            self.dst_ip = self.clip("dst_ip", dst_ip)
        if self.dst_port is None:
            self.dst_port = dst_port

    def clip(self, name: str, text: str | None) -> str | None:
        """Return ``text`` cut to ``TEXT_LIMIT`` characters, and remember whether ``name`` was."""
        if text is None or len(text) <= TEXT_LIMIT:
            if self.cut:
                self.cut.discard(name)
            return text if text is None or len(text) > SHARED_LENGTH else shared(text)
        if self.cut is None:
            self.cut = set()
        self.cut.add(name)
        return text[:TEXT_LIMIT]

    def weight(self) -> int:
        """Return how many characters the session's lists hold: hostile ones hold many."""
        lists = (self.urls, self.files, self.forward_targets, self.ttylogs)
        if lists == _EMPTY:
            return 0
        return sum(len(text) for texts in lists if texts is not None for text in texts.texts)

    def start(self) -> tuple[float | None, Any]:
        """Return when the session began, and the stamp that says so, if one does.

        In seconds since 1970 UTC. For a session whose beginning was not seen: its close less its
        duration, if Cowrie told that, else its first event. The first answer stands, since a
        revision of the record is found by its start.
        """
        if self._start is None:
            end = None if self.connected else timestamps.parse_timestamp(self.close_stamp)
            if self.first_time is not None:
                self._start = self.first_time, self.first_stamp
            elif end is None or self.duration is None:
                self._start = timestamps.parse_timestamp(self.first_stamp), self.first_stamp
            else:
                self._start = max(0.0, round(end - self.duration, 6)), None
        return self._start

    def forget_start(self) -> None:
        """Let ``start`` answer anew: the session goes on, and its close can tell more."""
        self._start = None

    def end(self) -> tuple[float | None, Any]:
        """Return when the session ended, or was last heard of, and the stamp that says so.

        In seconds since 1970 UTC; None if no event tells.
        """
        if self.close_time is not None:
            return self.close_time, self.close_stamp
        for stamp in (self.close_stamp, self.last_stamp):
            when = timestamps.parse_timestamp(stamp)
            if when is not None:
                return when, stamp
        return None, None


_COMMAND: Final = events.COMMAND_INPUT
_ABSENT: Final = events.ABSENT
_MORE_THAN_COUNT: Final = frozenset(
    {
        *(events.CONNECT, events.CLOSED, events.SUMMARY_EVENTID, _COMMAND),
        *("cowrie.command.success", "cowrie.session.input"),
    }
)
"""Events that begin or end a session, come after that, or of which it matters between which lines
they come."""
_EMPTY: Final = (None, None, None, None)
SHARED_LENGTH: Final = 128
shared: Final = lru_cache(1024)(str)
"""The first of equal texts, which nearly all sessions have: one client, one user, one sensor.
1,024 of them take half a megabyte at most."""


# ---------------------------------------------------------------- how each event counts


def _connect(session: Session, event: activity.Connect) -> None:
    if not session.connected:
        session.connected = True
        session.first_stamp = event.stamp
        session.first_time = event.when


def _closed(session: Session, event: activity.Closed) -> None:
    if session.closed:
        return
    session.closed = True
    session.close_stamp = event.stamp
    session.close_tick = event.tick
    session.close_time = event.when
    session.duration = event.duration


def _login(session: Session, event: activity.Login) -> None:
    session.login_attempts += 1
    # The login that worked stays; without one, the last that was tried.
    if session.logged_in:
        return
    session.logged_in = event.succeeded
    if event.succeeded:
        session.login_tick = event.tick
    session.auth = event.auth
    session.username = session.clip("username", event.username)
    session.password = session.clip("password", event.password if session.keep_passwords else None)
    if event.key_fingerprint is not None:
        session.key_fingerprint = session.clip("key_fingerprint", event.key_fingerprint)


def _key_offered(session: Session, event: activity.KeyOffered) -> None:
    if event.key_fingerprint is not None and not session.logged_in:
        session.key_fingerprint = session.clip("key_fingerprint", event.key_fingerprint)


def _client_version(session: Session, event: activity.ClientVersion) -> None:
    if event.version is not None and session.client_version is None:
        session.client_version = session.clip("client_version", event.version)


def _client_kex(session: Session, event: activity.ClientKex) -> None:
    if event.hassh is not None and session.hassh is None:
        session.hassh = session.clip("hassh", event.hassh)


def _terminal(session: Session, event: activity.Terminal) -> None:
    session.terminals += 1
    # The first: what the client came with, before anybody drags a window.
    if session.terminal is None:
        session.terminal = event.size


def _architecture(session: Session, event: activity.Architecture) -> None:
    session.channels += 1
    if event.arch is not None and session.arch is None:
        session.arch = session.clip("arch", event.arch)


def _command(session: Session, event: activity.Command) -> None:
    session.command_events += 1
    session.commands += 1
    if session.lines is None:
        session.lines = Commands(None if event.line is None else event.line[: TEXT_LIMIT + 1])
    session.lines.add(event.line, event.tick, session.templates)


def _command_failed(session: Session, _: activity.CommandFailed) -> None:
    session.command_events += 1
    session.commands_failed += 1


def _command_other(session: Session, _: activity.CommandOther) -> None:
    session.command_events += 1


def _input(session: Session, event: activity.Input) -> None:
    session.inputs += 1
    session.input_tick = event.tick
    session.command_events += event.command_event
    if session.lines is not None:
        session.lines.script.prompted()


def _download(session: Session, event: activity.Download) -> None:
    session.downloads += 1
    session.urls = _listed(session.urls, event.url)
    session.files = _listed(session.files, event.sha256)


def _download_failed(session: Session, event: activity.DownloadFailed) -> None:
    session.urls = _listed(session.urls, event.url)


def _upload(session: Session, event: activity.Upload) -> None:
    session.uploads += 1
    session.files = _listed(session.files, event.sha256)


def _forward(session: Session, event: activity.Forward) -> None:
    session.forwards += 1
    session.forward_targets = _listed(session.forward_targets, event.target)


def _tty_log(session: Session, event: activity.TtyLog) -> None:
    session.ttylogs = _listed(session.ttylogs, event.path)
    session.channel_tick = event.tick


def _other(_session: Session, _event: activity.Other) -> None:
    """Count nothing."""


def _listed(texts: FirstTexts | None, text: str | None) -> FirstTexts | None:
    """Return the list with ``text``; made only when there is something to keep."""
    if text is not None:
        if texts is None:
            texts = FirstTexts()
        texts.add(text)
    return texts


_COUNTERS: Final[Mapping[type, Callable[[Session, Any], None]]] = {
    activity.Connect: _connect,
    activity.Closed: _closed,
    activity.Login: _login,
    activity.KeyOffered: _key_offered,
    activity.ClientVersion: _client_version,
    activity.ClientKex: _client_kex,
    activity.Terminal: _terminal,
    activity.Architecture: _architecture,
    activity.Command: _command,
    activity.CommandFailed: _command_failed,
    activity.CommandOther: _command_other,
    activity.Input: _input,
    activity.Download: _download,
    activity.DownloadFailed: _download_failed,
    activity.Upload: _upload,
    activity.Forward: _forward,
    activity.TtyLog: _tty_log,
    activity.Other: _other,
}
