"""``cowrie-sessionstats compare``: one's own honeypot beside a real machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.compare import local, page, terminal
from cowrie_sessionstats.compare.allowlist import may_run
from cowrie_sessionstats.compare.answers import Answer, UnusableError
from cowrie_sessionstats.compare.comparing import VERDICTS, Row, compared
from cowrie_sessionstats.compare.references import PACKAGED, Reference, packaged, recorded
from cowrie_sessionstats.compare.remote import Asker, Machine, honeypot_at, reference_at
from cowrie_sessionstats.findings.rules import Rules
from cowrie_sessionstats.replay.command import (
    DONE,
    FAILURES,
    INTERRUPTED,
    NOTHING,
    UsageError,
    failed,
    give_up_stdout,
    say,
    terminable,
)
from cowrie_sessionstats.replay.formats import replacing
from cowrie_sessionstats.replay.progress import file_trouble
from cowrie_sessionstats.report.terminal import stdout
from cowrie_sessionstats.summary import printable

LAST_COMMANDS: Final = """
SELECT last_command_template AS template, min(last_command) AS command, count(*) AS sessions
FROM sessions WHERE logged_in AND last_command IS NOT NULL
GROUP BY template ORDER BY sessions DESC, command LIMIT 1000
"""
"""A thousand: the study's commonest thirty are nearly all of its sessions."""


@frozen
class Request:
    """What the user asked for."""

    honeypot: str
    reference: str
    user: str
    password: str
    sessions: Sequence[str]
    rules: Rules
    jobs: int
    json: bool = False
    html: Path | None = None
    top: int = 30


def compare(request: Request) -> int:
    """Ask both machines, and show what they said; return the exit status."""
    try:
        with terminable():
            return _compare(request)
    except KeyboardInterrupt:
        give_up_stdout()
        say("interrupted")
        return INTERRUPTED
    except UnusableError as error:
        say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except FAILURES as error:
        return failed(error, request.html)


def _last_commands(request: Request) -> dict[str, int]:
    """Return the commonest last commands of one's own sessions, and how many ended on each.

    One for each template: the one that was recorded, if there is such a one, else an example.
    UnusableError if the sessions cannot be read.
    """
    if not request.sessions:
        return {}
    import duckdb  # noqa: PLC0415 - slow to load

    from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415
    from cowrie_sessionstats.report.command import Source, last_commands  # noqa: PLC0415
    from cowrie_sessionstats.report.sources import SourceError  # noqa: PLC0415

    try:
        found = last_commands(Source(request.sessions, Settings(), request.jobs), LAST_COMMANDS)
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except (SourceError, duckdb.Error) as error:
        raise UnusableError(str(error)) from None
    recorded = _by_template(_recorded_lines())
    endings: Counter[str] = Counter()
    for template, command, sessions in found:
        endings[recorded.get(template, str(command))] += int(sessions)
    return dict(endings)


def _recorded_lines() -> dict[str, None]:
    """Return all lines to which a machine of the package's has an answer."""
    return dict.fromkeys(line for name in PACKAGED for line in packaged(name).answers)


def _by_template(lines: Iterable[str]) -> dict[str, str]:
    """Return lines by their templates, as records have them; of two with the same, the first."""
    templates = Templates(default_vocabulary())
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(Script().add(line, templates), line)
    return found


def _compare(request: Request) -> int:
    machine = _honeypot(request)
    endings = _last_commands(request)
    lines, checks = _lines(request.rules, endings, request.top)
    name, theirs = _reference(request.reference, lines)
    mine = Asker(machine, only_reading=False).ask(lines)
    rows = [
        Row(
            line, checks.get(line), endings.get(line, 0), mine.get(line), theirs.get(line),
            compared(mine.get(line), theirs.get(line)),
        )
        for line in lines
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.sessions, VERDICTS.index(row.verdict)))
    _tell_unknown(sum(row.verdict == "unknown" for row in rows), request.reference)
    if request.html is not None:
        with replacing(request.html) as file:
            page.write(rows, machine.place, name, file)
        say(f"wrote {request.html}")
    out = stdout()
    if request.json:
        out.write(json.dumps(_as_json(rows, machine.place, name)) + "\n")
    elif request.html is None:
        terminal.write(rows, machine.place, name, out)
    out.flush()
    return DONE


def _tell_unknown(count: int, reference: str) -> None:
    if not count:
        return
    if reference == "local" or reference.startswith("ssh:"):
        why = (
            "what does more than read is not run on a reference; the package has recordings of some"
        )
    else:
        why = "they are not in the recording, or the honeypot hung up; see --reference"
    say(f"commands that could not be compared: {count}: {why}")


def _honeypot(request: Request) -> Machine:
    try:
        return honeypot_at(request.honeypot, request.user, request.password)
    except ValueError:
        raise UsageError(
            f"--honeypot {request.honeypot!r:.100} is no HOST:PORT, such as 127.0.0.1:2222"
        ) from None


def _lines(rules: Rules, endings: dict[str, int], top: int) -> tuple[list[str], dict[str, str]]:
    """Return what is asked: checks that only read, and the last commands that do; once each.

    And of those that do not, what is in the package's recordings: of machines thrown away.
    """
    checks = {check.example[0]: check.id for check in rules.checks if check.example}
    known = _recorded_lines()
    lines = [line for line in checks if may_run(line) or line in known]
    last = [line for line in endings if may_run(line) or line in known][:top]
    return list(dict.fromkeys([*last, *lines])), checks


def _reference(name: str, lines: Sequence[str]) -> tuple[str, dict[str, Answer]]:
    """Return what the reference is called, and its answers to those of the lines it may be asked.

    UsageError if there is no such reference.
    """
    if name in PACKAGED:
        return _known(packaged(name))
    if name == "local":
        return "this machine", {line: local.run(line) for line in lines if may_run(line)}
    if name.startswith("ssh:"):
        try:
            machine = reference_at(name)
        except ValueError:
            raise UsageError(_no_reference(f"ssh://{_after_user(name)}")) from None
        return machine.place, Asker(machine, only_reading=True).ask(lines)
    if not Path(name).exists():
        raise UsageError(_no_reference(name))
    return _known(recorded(Path(name)))


def _after_user(url: str) -> str:
    """Return a URL without its scheme, its user and what may be his password."""
    return url.removeprefix("ssh:").lstrip("/").rpartition("@")[2]


def _no_reference(name: str) -> str:
    """Return what to say of it, which has no password in it."""
    known = ", ".join(PACKAGED)
    return (
        f"--reference {name!r:.100}: name local, ssh://[USER@]HOST[:PORT] (it is your keys that "
        f"let you in), {known} or the file of a recording"
    )


def _known(reference: Reference) -> tuple[str, dict[str, Answer]]:
    say(f"reference: {reference.machine}, {printable(reference.about, 300)}")
    return reference.machine, dict(reference.answers)


def _as_json(rows: Sequence[Row], honeypot: str, reference: str) -> dict[str, Any]:
    return {
        "honeypot": honeypot,
        "reference": reference,
        "commands": [
            {
                "command": row.command,
                "check": row.check,
                "sessions": row.sessions,
                "verdict": row.verdict,
                "honeypot": None if row.honeypot is None else row.honeypot.to_json(),
                "reference": None if row.reference is None else row.reference.to_json(),
            }
            for row in rows
        ],
    }
