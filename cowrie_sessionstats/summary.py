"""The record: one finished session, its JSON Schema and its renderings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from cowrie_sessionstats import activity, events, timestamps
from cowrie_sessionstats._bounded import LIST_LIMIT, TEXT_LIMIT, FirstTexts
from cowrie_sessionstats.entries import identity, storable
from cowrie_sessionstats.findings.automation import NEUTRAL, Reason, Verdict
from cowrie_sessionstats.findings.ending import Ending
from cowrie_sessionstats.findings.facts import Facts
from cowrie_sessionstats.findings.judging import Findings, Judge, default_judge
from cowrie_sessionstats.history import Past, Way
from cowrie_sessionstats.session import Commands, Partial, Session

SCHEMA: Final = 1
"""Version of the record: a key may be added without a new one, never change its meaning."""

_MICROSECOND: Final = 1e-6
_MESSAGE_COMMAND: Final = 80  # characters of the last command in the one readable line
_MESSAGE_NAME: Final = 32  # characters of a user name there


def _key(doc: str, *, default: Any = None) -> Any:
    """Return a field of the record; ``doc`` goes into the schema and the README's table."""
    return attrs.field(default=default, metadata={"doc": doc})


@attrs.frozen(kw_only=True)
class Summary:
    """One session's record, as it is written at the close. None: nothing is known.

    Times are in seconds; texts hold at most 1,024 characters, lists at most 32 entries, and
    ``truncated`` names what was cut. Counters go on counting.
    """

    eventid: Literal["cowrie.sessionstats.summary"] = _key(
        "always `cowrie.sessionstats.summary`", default=events.SUMMARY_EVENTID
    )
    schema: Literal[1] = _key("version of this record", default=SCHEMA)
    session: str = _key("Cowrie's id of the session")
    sensor: str | None = _key("Cowrie's name of the sensor")
    uuid: str | None = _key("Cowrie's id of the sensor")
    protocol: str | None = _key("`ssh` or `telnet`")
    src_ip: str | None = _key("address of the client")
    src_port: int | None = _key("port of the client")
    dst_ip: str | None = _key("address that the client reached")
    dst_port: int | None = _key("port that the client reached")
    timestamp: str | None = _key("time of the close, as Cowrie writes it")
    message: str = _key("one readable line; what an attacker sent is escaped in it")

    start: str | None = _key(
        "beginning of the session (ISO 8601, UTC); where it was not seen, the close less the "
        "duration, else the first event"
    )
    end: str | None = _key("end of the session, or its last event (ISO 8601, UTC)")
    duration: float | None = _key(
        "seconds, as Cowrie measured them; where it did not, `end` less `start`"
    )

    logged_in: bool | None = _key(
        "whether a login worked; left out if the beginning was not seen, nor a login"
    )
    login_attempts: int = _key("logins tried, the one that worked included", default=0)
    username: str | None = _key("of the login that worked, else of the last one tried")
    password: str | None = _key("of the same login; left out with `passwords = drop`")
    auth: activity.Auth | None = _key("how that login was made: `password`, `publickey`, `none`")
    key_fingerprint: str | None = _key(
        "public key of the login that worked, else the last one offered (MD5, as Cowrie has it)"
    )

    client_version: str | None = _key("what the SSH client calls itself")
    hassh: str | None = _key("HASSH fingerprint of the SSH client")
    terminal: str | None = _key("columns x rows that the client asked for first, e.g. `80x24`")
    arch: str | None = _key("machine that Cowrie showed, e.g. `linux-x64-lsb`")

    commands: int = _key("lines for the shell (`cowrie.command.input` without `realm`)", default=0)
    commands_failed: int = _key("commands that Cowrie did not find", default=0)
    inputs: int = _key(
        "lines fed to a running command (`cowrie.session.input`, or a `realm` in the event)",
        default=0,
    )
    command_events: int = _key("every `cowrie.command.*` event, as the study counts", default=0)
    commands_distinct: int = _key(
        "different command lines: exact to 64, then a HyperLogLog (standard error 6.5 %)",
        default=0,
    )
    first_command: str | None = _key("the first command line")
    last_command: str | None = _key("the last command line")
    last_command_template: str | None = _key(
        "its template: what varies from victim to victim taken out (of the last line that is not "
        "blank)"
    )

    command_rate: float | None = _key("`commands` / `duration`, a second")
    command_rate_active: float | None = _key("`commands` / seconds from the first to the last")
    first_command_after: float | None = _key("seconds from the login to the first command")
    quiet_before_close: float | None = _key("seconds from the last command to the end")
    gap_median: float | None = _key(
        "median seconds between commands: exact to 64 gaps, then within 5 %, and 0.00001 at least"
    )
    gap_cv: float | None = _key(
        "their standard deviation / mean (from two gaps on): near 0 is a machine's beat"
    )

    commands_sha256: str | None = _key(
        "SHA-256 over each command line and a newline; left out without a command"
    )
    fingerprint: str | None = _key(
        "of the session's command lines: sessions of one script have the same; left out without a "
        "command"
    )
    templates: tuple[str, ...] = _key(
        "the templates that the fingerprint is made of, in order; repeats in a row are one",
        default=(),
    )
    vocabulary: str | None = _key(
        "first 12 hex digits of the SHA-256 of the operator's vocabulary; left out without one"
    )

    downloads: int = _key("files that reached the honeypot by a command", default=0)
    uploads: int = _key("files sent over SFTP or SCP", default=0)
    files: tuple[str, ...] = _key("SHA-256 of those files, each once", default=())
    urls: tuple[str, ...] = _key("URLs fetched from, also in vain, each once", default=())
    forwards: int = _key("TCP connections asked for through the honeypot", default=0)
    forward_targets: tuple[str, ...] = _key("`host:port` of those, each once", default=())
    ttylogs: tuple[str, ...] = _key("terminal recordings, as Cowrie names them", default=())

    ending: Ending = _key(
        "how it ended: `exit` (the client's own, or its last single command was done), "
        "`client_closed`, `idle_timeout` and `login_timeout` (Cowrie's), `never_logged_in`, "
        "`sensor_stopped`, `unknown`",
        default="unknown",
    )
    automation: Verdict = _key(
        "`automated`, `interactive` (somebody typed), or `undetermined`", default="undetermined"
    )
    automation_score: int = _key("0 (a person) to 100 (a program)", default=NEUTRAL)
    automation_reasons: tuple[Reason, ...] = _key("what the score is made of", default=())
    checks: tuple[str, ...] = _key(
        "commands seen that tell a honeypot from a machine, by their ids", default=()
    )
    check_last: str | None = _key(
        "the one of these that the last command was; left out if it was none"
    )
    labels: tuple[str, ...] = _key("what it was, as far as its commands show", default=())
    techniques: tuple[str, ...] = _key("MITRE ATT&CK techniques that were seen", default=())

    seen_before: int | None = _key(
        "sessions before it with the same fingerprint, as far as the history knows; this and the "
        "next three are left out without a history, without commands, and if the record is partial"
    )
    first_seen: str | None = _key("when the first of those began (ISO 8601, UTC)")
    stopped_early: bool | None = _key(
        "whether nearly all sessions that got so far in this script went on"
    )
    usual_next: str | None = _key("template with which most of those went on")

    partial: Partial | None = _key(
        "why the record is not whole: `evicted` (too many sessions were open), `joined_late` "
        "(the beginning was not seen), `open` (the end was not seen), `recovered` (Cowrie was "
        "killed before the end)"
    )
    truncated: tuple[str, ...] | None = _key("keys whose text or list was cut")
    late_events: int = _key("events that came after this record was first written", default=0)
    revision: int = _key(
        "0, then counting up: replaces the record with the same `uuid`, `session` and `start`",
        default=0,
    )

    time: float | None = attrs.field(default=None, metadata={"internal": True})
    """Not in the record: when the session closed, as Cowrie's dispatcher wants to be told it."""


