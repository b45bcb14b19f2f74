"""Real syslog receivers on loopback, and the certificates that they and their clients show."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import free_port

Driver = Literal["ptcp", "gtls", "ossl"]
HOST: Final = "127.0.0.1"
_WAIT: Final = 20.0  # seconds for something that takes milliseconds on a machine with time
_SYSLOG_NG_FOLDER: Final = Path(os.environ.get("SYSLOG_NG_FOLDER", "/opt/syslog-ng"))
_DEBIAN: Final = ("syslog-ng-core", "libivykis0", "libnet1", "libjson-c5", "libwrap0")


def wait_until(holds: Any, what: str) -> None:
    """Wait until a function returns something true."""
    end = time.monotonic() + _WAIT
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


# ---------------------------------------------------------------- certificates


@frozen
class Identity:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


@define(eq=False)
class Authority:
    """A certificate authority of one test, in a folder."""

    folder: Path
    name: str
    _key: Any = field(init=False, factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __attrs_post_init__(self) -> None:
        """Write the authority's own certificate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(self._sign(self.name, self._key.public_key(), ()))

    @property
    def file(self) -> Path:
        """Return the authority's certificate."""
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, *, old: bool = False) -> Identity:
        """Return an identity for a host name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        identity = Identity(self.folder / f"{name}.cert.pem", self.folder / f"{name}.key.pem")
        identity.cert.write_bytes(self._sign(name, key.public_key(), (name,), old=old))
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return identity

    def _sign(self, name: str, key: Any, names: tuple[str, ...], *, old: bool = False) -> bytes:
        now = dt.datetime.now(dt.timezone.utc)
        day = dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * day)
            .not_valid_after(now - day if old else now + day)
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]),
                critical=False,
            )
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


# ---------------------------------------------------------------- receivers


@frozen
class Secured:
    """TLS of a receiver: what it shows, and whom it believes."""

    identity: Identity
    authority: Path
    asks_client: bool = True
    version: str = ""
    """``1.2`` for nothing newer."""


@define(eq=False)
class Receiver:
    """A syslog daemon that writes each message as a line into a file, the whole as it came."""

    folder: Path
    secured: Secured | None = None
    port: int = field(factory=free_port)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the daemon and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command, environment = self._command()
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **environment}
            )
        wait_until(self._listens, f"{type(self).__name__} listens; see {self.folder}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the daemon at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_WAIT)
            self.process = None

    def stop(self) -> None:
        """Let the daemon write what it has, and end it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(_WAIT)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None
        self.clean()

    def clean(self) -> None:
        """Remove what is outside of the folder."""

    @property
    def file(self) -> Path:
        """Return the file with the messages."""
        return self.folder / "messages"

    def lines(self) -> list[bytes]:
        """Return the messages that are in the file, each as it came."""
        return self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []

    def said(self) -> str:
        """Return what the daemon said of itself."""
        texts = [self.folder / "output", self.folder / "own"]
        return "".join(path.read_text(errors="replace") for path in texts if path.exists())

    def wait_for(self, count: int) -> list[bytes]:
        """Return the messages, once so many are there."""
        wait_until(lambda: len(self.lines()) >= count, f"{count} messages; see {self.folder}")
        return self.lines()

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the receiver ended:\n{self.said()}"
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def _command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError


