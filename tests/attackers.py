"""Clients that do to a Cowrie what attackers do, and what each must leave in the record."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import select
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh
from attrs import define, field

HOST = "127.0.0.1"
PASSWORD = "s3cret"


@define
class Visit:
    """One connection: the client's port, by which its record is found, and what it did."""

    port: int
    did: dict[str, Any] = field(factory=dict)


class Ports:
    """Where the honeypot listens."""

    def __init__(self, ssh: int, telnet: int) -> None:
        self.ssh = ssh
        self.telnet = telnet


Scenario = Callable[[Ports], Awaitable[Visit]]


VISIT_SECONDS = 30


async def visit(scenario: Scenario, ports: Ports) -> Visit:
    """Let a client visit the honeypot, in time.

    Again if asyncssh (2.24) trips over a channel that is closed in the packet that opened it:
    then it raises AttributeError and may lose the connection.
    """
    for _ in range(5):
        with contextlib.suppress(AttributeError, asyncssh.ConnectionLost):
            return await asyncio.wait_for(scenario(ports), VISIT_SECONDS)
    return await scenario(ports)


@contextlib.asynccontextmanager
async def ssh(
    ports: Ports, **options: Any
) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, Visit]]:
    """Log in over SSH with a real client."""
    options = {"username": "root", "password": PASSWORD, "client_keys": None, **options}
    async with asyncssh.connect(
        HOST, ports.ssh, known_hosts=None, config=[], agent_path=None, **options
    ) as connection:
        visit = Visit(connection.get_extra_info("sockname")[1])
        visit.did = {
            "protocol": "ssh",
            "src_ip": HOST,
            "dst_ip": HOST,
            "dst_port": ports.ssh,
            "logged_in": True,
            "login_attempts": 1,
            "username": "root",
            "password": PASSWORD,
            "auth": "password",
            "client_version": f"SSH-2.0-AsyncSSH_{asyncssh.__version__}",
        }
        yield connection, visit


async def ssh_exec(ports: Ports) -> Visit:
    """One command without a shell."""
    async with ssh(ports) as (connection, visit):
        await connection.run("uname -a")
    visit.did |= commands("uname -a")
    return visit


async def ssh_channels(ports: Ports) -> Visit:
    """Several channels in one connection, one with an unknown command, one with standard input."""
    async with ssh(ports) as (connection, visit):
        await connection.run("uname -a")
        await connection.run("nosuchprogram; id")
        await connection.run("cat", input="a line\n")
    visit.did |= commands("uname -a", "nosuchprogram; id", "cat") | {"commands_failed": 1}
    return visit


async def ssh_shell(ports: Ports) -> Visit:
    """An interactive shell, left by exit."""
    async with (
        ssh(ports) as (connection, visit),
        connection.create_process(term_type="xterm", term_size=(132, 43)) as process,
    ):
        for line in ("uname -a", "id", "uname -a", "exit"):
            await process.stdout.readuntil(("$ ", "# "))
            process.stdin.write(f"{line}\r")
        await process.wait()
    visit.did |= commands("uname -a", "id", "uname -a", "exit") | {"terminal": "132x43"}
    return visit


async def ssh_passwd(ports: Ports) -> Visit:
    """``passwd`` with its prompts: what is typed there is no command."""
    async with (
        ssh(ports) as (connection, visit),
        connection.create_process(term_type="xterm", term_size=(80, 24)) as process,
    ):
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("passwd\r")
        for _ in range(2):
            await process.stdout.readuntil("password: ")
            process.stdin.write("n3wsecret\r")
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("exit\r")
        await process.wait()
    visit.did |= commands("passwd", "exit") | {"inputs": 2, "terminal": "80x24"}
    return visit


async def ssh_wrong_passwords(ports: Ports) -> Visit:
    """Two wrong passwords, then the right one, in one connection."""
    words = iter(("wrong", "wrong too", PASSWORD))

    class Guesser(asyncssh.SSHClient):
        def password_auth_requested(self) -> str | None:
            return next(words, None)

    connection, _ = await asyncssh.create_connection(
        Guesser, HOST, ports.ssh, username="root", client_keys=None, known_hosts=None,
        config=[], agent_path=None, preferred_auth="password",
    )  # fmt: skip
    visit = Visit(connection.get_extra_info("sockname")[1])
    await connection.run("id")
    connection.close()
    await connection.wait_closed()
    visit.did = commands("id") | {
        "logged_in": True, "login_attempts": 3, "password": PASSWORD, "auth": "password",
    }  # fmt: skip
    return visit