KEYS: Final[tuple[str, ...]] = tuple(
    field.name for field in attrs.fields(Summary) if "internal" not in field.metadata
)
_LISTS: Final = (
    *("templates", "files", "urls", "forward_targets", "ttylogs", "automation_reasons"),
    *("checks", "labels", "techniques", "truncated"),
)


Kind: TypeAlias = Literal["text", "integer", "number", "boolean", "texts"]


def _kind(hint: Any) -> Kind:
    options = [option for option in get_args(hint) if option is not type(None)]
    if type(None) in get_args(hint):
        return _kind(options[0])
    if get_origin(hint) is tuple:
        return "texts"
    names: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "boolean"}
    return names[type(options[0]) if get_origin(hint) is Literal else hint]


KINDS: Final[dict[str, Kind]] = {key: _kind(get_type_hints(Summary)[key]) for key in KEYS}
"""What each key holds, for tables, whose columns have a type."""


class Trail(NamedTuple):
    """What the history needs of a session (``history.Way``), besides what is in its record."""

    path: bytes
    link: bytes
    length: int
    """Templates, repeats in a row counted once."""
    start: float
    end: float


@attrs.frozen
class Draft:
    """A session's record without its findings, and what those are made from."""

    before: tuple[Any, ...]
    """Values of the keys before the findings, in the order of ``KEYS``."""
    facts: Facts
    ttylogs: tuple[str, ...]
    """As in the record."""
    trail: Trail | None
    """None: the session is not the history's."""
    after: tuple[Any, ...]
    time: float | None
    """When the session closed, as Cowrie's dispatcher wants to be told it."""

    @property
    def session(self) -> str:
        """Return Cowrie's id of the session."""
        name: str = self.before[_SESSION]
        return name

    def values(self, findings: Findings, past: Past | None = None) -> tuple[Any, ...]:
        """Return what the record holds, in the order of ``KEYS``."""
        return (*self.before, *findings, *past_values(past), *self.after)

    def way(self, *, is_new: bool = False) -> Way | None:
        """Return the session's way through the script tree, if the history is to know of it.

        ``is_new``: the session ended in this process.
        """
        if self.trail is None:
            return None
        placed = ((key, self.before[place]) for key, place in _KNOWN.items())
        known = {key: value for key, value in placed if value is not None}
        return way_of(known, self.trail, counts=self.after[-1] == 0, is_new=is_new)

    def summary(self, findings: Findings, past: Past | None = None) -> Summary:
        """Return the record."""
        known = dict(zip(KEYS, self.values(findings, past), strict=True))
        return Summary(**known, time=self.time)


