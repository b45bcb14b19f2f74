"""The configurations for rsyslog and syslog-ng, in the real programs, with the real forwarder."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_twisted
from attrs import define
from conftest import ROOT
from nasty import NASTY
from receivers_syslog import HOST, Authority, Receiver, Rsyslog, Secured, SyslogNg, wait_until
from summaries import summary
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from cowrie_sessionstats.outputs.sending import Delivered, Record, without_time
from cowrie_sessionstats.outputs.syslog import SyslogSender, read_options

WRITTEN: Final = "/var/log/cowrie-sessionstats.json"
READ: Final = "/home/cowrie/cowrie/var/log/cowrie/sessionstats.json"
CERTIFICATES: Final = "/etc/ssl/sessionstats/"
LONGEST: Final = 65_536


def changed(text: str, places: dict[str, object], *kinds: str) -> str:
    """Return a configuration with other places, and the lines of some kinds in force.

    As its own first lines tell an operator.
    """
    for kind in kinds:
        assert f"#{kind} " in text
        text = re.sub(rf"^( *)#{kind} ", r"\1", text, flags=re.MULTILINE)
    if "tls" in kinds:
        text, count = re.subn(r"^.* # without TLS\n", "", text, flags=re.MULTILINE)
        assert count == 1
    for place, other in places.items():
        assert place in text
        text = text.replace(place, str(other))
    return text


def write(receiver: Receiver, name: str, port: str, kinds: tuple[str, ...]) -> None:
    """Write one of our configurations with the places of this test, for a main one to include."""
    folder = receiver.folder
    text = (ROOT / "etc" / name / "cowrie-sessionstats.conf").read_text("utf-8")
    places = {port: port.replace("514", str(receiver.port)), WRITTEN: folder / "messages"}
    if "file" in kinds:
        places[READ] = folder / "sessionstats.json"
    if {"tls", "next"} & set(kinds):
        places[CERTIFICATES] = f"{folder}/certificates/"
    if "next" in kinds:
        places |= {"siem.example": HOST, "6514": (folder / "port").read_text()}
    (folder / "ours.conf").write_text(changed(text, places, *kinds))


@define(eq=False)
class ConfiguredRsyslog(Rsyslog):
    """rsyslog with our configuration, which a main one includes behind inputs of its own."""

    kinds: tuple[str, ...] = ()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        command, environment = Rsyslog._command(self)
        write(self, "rsyslog", 'port="514"', self.kinds)
        (self.folder / "rsyslog.conf").write_text(
            f'global(workDirectory="{self.folder}")\n'
            'module(load="imuxsock" SysSock.Use="off")\n'
            f"$IncludeConfig {self.folder}/ours.conf\n"
            f'*.* action(type="omfile" file="{self.folder}/own")\n'
        )
        return command, environment


@define(eq=False)
class ConfiguredSyslogNg(SyslogNg):
    """syslog-ng with our configuration, which a main one includes."""

    kinds: tuple[str, ...] = ()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        command, environment = SyslogNg._command(self)
        write(self, "syslog-ng", "port(514)", self.kinds)
        (self.folder / "syslog-ng.conf").write_text(
            "@version: 3.38\n"
            "options { chain-hostnames(off); use-dns(no); };\n"
            "source own { internal(); };\n"
            f'destination o {{ file("{self.folder}/own"); }};\n'
            "log { source(own); destination(o); };\n"
            f'@include "{self.folder}/ours.conf"\n'
        )
        return command, environment


KINDS: Final = {"rsyslog": ConfiguredRsyslog, "syslog-ng": ConfiguredSyslogNg}


def hostile() -> list[Record]:
    """Return records with all that is hard to carry: 64 KB, controls, DEL, lone surrogates."""
    lines = (ROOT / "tests/evil_lines.txt").read_text("utf-8", "surrogateescape").split("\n")
    nasty = [
        *NASTY,
        "\x7f\x00\x1b[2J",
        "\udcff",
        "😀" * 900,
        "$MSG %msg% ${x} \\n",
        "\ufeffx",
        *lines,
    ]
    known = [
        summary(f"s{n:04}", "id", last_command=line, password=line) for n, line in enumerate(nasty)
    ]
    return [*known, summary("long", templates=["x" * 1000] * 32, urls=["y" * 950] * 32)]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("name", KINDS)
@pytest_twisted.inlineCallbacks
def test_every_record_is_written_as_it_was_sent(
    name: str, transport: str, tmp_path: Path
) -> Generator[Deferred[Any], Any, None]:
    """A line each, byte for byte, from the forwarder with the size that the configuration takes."""
    kinds = ("tls",) if transport == "tls" else ()
    running = KINDS[name](tmp_path, kinds=kinds)
    given = {"host": HOST, "port": str(running.port), "max_message": str(LONGEST)}
    if kinds:
        authority = Authority(tmp_path / "certificates", "ca")
        identity = authority.issue(HOST)
        identity.cert.rename(authority.folder / "cert.pem")
        identity.key.rename(authority.folder / "key.pem")
        client = authority.issue("honeypot.example")
        given |= {
            "transport": "tls", "ca_file": str(authority.file),
            "cert_file": str(client.cert), "key_file": str(client.key),
        }  # fmt: skip
    running.start()
    sender = SyslogSender(read_options(given, "sessionstats_siem", {}), reactor, grace=0.3)
    try:
        known = hostile()
        verdict = yield sender.send(sender.render(known))
        assert isinstance(verdict, Delivered)
        lines = running.wait_for(len(known))
    finally:
        sender.stop()
        running.stop()
    assert [json.loads(line) for line in lines] == [dict(without_time(each)) for each in known]
    assert max(map(len, lines)) > LONGEST - 4000
    assert all(line.startswith(b'{"eventid":"cowrie.sessionstats.summary"') for line in lines)


@pytest.mark.parametrize("name", KINDS)
def test_the_log_goes_on_to_the_next_server(name: str, tmp_path: Path) -> None:
    """By TLS, each line a message that has it as it is."""
    authority = Authority(tmp_path / "certificates", "ca")
    following = Rsyslog(
        tmp_path / "next",
        Secured(authority.issue(HOST), authority.file, asks_client=False),
        driver="ossl",
    )
    following.start()
    (tmp_path / "port").write_text(str(following.port))
    running = KINDS[name](tmp_path, kinds=("file", "next"))
    lines = [json.dumps(dict(without_time(record))).encode() for record in hostile()]
    lines = [line for line in lines if len(line) < 7000][:40]  # the next one takes 8 KB
    (tmp_path / "sessionstats.json").write_bytes(b"".join(line + b"\n" for line in lines))
    running.start()
    try:
        messages = following.wait_for(40)
    finally:
        running.stop()
        following.stop()
    assert [message[message.index(b"{") :] for message in messages] == lines


@pytest.mark.parametrize("name", KINDS)
def test_the_log_is_read_over_its_rotation(name: str, tmp_path: Path) -> None:
    """With the lines for the log in force, each of its lines is written as it is."""
    running = KINDS[name](tmp_path, kinds=("file",))
    log = tmp_path / "sessionstats.json"
    lines = [json.dumps(dict(without_time(record))) for record in hostile()[:40]]
    log.write_text("".join(f"{line}\n" for line in lines[:20]))
    running.start()
    try:
        running.wait_for(20)
        log.rename(tmp_path / "sessionstats.json.2026-03-18")
        log.write_text("".join(f"{line}\n" for line in lines[20:]))
        wait_until(lambda: len(running.lines()) >= 40, f"40 lines; see {tmp_path}")
    finally:
        running.stop()
    assert running.lines() == [line.encode() for line in lines]