async def ssh_only_wrong(ports: Ports) -> Visit:
    """One wrong password and away."""
    reader: list[int] = []

    class Watcher(asyncssh.SSHClient):
        def connection_made(self, connection: asyncssh.SSHClientConnection) -> None:
            reader.append(connection.get_extra_info("sockname")[1])

    with contextlib.suppress(asyncssh.PermissionDenied, asyncssh.ConnectionLost):
        await asyncssh.create_connection(
            Watcher, HOST, ports.ssh, username="admin", password="wrong", client_keys=None,
            known_hosts=None, config=[], agent_path=None, preferred_auth="password",
        )  # fmt: skip
    return Visit(
        reader[0],
        {
            "logged_in": False, "login_attempts": 1, "username": "admin", "password": "wrong",
            "auth": "password", "commands": 0, "first_command": None, "command_rate": 0.0,
        },
    )  # fmt: skip


async def ssh_public_key(ports: Ports) -> Visit:
    """A login with a public key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with ssh(ports, password=None, client_keys=[key], preferred_auth="publickey") as (
        connection,
        visit,
    ):
        await connection.run("id")
    fingerprint = key.get_fingerprint("md5").removeprefix("MD5:")
    visit.did |= commands("id") | {
        "password": None, "auth": "publickey", "key_fingerprint": fingerprint,
    }  # fmt: skip
    return visit


async def ssh_download(ports: Ports) -> Visit:
    """A download that fails: nothing listens at its port."""
    url = f"http://{HOST}:1/x86.sh"
    async with ssh(ports) as (connection, visit):
        # Cowrie 3.0.0 never ends a wget that was refused, so this client does not wait for it.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(connection.run(f"wget {url}"), timeout=2)
    visit.did |= commands(f"wget {url}") | {"downloads": 0, "files": [], "urls": [url]}
    return visit


async def ssh_redirect(ports: Ports) -> Visit:
    """A file made by redirection, which Cowrie keeps as a download."""
    line = "echo payload > /tmp/payload; cat /tmp/payload"
    async with ssh(ports) as (connection, visit):
        await connection.run(line)
    visit.did |= commands(line) | {"downloads": 1, "urls": []}
    return visit


async def ssh_upload(ports: Ports) -> Visit:
    """A file sent over SFTP."""
    async with ssh(ports) as (connection, visit), connection.start_sftp_client() as sftp:
        file = await sftp.open("/tmp/payload", "wb")  # noqa: S108 - of the honeypot
        await file.write(b"payload")
        await file.close()
    visit.did |= {"commands": 0, "uploads": 1}
    return visit


async def ssh_forward(ports: Ports) -> Visit:
    """Port forwarding: a tunnel to a mail server is asked for."""
    async with ssh(ports) as (connection, visit):
        with contextlib.suppress(asyncssh.ChannelOpenError):
            _, writer = await asyncio.wait_for(
                connection.open_connection("198.51.100.7", 25), timeout=5
            )
            writer.write(b"HELO x\r\n")
            await asyncio.sleep(0.2)
            writer.close()
    visit.did |= {"commands": 0, "forwards": 1, "forward_targets": ["198.51.100.7:25"]}
    return visit


async def ssh_drop(ports: Ports) -> Visit:
    """A client that is gone without a word in the middle of a shell."""
    async with ssh(ports) as (connection, visit):
        process = await connection.create_process(term_type="xterm", term_size=(80, 24))
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("id\r")
        await process.stdout.readuntil(("$ ", "# "))
        connection.abort()
    visit.did |= commands("id")
    return visit


async def ssh_idle(ports: Ports) -> Visit:
    """A shell left alone until the honeypot's idle timeout closes it."""
    async with ssh(ports) as (connection, visit):
        process = await connection.create_process(term_type="xterm", term_size=(80, 24))
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("id\r")
        await asyncio.wait_for(process.wait_closed(), timeout=20)
    visit.did |= commands("id")
    return visit


async def ssh_no_login(ports: Ports) -> Visit:
    """A scanner that reads the banner and goes."""
    return await _touch(ports.ssh, b"SSH-2.0-scanner\r\n", {"protocol": "ssh"})


