"""Records what real machines answer, for ``cowrie_sessionstats/compare/references``.

    python tests/record_references.py DEBIAN12 DEBIAN13 BUSYBOX

By hand and as root. The first two are folders that debootstrap made; BUSYBOX is the program of
Debian's busybox-static. Each command runs in a copy that is thrown away (an overlay in memory, with
processes of its own), the study's that do not only read, too. The kernel and the hardware that
they show are those of the machine on which this runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from cowrie_sessionstats.compare.answers import Answer
from cowrie_sessionstats.compare.comparing import PROGRAM
from cowrie_sessionstats.compare.local import run_any
from cowrie_sessionstats.findings.rules import default_rules

FOLDER = Path(__file__).parents[1] / "cowrie_sessionstats/compare/references"
HOST = "referencehost"
PACKAGES = ("procps", "pciutils", "dmidecode", "net-tools", "iproute2", "cron", "busybox", "wget")
"""What an ordinary server has and a bare debootstrap has not."""
LAST = (
    "uname -a", "uname", "uname -m", "uname -r", "whoami", "id", "w", "who", "last", "top -b -n 1",
    "nproc", "free -m", "free -h", "df -h", "uptime", "hostname", "pwd", "ls", "ls -la", "ls -la /",
    "cat /etc/passwd", "cat /etc/issue", "cat /etc/os-release", "cat /proc/cpuinfo",
    "cat /proc/version", "cat /proc/meminfo", "cat /proc/uptime", "cat /proc/mounts", "lscpu",
    "lscpu | grep Model", "crontab -l", "ifconfig", "ip a", "ps aux", "ps -ef", "ps x",
    "which ls", "ls -lh $(which ls)", "cat /proc/cpuinfo | grep name | wc -l",
    "cat /proc/cpuinfo | grep model | grep name | wc -l",
    "free -m | grep Mem | awk '{print $2 ,$3, $4, $5, $6, $7}'", "exit", "kill %1",
    "/bin/busybox cat /proc/self/exe || cat /bin/echo", "grep -c ^processor /proc/cpuinfo",
    "cat /proc/1", "echo Hi | cat -n", "linuxshell", "rm .s; exit", "uname -s -m", "uname -smr",
    "uname -n", "uname -a; nproc", "uname -m 2>/dev/null || echo unknown", r'echo -e "\x6F\x6B"',
    "echo SSH", "echo hello", "cat /bin/ls", "cat /bin/echo;", "ls /", "ls -l", "ls /root",
    "ls /tmp", "system", "shell", "sh", "bash", "/bin/busybox", "busybox", "date", "arch",
    "history", "help", "ps", "ps aux | head -10", "mount", "mount | head -5", "free",
    "netstat -tulpn | head -10", "cat /etc/debian_version", "cat /proc/loadavg",
    "cat /proc/self/cgroup", "lspci", "lspci | grep VGA", "nproc --all", "df", "ls -la /dev/shm",
    "uname -a && echo RAM: && free -mt && nproc && uptime", "which wget curl", "getconf LONG_BIT",
    "grep -c processor /proc/cpuinfo", "cat /proc/cpuinfo | grep -c processor", "id -u",
    "/ip cloud print", "head -c 52 /bin/echo", "cat /etc/issue | head -1", "w | head -1", "top",
)  # fmt: skip
OVERLAY = """
set -e
base=$1 place=$2 line=$5 root=$2/root
mount -t tmpfs none "$place"
mkdir "$place/upper" "$place/work" "$place/base" "$root"
mount --bind "$base" "$place/base"
cd "$place"
mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work root
mkdir -p "$root/sys"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
rm -rf "$root/dev"; mkdir "$root/dev" "$root/dev/shm" "$root/dev/pts"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/urandom" c 1 9
hostname referencehost
shell=sh
[ -x "$root/bin/bash" ] && shell=bash
exec chroot "$root" /bin/sh -c 'cd /root; exec $0 -c "$1"' $shell "$line"
"""


def answers(folder: Path, lines: list[str]) -> dict[str, Answer]:
    """Return the answers of a machine in a folder, each of a fresh copy."""
    found = {}
    unshare = (
        *("unshare", "--mount", "--pid", "--fork", "--uts", "--net", "--cgroup"),
        *("--kill-child", "--"),
    )
    for line in lines:
        with tempfile.TemporaryDirectory() as place:
            script = Path(place).with_suffix(".sh")
            script.write_text(OVERLAY)
            found[line] = run_any(line, [*unshare, "/bin/sh", str(script), str(folder), place])
            script.unlink()
        print(f"{folder.name}: {line[:70]!r}: {len(found[line].output)}")
    return found


def record(name: str, machine: str, folder: Path, lines: list[str]) -> None:
    """Write the recording of a machine."""
    told = (
        f"recorded {datetime.now(timezone.utc).date()} in a container; kernel and "
        "hardware are those of the virtual machine that it ran on"
    )
    found = {line: _short(answer).to_json() for line, answer in answers(folder, lines).items()}
    FOLDER.mkdir(exist_ok=True)
    content = json.dumps({"machine": machine, "about": told, "answers": found}, indent=1)
    (FOLDER / f"{name}.json").write_text(content + "\n")


def _short(answer: Answer) -> Answer:
    """Return an answer without the kernel of this machine and without its processor.

    And without most of what is no text.
    """
    kernel = os.uname()
    text = re.sub(r" \(\S+@\S+\) \(.*\) ", " ", answer.output)
    own = {kernel.release: "<kernel>", kernel.version: "<build>", HOST: "<host>"}
    own |= dict.fromkeys(_processor(), "<cpu>")
    for known, other in own.items():
        text = text.replace(known, other)
    answer = Answer(text, answer.status, answer.is_cut)
    if "\ufffd" in answer.output or "\0" in answer.output:
        return Answer(answer.output[:PROGRAM], None, is_cut=True)
    return answer


def _processor() -> set[str]:
    """Return what tells this machine's processor: its maker, its model, its flags and bugs."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    pairs = [line.partition(":") for line in lines]
    told = ("vendor_id", "model name", "flags", "bugs")
    return {value.strip() for key, _, value in pairs if key.strip() in told and value.strip()}


def main() -> None:
    """Record three machines."""
    debian12, debian13, busybox = map(Path, sys.argv[1:])
    lines = [check.example[0] for check in default_rules().checks if check.example]
    lines = list(dict.fromkeys([*lines, *LAST]))
    install = f"apt-get install -y -qq {' '.join(PACKAGES)}"
    for name, machine, folder in (
        ("debian12", "Debian 12", debian12), ("debian13", "Debian 13", debian13),
    ):  # fmt: skip
        subprocess.run(
            ["/usr/sbin/chroot", folder, "sh", "-c", install],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        record(name, machine, folder, lines)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for each in (
            "bin",
            "sbin",
            "etc",
            "proc",
            "tmp",
            "root",
            "usr/bin",
            "usr/sbin",
            "dev",
            "var",
        ):
            (root / each).mkdir(parents=True)
        shutil.copy(busybox, root / "bin/busybox")
        subprocess.run(["/usr/sbin/chroot", root, "/bin/busybox", "--install", "-s"], check=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        record("busybox", "BusyBox of Debian 12", root, lines)


if __name__ == "__main__":
    main()
