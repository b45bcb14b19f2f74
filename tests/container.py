"""Builds both images and shows that they do what the README says of them; by hand.

``python tests/container.py [--engine docker]``: the engine is docker, podman, or (without the
option) the program beside the project that brings one. With ``--official IMAGE`` the second image
is made from that one instead of a stand-in of the same layout. A line a check; exit status 1 if
one failed, 2 if the engine cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attackers
import engines
import yaml
from conftest import ROOT, SHARED
from containers import Bench, Image, Report
from ports import free_port

UID = 999
STOP_SECONDS = 20
UNWANTED = {
    *("apt", "apt-get", "as", "bash", "busybox", "c++", "cargo", "cc", "curl", "dash", "dpkg"),
    *("g++", "gcc", "ld", "make", "perl", "pip", "pip3", "rustc", "sh", "sudo", "wget"),
}
"""Programs that neither image may have."""
PROGRAM = re.compile(r"/(usr/(local/)?)?s?bin/|/opt/cowrie/bin/|/cowrie/cowrie-env/bin/")
UNWANTED_PARTS = ("/site-packages/pip/", "/.cache/", "/var/lib/apt/lists/", "/var/cache/apt/")


def check_contents(bench: Bench) -> None:
    """What is in the image, file by file."""
    name = f"{bench.name}-contents"
    bench.engine.do("create", "--name", name, bench.image.tag)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image.tar")
            bench.engine.do("export", "-o", str(path), name)
            with tarfile.open(path) as archive:
                members = archive.getmembers()
    finally:
        bench.engine.tried("rm", "-f", "-v", name)
    files = [f"/{member.name}" for member in members if not member.isdir()]
    found = [
        name
        for name in files
        if (PROGRAM.match(name) and name.rpartition("/")[2] in UNWANTED)
        or any(part in name for part in UNWANTED_PARTS)
    ]
    say = bench.report.say
    say(
        "no shell, no compiler, no pip, no package manager, no cache", is_so=not found, detail=found
    )
    privileged = [member.name for member in members if member.mode & 0o6000]
    say("nothing runs with another's rights (setuid)", is_so=not privileged, detail=privileged)
    own = [name for name in files if name.startswith(bench.image.var) and "ignore" not in name]
    say("nothing of a sensor (id, host keys) is in it", is_so=not own, detail=own)
    size = bench.engine.inspect("image", bench.image.tag)["Size"]
    packed = f"{sum(member.size for member in members) / 1e6:.1f} MB of files"
    say("size", is_so=size > 0, detail=f"{size / 1e6:.1f} MB ({len(files)} files, {packed})")


def check_process(bench: Bench, name: str) -> None:
    """What the sensor may do."""
    pid = bench.engine.inspect("container", name)["State"]["Pid"]
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    )
    say = bench.report.say
    say(f"runs as uid {UID}", is_so=set(status["Uid"].split()) == {str(UID)}, detail=status["Uid"])
    held = [status[key] for key in ("CapEff", "CapPrm", "CapBnd")]
    say("has no capability", is_so={int(value, 16) for value in held} == {0}, detail=" ".join(held))
    say("cannot get new privileges", is_so=status["NoNewPrivs"] == "1")
    said = bench.engine.tried(
        *("exec", name, "python3", "-c"),
        "import os; print(bool(os.statvfs('/').f_flag & os.ST_RDONLY))",
    ).stdout.strip()
    say("its root is read-only", is_so=said == "True")
    log = bench.log(name)
    trouble = [
        line for line in log.splitlines() if "Unable to write" in line or "Traceback" in line
    ]
    is_on = (
        f"sessionstats is on: records go to {bench.image.var}/log/cowrie/sessionstats.json" in log
    )
    say("the plugin is on", is_so=is_on and not trouble, detail="; ".join(trouble))


async def check_sessions(bench: Bench, name: str) -> None:
    """A session that ends, and one that is open when the sensor is stopped."""
    say = bench.report.say
    visit = await attackers.visit(attackers.ssh_shell, bench.ports)
    records = bench.record(visit.port)
    is_right = [{key: record[key] for key in visit.did} for record in records] == [visit.did]
    say("one session, one summary", is_so=is_right, detail=[r["message"] for r in records])

    async with (
        attackers.ssh(bench.ports) as (connection, opened),
        connection.create_process(term_type="xterm") as process,
    ):
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("uname -a\r")
        await process.stdout.readuntil(("$ ", "# "))
        hanging = await asyncio.to_thread(check_health, bench, name)
        began = time.monotonic()
        await asyncio.to_thread(bench.engine.do, "stop", "-t", str(STOP_SECONDS), name)
        took = time.monotonic() - began
    code = bench.engine.inspect("container", name)["State"]["ExitCode"]
    say("stops when told, in time", is_so=code == 0, detail=f"status {code} after {took:.1f} s")
    records = bench.record(opened.port)
    said = [(record["ending"], record["last_command"]) for record in records]
    say(
        "the session open then has its record",
        is_so=said == [("sensor_stopped", "uname -a")],
        detail=said,
    )
    clients = {record["src_port"] for record in bench.records()}
    strange = clients - {visit.port, opened.port, hanging}
    say("the health checks left no session", is_so=not strange, detail=strange or "")


def check_health(bench: Bench, name: str) -> int:
    """What the health check says of a sensor that serves, one that does not, and one that hangs.

    Returns the port of the client that waited for the last one.
    """
    say = bench.report.say
    status, said = bench.health(name)
    say("healthy", is_so=status == 0, detail=said)
    elsewhere = f"COWRIE_SSH_LISTEN_ENDPOINTS=tcp:{free_port()}:interface=127.0.0.1"
    status, said = bench.health(name, "-e", elsewhere)
    say("unhealthy where a port is not open", is_so=status == 1, detail=said)
    bench.engine.do("kill", "--signal", "STOP", name)
    try:
        with socket.create_connection((attackers.HOST, bench.ports.telnet)) as client:
            port: int = client.getsockname()[1]
            status, said = bench.health(name)
    finally:
        bench.engine.do("kill", "--signal", "CONT", name)
    say("unhealthy where Cowrie hangs", is_so=status == 1, detail=said)
    return port


def check_configuration(bench: Bench) -> None:
    """The operator's file overrides the image's, the environment overrides both."""
    say = bench.report.say
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "cowrie.cfg").write_text(
            "[output_sessionstats]\nlogfile = ${honeypot:log_path}/mine.json\n", encoding="utf-8"
        )
        etc = ("-v", f"{folder}:{bench.image.etc}:ro")
        name = bench.start(*etc)
        said = bench.wait(name)
        say("etc/cowrie.cfg overrides", is_so="/log/cowrie/mine.json and to" in said)
        bench.engine.do("rm", "-f", "-v", name)
        name = bench.start(*etc, "-e", "COWRIE_OUTPUT_SESSIONSTATS_ENABLED=false")
        said = bench.wait(name)
        say("the environment overrides that", is_so="sessionstats is" not in said)
        bench.engine.do("rm", "-f", "-v", name)


def check_folders(bench: Bench) -> None:
    """An empty folder of the host as ``var``."""
    say = bench.report.say
    with tempfile.TemporaryDirectory() as folder:
        name = bench.start(volume=folder)
        code = int(bench.engine.do("wait", name))
        said = bench.log(name).strip()
        say(
            "says it of a folder of another owner",
            is_so=code == 1 and "chown -R" in said,
            detail=said,
        )
        os.chown(folder, UID, UID)
        name = bench.start(volume=folder)
        bench.wait(name)
        files = sorted(path.name for path in Path(folder, "lib/cowrie").iterdir())
        say("serves with an empty folder of its own", is_so="uuid" in files, detail=" ".join(files))
        bench.engine.do("rm", "-f", "-v", name)


def check_compose(report: Report, engine: str) -> None:
    """What a program that runs compose files says of ours, with every profile."""
    beside = Path(sys.executable).with_name("podman-compose")
    program = [engine, "compose"] if Path(engine).name == "docker" else [str(beside)]
    if not shutil.which(program[0]):
        print("-      compose.yaml: no podman-compose in this environment (pip install it)")
        return
    path = ROOT / "docker/compose.yaml"
    services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    profiles = sorted(
        {name for service in services.values() for name in service.get("profiles", ())}
    )
    options = [part for name in profiles for part in ("--profile", name)]
    done = subprocess.run(
        [*program, "-f", str(path), *options, "config"], capture_output=True, text=True, check=False
    )
    taken = yaml.safe_load(done.stdout) if done.returncode == 0 else {"services": {}}
    is_so = set(taken["services"]) == set(services)
    detail = f"{len(services)} services" if is_so else done.stderr.strip()[-500:]
    report.say("compose.yaml is taken, with every profile", is_so=is_so, detail=detail)


def check(engine: engines.Engine, image: Image, report: Report, further: Check) -> None:
    """Check one image in every way that concerns it."""
    print(f"\n{image.tag}", flush=True)
    name = f"sessionstats-{image.tag.rpartition(':')[2]}-{os.getpid()}"
    bench = Bench(engine, image, report, name, attackers.Ports(free_port(), free_port()))
    try:
        check_contents(bench)
        sensor = bench.start()
        bench.wait(sensor)
        check_process(bench, sensor)
        asyncio.run(check_sessions(bench, sensor))
        check_configuration(bench)
        further(bench)
    finally:
        bench.clean()


Check = Callable[[Bench], None]


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long something took."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def main() -> int:
    """Build, check, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--engine", default=str(SHARED / "tools/container-engine"))
    parser.add_argument("--official", metavar="IMAGE", help="the official image, or one like it")
    given = parser.parse_args()
    report = Report()
    sensor = Image("cowrie-sessionstats:sensor", "/cowrie/var", "/cowrie/etc")
    official = Image(
        "cowrie-sessionstats:official", "/cowrie/cowrie-git/var", "/cowrie/cowrie-git/etc"
    )
    try:
        engine = engines.find(given.engine)
        with timed("built the image"):
            engine.build(ROOT / "docker/Dockerfile", ROOT, sensor.tag)
        base = given.official
        if base is None:
            base, system = "cowrie-sessionstats:stand-in", "cowrie-sessionstats:system"
            with timed("built a stand-in for the official image"):
                engine.build(ROOT / "docker/Dockerfile", ROOT, system, "--target", "system")
                engine.build(
                    ROOT / "tests/official_stand_in.Dockerfile", ROOT / "tests", base,
                    *("--build-arg", f"SYSTEM={system}"),
                )  # fmt: skip
        with timed("added the plugin to the official image"):
            engine.build(
                ROOT / "docker/official.Dockerfile", ROOT, official.tag,
                *("--build-arg", f"COWRIE_IMAGE={base}"),
            )  # fmt: skip
        check_compose(report, given.engine)
        check(engine, sensor, report, check_folders)
        check(engine, official, report, lambda _: None)
    except engines.EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