@define(eq=False)
class Rsyslog(Receiver):
    """rsyslog; what its JSON parser made of each message goes into a second file."""

    driver: Driver = "ptcp"

    def parsed(self) -> list[dict[str, Any] | None]:
        """Return what the JSON parser read; None for a message that it refused."""
        path = self.folder / "parsed"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [None if line == b"FAIL" else json.loads(line) for line in lines]

    def _command(self) -> tuple[list[str], dict[str, str]]:
        program = shutil.which("rsyslogd", path="/usr/sbin:/sbin:" + os.environ["PATH"])
        if program is None:
            pytest.skip("no rsyslogd: apt-get install rsyslog rsyslog-gnutls rsyslog-openssl")
        tls = ""
        stream = ""
        if self.secured is not None:
            module = Path(f"/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_{self.driver}.so")
            if module.parent.is_dir() and not module.exists():
                pytest.skip(f"no {module.name}: apt-get install rsyslog-gnutls rsyslog-openssl")
            tls = (
                f' defaultNetstreamDriverCAFile="{self.secured.authority}"'
                f' defaultNetstreamDriverCertFile="{self.secured.identity.cert}"'
                f' defaultNetstreamDriverKeyFile="{self.secured.identity.key}"'
            )
            mode = "x509/certvalid" if self.secured.asks_client else "anon"
            stream = (
                f' streamDriver.name="{self.driver}" streamDriver.mode="1"'
                f' streamDriver.authMode="{mode}"'
            )
            if self.secured.version == "1.2":
                stream += ' gnutlsPriorityString="' + (
                    'NORMAL:-VERS-TLS1.3"'
                    if self.driver == "gtls"
                    else 'Protocol=ALL,-SSLv2,-SSLv3,-TLSv1.3"'
                )
        config = self.folder / "rsyslog.conf"
        config.write_text(
            f'global(workDirectory="{self.folder}"{tls})\n'
            'module(load="mmjsonparse")\n'
            f'module(load="imtcp"{stream})\n'
            'template(name="raw" type="list") { property(name="rawmsg") constant(value="\\n") }\n'
            'template(name="parsed" type="list") { property(name="$!") constant(value="\\n") }\n'
            'template(name="fail" type="string" string="FAIL\\n")\n'
            f'input(type="imtcp" address="{HOST}" port="{self.port}" ruleset="in")\n'
            'ruleset(name="in") {\n'
            f'  action(type="omfile" file="{self.file}" template="raw")\n'
            '  action(type="mmjsonparse" cookie="")\n'
            '  if $parsesuccess == "OK" then {\n'
            f'    action(type="omfile" file="{self.folder}/parsed" template="parsed")\n'
            "  } else {\n"
            f'    action(type="omfile" file="{self.folder}/parsed" template="fail")\n'
            "  }\n}\n"
            f'action(type="omfile" file="{self.folder}/own")\n'
        )
        return [program, "-n", "-f", str(config), "-i", str(self.folder / "pid")], {}


@define(eq=False)
class SyslogNg(Receiver):
    """syslog-ng, from the system or from Debian packages that were only unpacked."""

    _control: Path | None = field(default=None, init=False)
    """A folder whose name is short enough for a socket in it."""

    def clean(self) -> None:
        """Remove that folder."""
        if self._control is not None:
            shutil.rmtree(self._control)
            self._control = None

    def _command(self) -> tuple[list[str], dict[str, str]]:
        root, environment = _syslog_ng()
        tls = ""
        if self.secured is not None:
            verify = "required-trusted" if self.secured.asks_client else "optional-untrusted"
            versions = "ssl-options(no-sslv2,no-sslv3,no-tlsv13)" * (self.secured.version == "1.2")
            tls = (
                f'transport("tls") tls(key-file("{self.secured.identity.key}")'
                f' cert-file("{self.secured.identity.cert}")'
                f' ca-file("{self.secured.authority}") peer-verify({verify}) {versions})'
            )
        else:
            tls = 'transport("tcp")'
        config = self.folder / "syslog-ng.conf"
        config.write_text(
            "@version: 3.38\n"
            f"options {{ use-dns(no); keep-hostname(yes); }};\n"
            f'source s {{ syslog(ip("{HOST}") port({self.port}) {tls}'
            " flags(store-raw-message)); };\n"
            "source own { internal(); };\n"
            f'destination d {{ file("{self.file}" template("$RAWMSG\\n")); }};\n'
            f'destination o {{ file("{self.folder}/own"); }};\n'
            "log { source(s); destination(d); };\n"
            "log { source(own); destination(o); };\n"
        )
        state = self.folder / "syslog-ng"
        self._control = self._control or Path(tempfile.mkdtemp(prefix="ng"))
        return [
            str(root / "usr/sbin/syslog-ng"), "-F", "--no-caps", "-f", str(config),
            "--module-path", str(next((root / "usr/lib/syslog-ng").glob("[0-9]*"))),
            "--persist-file", f"{state}.persist", "--pidfile", f"{state}.pid",
            "--control", f"{self._control}/control",
        ], environment  # fmt: skip


def _syslog_ng() -> tuple[Path, dict[str, str]]:
    """Return the folder syslog-ng is in, and the environment that it needs."""
    if Path("/usr/sbin/syslog-ng").exists():
        return Path("/"), {}
    root = _SYSLOG_NG_FOLDER
    if not (root / "usr/sbin/syslog-ng").exists():
        pytest.skip(
            f"no syslog-ng: apt-get download {' '.join(_DEBIAN)} and unpack each with dpkg -x "
            f"into {root} (installing it would remove rsyslog), or name it in SYSLOG_NG_FOLDER"
        )
    folders = ("usr/lib/x86_64-linux-gnu", "usr/lib/syslog-ng", "lib/x86_64-linux-gnu")
    return root, {"LD_LIBRARY_PATH": ":".join(str(root / folder) for folder in folders)}