def way_of(record: Mapping[str, Any], trail: Trail, *, counts: bool, is_new: bool = False) -> Way:
    """Return the way through the script tree of the session that ``record`` is of.

    What the record leaves out must not be there as None.
    """
    return Way(
        identity(record),
        trail.path,
        trail.link,
        trail.length,
        record["templates"],
        storable(record.get("sensor") or ""),
        trail.start,
        trail.end,
        counts=counts,
        is_new=is_new,
    )


def past_values(past: Past | None) -> tuple[Any, ...]:
    """Return the values from ``seen_before`` to ``usual_next``."""
    if past is None:
        return (None, None, None, None)
    first = past.first_seen
    seen = None if first is None else timestamps.format_timestamp(first, None)
    return (past.seen_before, seen, past.stopped_early, past.usual_next)


def summary_of(session: Session, judge: Judge | None = None) -> Summary:
    """Return the record of ``session`` as it stands; the session is not changed."""
    draft = draft_of(session)
    return draft.summary((judge or default_judge()).findings(draft.facts))


def draft_of(session: Session) -> Draft:
    """Return the record of ``session`` as it stands, but for the findings."""
    start, start_stamp = session.start()
    end, end_stamp = session.end()
    duration = session.duration
    if duration is None:
        duration = timestamps.between(start, end)
    lines = session.lines or _NO_COMMANDS
    logged_in = session.logged_in if session.connected or session.logged_in else None
    of_commands = _of_commands(session, lines, duration)
    before = (
        events.SUMMARY_EVENTID,
        SCHEMA,
        session.session,
        session.sensor or None,
        session.uuid,
        session.protocol,
        session.src_ip,
        session.src_port,
        session.dst_ip,
        session.dst_port,
        end_stamp,
        _message(session, duration),
        None if start is None else timestamps.format_timestamp(start, start_stamp),
        None if end is None else timestamps.format_timestamp(end, end_stamp),
        duration,
        logged_in,
        session.login_attempts,
        session.username,
        session.password,
        session.auth,
        session.key_fingerprint,
        session.client_version,
        session.hassh,
        session.terminal,
        session.arch,
        session.commands,
        session.commands_failed,
        session.inputs,
        session.command_events,
        *of_commands,
        session.templates.vocabulary.extension,
        session.downloads,
        session.uploads,
        _texts(session.files),
        _texts(session.urls),
        session.forwards,
        _texts(session.forward_targets),
        _texts(session.ttylogs),
    )
    after = (
        session.partial,
        _truncated(session),
        session.late_events,
        session.revision,
    )
    facts = _facts(session, lines, duration, logged_in, of_commands)
    trail = None
    if session.lines and session.partial is None and start is not None and end is not None:
        script = lines.script
        if script.count and not lines.unreadable:
            trail = Trail(script.path, script.links[:_LINK], script.count, start, end)
    return Draft(before, facts, before[-1], trail, after, session.close_tick)