async def telnet_silent(ports: Ports) -> Visit:
    """A client that says nothing, until the honeypot closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, ports.telnet)
    visit = Visit(writer.get_extra_info("sockname")[1])
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(-1), timeout=20)
    writer.close()
    visit.did = {"protocol": "telnet", "logged_in": False, "login_attempts": 0, "commands": 0}
    return visit


async def telnet_no_login(ports: Ports) -> Visit:
    """A scanner on the Telnet port."""
    return await _touch(ports.telnet, b"", {"protocol": "telnet"})


async def _touch(port: int, send: bytes, did: dict[str, Any]) -> Visit:
    reader, writer = await asyncio.open_connection(HOST, port)
    visit = Visit(writer.get_extra_info("sockname")[1])
    await reader.read(8)
    writer.write(send)
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    visit.did = did | {
        "logged_in": False, "login_attempts": 0, "auth": None, "username": None,
        "commands": 0, "command_events": 0, "commands_sha256": None,
    }  # fmt: skip
    return visit


def telnet(ports: Ports, *dialogue: tuple[str, str]) -> Visit:
    """Answer prompts over Telnet with a real client, then wait for the end."""
    with warnings.catch_warnings():  # it left the standard library, for a package of its own
        warnings.simplefilter("ignore", DeprecationWarning)
        from telnetlib import Telnet  # noqa: PLC0415
    with Telnet(HOST, ports.telnet, timeout=10) as client:  # noqa: S312 - it is what we test
        visit = Visit(client.get_socket().getsockname()[1])
        for prompt, answer in dialogue:
            seen = client.read_until(prompt.encode(), timeout=10)
            assert seen.endswith(prompt.encode()), seen
            client.write(f"{answer}\r\n".encode())
    return visit


def telnet_program(ports: Ports) -> None:
    """Log in with the telnet program on a terminal, run a command and leave."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["telnet", HOST, str(ports.telnet)],  # noqa: S607 - whichever there is
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        for prompt, answer in (
            (b"login: ", b"root"), (b"assword: ", PASSWORD.encode()), (b"# ", b"uname -a"),
            (b"# ", b"exit"),
        ):  # fmt: skip
            while not seen.endswith(prompt):
                ready, _, _ = select.select([ours], [], [], 10)
                assert ready, f"no {prompt!r} in {seen!r}"
                seen += os.read(ours, 4096)
            os.write(ours, answer + b"\r")
            seen = b""
        with contextlib.suppress(OSError):  # the terminal is gone with the program
            while select.select([ours], [], [], 10)[0] and os.read(ours, 4096):
                pass
        os.close(ours)
        process.wait(10)


async def telnet_shell(ports: Ports) -> Visit:
    """A Telnet login, commands and exit."""
    visit = await asyncio.to_thread(
        telnet, ports, ("login: ", "root"), ("assword: ", PASSWORD), ("# ", "uname -a"),
        ("# ", "id"), ("# ", "exit"),
    )  # fmt: skip
    visit.did = commands("uname -a", "id", "exit") | {
        "protocol": "telnet", "dst_port": ports.telnet, "logged_in": True, "login_attempts": 1,
        "username": "root", "password": PASSWORD, "auth": "password", "hassh": None,
    }  # fmt: skip
    return visit


async def telnet_wrong_password(ports: Ports) -> Visit:
    """A Telnet login refused, then the connection dropped at the next prompt."""
    visit = await asyncio.to_thread(
        telnet, ports, ("login: ", "admin"), ("assword: ", "wrong"), ("login: ", "")
    )
    visit.did = {
        "protocol": "telnet", "logged_in": False, "login_attempts": 1, "username": "admin",
        "password": "wrong", "auth": "password", "commands": 0,
    }  # fmt: skip
    return visit


def commands(*lines: str) -> dict[str, Any]:
    """Return what a record must say of these command lines."""
    return {
        "commands": len(lines),
        "commands_distinct": len(set(lines)),
        "first_command": lines[0],
        "last_command": lines[-1],
    }


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        ssh_exec, ssh_channels, ssh_shell, ssh_passwd, ssh_wrong_passwords, ssh_only_wrong,
        ssh_public_key, ssh_download, ssh_redirect, ssh_upload, ssh_forward, ssh_drop, ssh_idle,
        ssh_no_login, telnet_no_login, telnet_silent, telnet_shell, telnet_wrong_password,
    )
}  # fmt: skip
