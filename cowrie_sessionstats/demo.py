"""The demo: a Cowrie on loopback, and each summary as it is written."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats.launch import SUMMARIES, Installation, LaunchError
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.watching.log import Follower, LogError
from cowrie_sessionstats.watching.seen import decoded

_MARK: Final = "# Written by cowrie-sessionstats demo; it is written anew at each start.\n"
_POLL_SECONDS: Final = 0.2
_TEXT: Final = 80  # characters of a value on the screen


def run(folder: Path, ssh_port: int, telnet_port: int, say: Callable[[str], None]) -> None:
    """Run Cowrie in ``folder`` until Ctrl-C or SIGTERM, saying each summary as it is written.

    Raises LaunchError, with what to do, if Cowrie cannot be run or ends by itself.
    """
    if ssh_port == telnet_port:
        raise LaunchError(f"SSH and Telnet cannot both have port {ssh_port}: change one of them")
    for port, option in ((ssh_port, "--ssh-port"), (telnet_port, "--telnet-port")):
        _check_free(port, option)
    _check_ours(folder)
    installation = Installation(Path(sys.executable).parent)
    for number in (signal.SIGTERM, signal.SIGHUP):  # also when the terminal is closed
        signal.signal(number, _interrupt)
    try:
        _configure(folder, ssh_port, telnet_port)
        installation.init(folder)
        say("Starting Cowrie ...")
        cowrie = installation.start(folder)
    except KeyboardInterrupt:
        return
    summaries = _Summaries(folder / SUMMARIES)
    try:
        say(
            f"Connect:  ssh -p {ssh_port} root@127.0.0.1   (any password)\n"
            f"          telnet 127.0.0.1 {telnet_port}\n"
            "Run what you like there and leave: its summary appears here. Ctrl-C ends the demo."
        )
        while cowrie.process.poll() is None:
            for record in summaries.read():
                say(describe(record))
            time.sleep(_POLL_SECONDS)
        raise LaunchError(f"Cowrie ended by itself; see {folder}/var/log/cowrie")
    except KeyboardInterrupt:
        say("Stopping Cowrie ...")
    finally:
        cowrie.stop()
    for record in summaries.read():
        say(describe(record))
    say(f"Summaries written to {folder / SUMMARIES}: {summaries.count}")


@define
class _Summaries:
    """The records that are written from now on."""

    path: Path
    count: int = 0
    _follower: Follower = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._follower = Follower(self.path)
        self._follower.skip()

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield those that were written since the last call."""
        try:
            while lines := self._follower.read():
                for record in filter(None, map(decoded, lines)):
                    self.count += 1
                    yield record
        except LogError as error:
            raise LaunchError(str(error)) from None


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LaunchError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): "
                f"stop what has it, or choose another with {option}"
            ) from None


def _check_ours(folder: Path) -> None:
    """Raise LaunchError if the folder holds anything but an earlier demo: it may be a sensor."""
    if not folder.exists():
        return
    config = folder / "cowrie.cfg"
    ours = config.is_file() and config.read_text(errors="replace").startswith(_MARK)
    if not ours and any(folder.iterdir()):
        raise LaunchError(
            f"{folder} is neither empty nor an earlier demo's, and was left as it is: "
            "name another folder"
        )


def _configure(folder: Path, ssh_port: int, telnet_port: int) -> None:
    """Write ``cowrie.cfg``, which Cowrie reads after ``etc/cowrie.cfg``."""
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    path = folder / "cowrie.cfg"
    users = folder / "etc/userdb.txt"
    if not users.exists():  # Cowrie's own list refuses a few passwords
        users.write_text("root:x:*\n")
    path.write_text(
        f"{_MARK}"
        "[ssh]\nenabled = true\n"
        f"listen_endpoints = tcp:{ssh_port}:interface=127.0.0.1\n\n"
        "[telnet]\nenabled = true\n"
        f"listen_endpoints = tcp:{telnet_port}:interface=127.0.0.1\n\n"
        "[output_sessionstats]\nenabled = true\n"
        "logfile = ${honeypot:log_path}/sessionstats.json\n"
    )


def describe(record: dict[str, Any]) -> str:
    """Return a record as some lines for a person; what an attacker sent is escaped."""

    def known(key: str, form: str = "{}") -> str | None:
        value = record.get(key)
        if value in (None, 0, [], ""):
            return None
        return form.format(printable(value, _TEXT) if isinstance(value, str) else value)

    def known_list(key: str, form: str) -> str | None:
        texts = [printable(str(text), _TEXT) for text in record.get(key, ())]
        return form.format(", ".join(texts)) if texts else None

    stopped_early = record.get("stopped_early", False)
    rows: list[list[str | None]] = [
        [
            known("client_version"),
            known("terminal"),
            known("auth", "login by {}"),
            known("password", "password {}"),
            known("login_attempts", "attempts: {}"),
        ],
        [
            known("command_rate", "{:.2f} commands a second"),
            known("first_command_after", "first after {:.1f} s"),
            known("gap_median", "{:.1f} s between them (median)"),
            known("quiet_before_close", "quiet for {:.1f} s before the end"),
        ],
        [known("first_command", "first: {}")],
        [known("last_command", "last:  {}")],
        [known("fingerprint", "fingerprint: {}")],
        [f"url:   {printable(url, _TEXT)}" for url in record.get("urls", ())],
        [
            known("ending", "ended by {}"),
            known("automation"),
            known_list("automation_reasons", "because of {}"),
        ],
        [known_list("labels", "labels: {}")],
        [known_list("checks", "checks: {}")],
        [
            known("seen_before", "same script seen {} times before"),
            known("usual_next", "stopped early; most go on with {}") if stopped_early else None,
        ],
        [known("partial", "partial: {}")],
    ]
    lines = [printable(str(record.get("message")), 2 * _TEXT)]
    lines += [f"    {', '.join(filter(None, row))}" for row in rows if any(row)]
    return "\n" + "\n".join(lines)