def _facts(
    session: Session,
    lines: Commands,
    duration: float | None,
    logged_in: bool | None,  # noqa: FBT001 - a figure among others
    of_commands: tuple[Any, ...],
) -> Facts:
    between, close, channel = timestamps.between, session.close_tick, session.channel_tick
    script = lines.script
    active = lines.last_tick
    for tick in (session.login_tick, session.input_tick):
        if tick is not None and (active is None or tick > active):
            active = tick
    return Facts(
        protocol=session.protocol,
        close=close,
        partial=session.partial,
        stopped=session.stopped,
        logged_in=logged_in,
        login_attempts=session.login_attempts,
        duration=duration,
        client_version=session.client_version,
        hassh=session.hassh,
        terminal=session.terminal,
        terminals=session.terminals,
        channels=session.channels,
        commands=session.commands,
        characters=lines.characters,
        fast=lines.fast,
        first_command_after=of_commands[_FIRST_COMMAND_AFTER],
        active=between(lines.first_tick, lines.last_tick),
        gap_median=of_commands[_GAP_MEDIAN],
        gap_cv=of_commands[_GAP_CV],
        scripted=script.count,
        last_template=script.template,
        since_login=between(session.login_tick, close),
        quiet=between(active, close),
        quiet_before_channel=between(active, channel),
        channel_before_close=between(channel, close),
        marks=script.marks,
        last_marks=script.last_marks,
        downloads=session.downloads,
        uploads=session.uploads,
        forwards=session.forwards,
    )


def _of_commands(session: Session, lines: Commands, duration: float | None) -> tuple[Any, ...]:
    """Return the values from ``commands_distinct`` to ``templates``."""
    rate = _rate(session.commands, duration)
    if session.lines is None:
        return (0, None, None, None, rate, *_NOTHING)
    script, gaps = lines.script, lines.gaps
    readable = not lines.unreadable
    return (
        lines.distinct.count(),
        _clipped(lines.first),
        _clipped(lines.last),
        _clipped(script.template),
        rate,
        _rate(session.commands, timestamps.between(lines.first_tick, lines.last_tick)),
        timestamps.between(session.login_tick, lines.first_tick),
        timestamps.between(lines.last_tick, session.close_tick),
        gaps.median(),
        gaps.variation(),
        lines.exact.hexdigest() if readable else None,
        script.fingerprint() if readable else None,
        tuple(
            [template[:TEXT_LIMIT] for template in script.templates]
            if script.long
            else script.templates
        ),
    )


_LINK: Final = 8  # bytes that tell the ends of long scripts apart
_SESSION: Final = KEYS.index("session")
_KNOWN: Final = {
    key: KEYS.index(key) for key in ("session", "sensor", "uuid", "start", "templates")
}
"""Where in a draft is what ``way_of`` reads."""
_OF_COMMANDS: Final = KEYS.index("commands_distinct")
_FIRST_COMMAND_AFTER: Final = KEYS.index("first_command_after") - _OF_COMMANDS
_GAP_MEDIAN: Final = KEYS.index("gap_median") - _OF_COMMANDS
_GAP_CV: Final = KEYS.index("gap_cv") - _OF_COMMANDS
_NOTHING: Final = (*(None,) * 7, ())
_NO_COMMANDS: Final = Commands(None)


def _clipped(text: str | None) -> str | None:
    return text[:TEXT_LIMIT] if text is not None and len(text) > TEXT_LIMIT else text


def _rate(count: int, seconds: float | None) -> float | None:
    """Return the count a second; None where the time is too short to have been measured."""
    return count / seconds if seconds is not None and seconds >= _MICROSECOND else None


def _texts(texts: FirstTexts | None) -> tuple[str, ...]:
    return () if texts is None else tuple(texts.texts)


def _truncated(session: Session) -> tuple[str, ...] | None:
    cut = set(session.cut) if session.cut else set()
    lines = session.lines
    if lines is not None:
        script = lines.script
        if script.long or script.count > len(script.templates):
            cut.add("templates")
        if lines.first is not None and len(lines.first) > TEXT_LIMIT:
            cut.add("first_command")
        if lines.last is not None and len(lines.last) > TEXT_LIMIT:
            cut.add("last_command")
        if script.template is not None and len(script.template) > TEXT_LIMIT:
            cut.add("last_command_template")
    if session.weight():
        for name in ("files", "urls", "forward_targets", "ttylogs"):
            texts = getattr(session, name)
            if texts is not None and texts.cut:
                cut.add(name)
    return tuple(sorted(cut)) if cut else None


def _message(session: Session, duration: float | None) -> str:
    """Return e.g. ``root@203.0.113.7 ssh 19.4 s, 21 commands, last: df -h``."""
    who = printable(session.src_ip or "unknown address", _MESSAGE_NAME * 2)
    if session.logged_in and session.username is not None:
        who = f"{printable(session.username, _MESSAGE_NAME)}@{who}"
    words = [who, printable(session.protocol or "session", _MESSAGE_NAME)]
    if duration is not None:
        words.append(f"{duration:.1f} s")
    parts = [" ".join(words)]
    if session.commands or session.logged_in:
        parts.append(_counted(session.commands, "command"))
    elif session.login_attempts:
        parts.append(_counted(session.login_attempts, "failed login"))
    else:
        parts.append("no login")
    if session.downloads:
        parts.append(_counted(session.downloads, "download"))
    if session.uploads:
        parts.append(_counted(session.uploads, "upload"))
    if session.forwards:
        parts.append(_counted(session.forwards, "forward"))
    if session.partial is not None:
        parts.append(session.partial.replace("_", " "))
    if session.lines is not None and session.lines.last:
        parts.append(f"last: {printable(session.lines.last, _MESSAGE_COMMAND)}")
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str, limit: int) -> str:
    """Return ``text`` on one line, cut to about ``limit`` characters, safe for a terminal.

    Whatever Python does not call printable (control characters, escape sequences, line ends,
    marks that turn the direction of writing, lone surrogates) is shown as its escape.
    """
    shown = text if len(text) <= limit else text[:limit] + "..."
    if shown.isprintable():
        return shown
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in shown
    )


def record(summary: Summary) -> dict[str, Any]:
    """Return the record as a flat dictionary for JSON: keys in order, unknown ones left out."""
    known = _known(summary)
    for key in _LISTS:
        if key in known:
            known[key] = list(known[key])
    return known


def summary_from(record: Mapping[str, Any]) -> Summary:
    """Return the summary that ``record`` was made from; keys that it does not know are left out.

    Raises TypeError if a key is missing that every record has.
    """
    known = {key: record[key] for key in KEYS if key in record}
    for key in _LISTS:
        if key in known:
            known[key] = tuple(known[key])
    return Summary(**known)


def _known(summary: Summary) -> dict[str, Any]:
    return {
        key: value for key, value in zip(KEYS, _values(summary), strict=True) if value is not None
    }


_values: Final = attrgetter(*KEYS)
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def to_json(summary: Summary) -> str:
    """Return the record as one line of JSON, ASCII only, without the newline."""
    return _encode(_known(summary))


# ---------------------------------------------------------------- schema

_JSON_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_UNLIMITED: Final = frozenset({"message"})  # escapes make it longer than what it shows


def json_schema() -> dict[str, Any]:
    """Return the record's JSON Schema (draft 2020-12), generated from ``Summary``."""
    hints = get_type_hints(Summary)
    properties = {}
    required = []
    for field in attrs.fields(Summary):
        if field.name not in KEYS:
            continue
        properties[field.name] = {
            "description": field.metadata["doc"],
            **_type_schema(field.name, hints[field.name]),
        }
        if type(None) not in get_args(hints[field.name]):
            required.append(field.name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cowrie-sessionstats summary",
        "description": "One session of a Cowrie honeypot, written when it closes.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
    }


def _type_schema(name: str, hint: Any) -> dict[str, Any]:
    options = [option for option in get_args(hint) if option is not type(None)]
    if type(None) in get_args(hint) and len(options) == 1:
        return _type_schema(name, options[0])
    if get_origin(hint) is Literal:
        return {"const": options[0]} if len(options) == 1 else {"enum": options}
    if get_origin(hint) is tuple:
        entry = get_args(hint)[0]
        return {
            "type": "array",
            "items": _type_schema(name, entry)
            if get_origin(entry) is Literal
            else {"type": "string", "maxLength": TEXT_LIMIT},
            "maxItems": LIST_LIMIT,
        }
    schema: dict[str, Any] = {"type": _JSON_TYPES[hint]}
    if hint is str and name not in _UNLIMITED:
        schema["maxLength"] = TEXT_LIMIT
    if hint in (int, float):
        schema["minimum"] = 0
    return schema
