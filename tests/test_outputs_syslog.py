"""Syslog against real receivers: nothing is lost, and nothing that was lost counts as delivered."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_twisted
from nasty import NASTY
from ports import free_port
from receivers_syslog import (
    HOST,
    Authority,
    Driver,
    Identity,
    Receiver,
    Rsyslog,
    Secured,
    SyslogNg,
    wait_until,
)
from summaries import summary
from twisted.internet import reactor as _reactor
from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs import syslog
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Limits, Record, Verdict
from cowrie_sessionstats.outputs.syslog import SyslogSender, read_options

reactor: Any = _reactor
Steps = Generator[Deferred[Any], Any, None]
Maker = Callable[..., Receiver]
GRACE: Final = 0.3
"""Seconds here instead of the one of the product: most tests have nobody die."""


def records(count: int, **known: Any) -> list[Record]:
    """Return records that differ in their session."""
    return [
        summary(f"s{number:05}", "uname -a", "cat /proc/cpuinfo | grep name", at=number, **known)
        for number in range(count)
    ]


def sessions(messages: list[bytes]) -> list[str]:
    """Return the session of each message, which has to be whole."""
    return [json.loads(message.split(b" - ", 2)[2])["session"] for message in messages]


def names(batch: Sequence[Record]) -> list[str]:
    """Return the session of each record."""
    return [record["session"] for record in batch]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that both sides believe."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Identity:
    """Return the certificate of the honeypot."""
    return authority.issue("honeypot.example")


@pytest.fixture
def receiver_of(tmp_path: Path, authority: Authority) -> Iterator[Maker]:
    """Return a function that starts a receiver, which is stopped after the test."""
    started: list[Receiver] = []

    def start(kind: str, *, name: str = HOST, version: str = "", **options: Any) -> Receiver:
        driver = DRIVERS.get(kind)
        tls = None
        if driver is not None or kind == "syslog-ng tls":
            identity = authority.issue(name, old=options.pop("old", False))
            tls = Secured(identity, authority.file, options.pop("asks_client", True), version)
        folder = tmp_path / kind.replace(" ", "-")
        made: Receiver
        if kind.startswith("rsyslog"):
            made = Rsyslog(folder, tls, driver=driver or "ptcp", **options)
        else:
            made = SyslogNg(folder, tls, **options)
        made.start()
        started.append(made)
        return made

    yield start
    for receiver in started:
        receiver.stop()


DRIVERS: Final[dict[str, Driver]] = {"rsyslog gtls": "gtls", "rsyslog ossl": "ossl"}
TCP: Final = ("rsyslog", "syslog-ng")
TLS: Final = (*DRIVERS, "syslog-ng tls")


@pytest.fixture
def sender_to(authority: Authority, client: Identity) -> Iterator[Callable[..., SyslogSender]]:
    """Return a function that makes a sender, which is stopped after the test."""
    made: list[SyslogSender] = []

    def make(
        to: Receiver | int, *, grace: float = GRACE, patience: float = 10, **options: str
    ) -> SyslogSender:
        port = to if isinstance(to, int) else to.port
        given = {"host": HOST, "port": str(port)}
        if isinstance(to, Receiver) and to.secured is not None:
            given |= {
                "transport": "tls",
                "ca_file": str(authority.file),
                "cert_file": str(client.cert),
                "key_file": str(client.key),
            }
        given |= options
        read = read_options(
            {name: value for name, value in given.items() if value}, "sessionstats_siem", {}
        )
        sender = SyslogSender(read, reactor, grace=grace, patience=patience)
        made.append(sender)
        return sender

    yield make
    for sender in made:
        sender.stop()


def send(sender: SyslogSender, batch: Sequence[Record]) -> Deferred[Verdict]:
    """Render a batch and send it."""
    return sender.send(sender.render(batch))


# ---------------------------------------------------------------- all is well


@pytest.mark.parametrize(
    ("kind", "version"),
    [*((kind, "") for kind in TCP + TLS), *((kind, "1.2") for kind in TLS)],
)
@pytest_twisted.inlineCallbacks
def test_every_record_arrives_once_whole_and_in_order(
    kind: str, version: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """By TCP and by TLS, to each of the receivers, in two batches."""
    receiver = receiver_of(kind, version=version)
    sender = sender_to(receiver)
    batch = records(3000)
    for part in (batch[:2000], batch[2000:]):
        assert (yield send(sender, part)) == Delivered()
    assert sessions(receiver.wait_for(3000)) == names(batch)
    if isinstance(receiver, Rsyslog):
        wait_until(lambda: len(receiver.parsed()) == 3000, "3000 are parsed")
        assert [parsed and parsed["templates"] for parsed in receiver.parsed()] == [
            record["templates"] for record in batch
        ]


@pytest.mark.parametrize("kind", TCP)
@pytest.mark.parametrize("body", ["json", "cef", "keyvalue"])
@pytest_twisted.inlineCallbacks
def test_hostile_texts_stay_in_one_message(
    kind: str, body: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """Line ends, control characters, lone surrogates and texts of a megabyte split nothing."""
    receiver = receiver_of(kind)
    sender = sender_to(receiver, body=body)
    texts = [*NASTY, "\ud800", "\x7f\x85\u2028", "x" * 1_000_000, "\x00" * 100_000, "<13>1 - - -"]
    batch = [
        summary(f"s{i}", first_command=text, templates=[text], username=text, sensor=text)
        for i, text in enumerate(texts)
    ]
    assert (yield send(sender, batch)) == Delivered()
    messages = receiver.wait_for(len(batch))
    assert len(messages) == len(batch)
    assert max(map(len, messages)) <= syslog.MESSAGE
    assert messages == [sender.options.messages.of(record) for record in batch]
    if body == "json" and isinstance(receiver, Rsyslog):
        wait_until(lambda: len(receiver.parsed()) == len(batch), "all are parsed")
        assert [parsed and parsed["session"] for parsed in receiver.parsed()] == names(batch)


@pytest.mark.parametrize(("kind", "most"), [("rsyslog", "8096"), ("syslog-ng", "65536")])
@pytest_twisted.inlineCallbacks
def test_a_record_that_is_too_long_is_cut_to_what_the_receiver_takes(
    kind: str, most: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """A message of just the receiver's own default limit arrives whole, and is valid JSON."""
    receiver = receiver_of(kind)
    sender = sender_to(receiver, max_message=most)
    batch = records(2, urls=[f"http://203.0.113.7/{i:0>900}" for i in range(200)])
    assert (yield send(sender, batch)) == Delivered()
    messages = receiver.wait_for(2)
    assert sessions(messages) == names(batch)
    assert int(most) - 950 < len(messages[0]) <= int(most)
    told = json.loads(messages[0].split(b" - ", 2)[2])
    assert told["truncated"] == ["urls"]
    assert told["urls"] == batch[0]["urls"][: len(told["urls"])]
    exact = dict(batch[0], urls=[], first_command="")
    exact["first_command"] = "x" * (int(most) - len(sender.options.messages.of(exact)))
    assert len(sender.options.messages.of(exact)) == int(most)
    assert (yield send(sender, [exact, batch[1]])) == Delivered()
    assert sessions(receiver.wait_for(4)) == [*names(batch), *names(batch)]


# ---------------------------------------------------------------- TLS and certificates


@pytest.mark.parametrize("kind", TLS)
@pytest_twisted.inlineCallbacks
def test_without_the_right_certificate_nothing_counts_as_delivered(
    kind: str,
    receiver_of: Maker,
    sender_to: Callable[..., SyslogSender],
    tmp_path: Path,
) -> Steps:
    """Under TLS 1.3 the handshake and first writes succeed; the records are kept all the same."""
    receiver = receiver_of(kind)
    batch = records(1000)
    stranger = Authority(tmp_path / "other", "other").issue("honeypot.example")
    for shown in (
        {"cert_file": "", "key_file": ""},
        {"cert_file": str(stranger.cert), "key_file": str(stranger.key)},
    ):
        for part in (batch[:1], batch):
            sender = sender_to(receiver, **shown)
            verdict = yield send(sender, part)
            assert isinstance(verdict, Failed)
            assert "certificate" in verdict.reason
            assert "cert_file" in verdict.reason
    assert receiver.lines() == []
    sender = sender_to(receiver)
    assert (yield send(sender, batch)) == Delivered()
    assert sessions(receiver.wait_for(1000)) == names(batch)


@pytest.mark.parametrize("kind", TLS)
@pytest_twisted.inlineCallbacks
def test_records_go_to_no_receiver_that_we_do_not_know(
    kind: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender], tmp_path: Path
) -> Steps:
    """One of another authority, or for another name, is refused before a record is sent."""
    receiver = receiver_of(kind, name="siem.example", asks_client=False)
    other = Authority(tmp_path / "other", "other").file
    for options, word in (
        ({}, "server_name"),
        ({"server_name": "other.example"}, "server_name"),
        ({"server_name": "siem.example", "ca_file": str(other)}, "ca_file"),
        ({"server_name": "siem.example", "ca_file": ""}, "ca_file"),
    ):
        verdict = yield send(sender_to(receiver, **options), records(5))
        assert isinstance(verdict, Failed)
        assert word in verdict.reason
        assert "its certificate" in verdict.reason
    assert receiver.lines() == []
    right = sender_to(receiver, server_name="siem.example", cert_file="", key_file="")
    assert (yield send(right, records(5))) == Delivered()
    assert len(receiver.wait_for(5)) == 5


@pytest_twisted.inlineCallbacks
def test_an_expired_certificate_is_refused(
    receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """Nothing is sent, and the sentence says what may be wrong."""
    receiver = receiver_of("rsyslog ossl", old=True)
    verdict = yield send(sender_to(receiver), records(5))
    assert isinstance(verdict, Failed)
    assert "expired" in verdict.reason


@pytest_twisted.inlineCallbacks
def test_tls_on_one_side_only_delivers_nothing(
    receiver_of: Maker, sender_to: Callable[..., SyslogSender], authority: Authority
) -> Steps:
    """TLS to a port that has none fails, and no TLS to one that has it, too."""
    plain = receiver_of("rsyslog")
    sender = sender_to(plain, transport="tls", ca_file=str(authority.file), patience=1)
    verdict = yield send(sender, records(5))
    assert isinstance(verdict, Failed)
    assert "TLS" in verdict.reason
    secured = receiver_of("rsyslog ossl")
    for count in (1, 3000):
        verdict = yield send(sender_to(secured.port), records(count))
        assert isinstance(verdict, Failed)
    assert secured.lines() == []


# ---------------------------------------------------------------- receivers that die or hang


@pytest.mark.parametrize("kind", [*TCP, "rsyslog gtls", "syslog-ng tls"])
@pytest_twisted.inlineCallbacks
def test_nothing_is_lost_when_the_receiver_is_killed_again_and_again(
    kind: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """Each batch that counts as delivered is in the file, whenever the kill came."""
    receiver = receiver_of(kind)
    sender = sender_to(receiver)
    moments = random.Random(kind)
    failed = 0
    batch = records(1500)
    groups = [batch[i : i + 300] for i in range(0, len(batch), 300)]
    for number, group in enumerate(groups):
        rendered = sender.render(group)
        if number < 4:
            reactor.callLater(moments.uniform(0.0, 0.5), receiver.kill)
        while (yield sender.send(rendered)) != Delivered():
            failed += 1
            if receiver.process is None:
                receiver.start()
        if receiver.process is None:  # it was killed after the verdict
            receiver.start()
    receiver.stop()
    got = [line for line in receiver.lines() if line.startswith(b"<134>1 ")]
    arrived = set(got) & set(map(sender.options.messages.of, batch))
    print(f"{kind}: {failed} tries failed, {len(got) - len(batch)} messages came again")
    assert len(arrived) == len(batch)


@pytest.mark.parametrize("kind", [*TCP, "rsyslog ossl"])
@pytest_twisted.inlineCallbacks
def test_a_receiver_that_hangs_has_not_got_it(
    kind: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """Its system acknowledges for it; the batch is sent again when it goes on."""
    receiver = receiver_of(kind)
    sender = sender_to(receiver, patience=1)
    assert (yield send(sender, records(5))) == Delivered()
    receiver.wait_for(5)
    receiver.signal(signal.SIGSTOP)
    verdict = yield send(sender, records(50))
    assert isinstance(verdict, Failed)
    assert "hangs" in verdict.reason
    receiver.kill()
    assert len(receiver.lines()) == 5  # those 50 would be lost
    receiver.start()
    assert (yield send(sender, records(50))) == Delivered()
    assert sessions(receiver.wait_for(55))[5:] == names(records(50))


class Misbehaving:
    """A server at the edge of what syslog daemons do: a function for each of its connections."""

    def __init__(self, *acts: Callable[[socket.socket], None]) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.port = int(self.listener.getsockname()[1])
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self.run, args=(acts,))
        self.thread.start()

    def run(self, acts: tuple[Callable[[socket.socket], None], ...]) -> None:
        """Let each connection have its act, one after the other."""
        self.listener.settimeout(20)
        for act in acts:
            connection, _ = self.listener.accept()
            connection.settimeout(20)
            self.open.append(connection)
            act(connection)

    def stop(self) -> None:
        """Close everything."""
        self.thread.join(30)
        for connection in (*self.open, self.listener):
            connection.close()


def nothing(_: socket.socket) -> None:
    """Accept, and do nothing with it."""


def all_then_close(connection: socket.socket) -> None:
    """Do as a receiver does."""
    while connection.recv(1 << 16):
        pass
    connection.close()


def some_then_close(connection: socket.socket) -> None:
    """Read a part, and close."""
    connection.recv(1000)
    connection.close()


def some_then_end(connection: socket.socket) -> None:
    """Read a part, and end only the own side, cleanly."""
    connection.recv(1000)
    connection.shutdown(socket.SHUT_WR)


def what_is_there_then_close(connection: socket.socket) -> None:
    """Read whatever came so far, and close: nothing is unread then, but not all is there."""
    connection.recv(1 << 20)
    connection.settimeout(0)
    try:
        while connection.recv(1 << 20):
            pass
    except BlockingIOError:
        pass
    connection.close()


@pytest.mark.parametrize(
    ("acts", "word"),
    [
        ((some_then_close,), "before it had read everything"),
        ((some_then_end,), "before it had read everything"),
        ((what_is_there_then_close,), "before it had read everything"),
        ((nothing,), "does not read"),
    ],
)
@pytest_twisted.inlineCallbacks
def test_what_was_read_in_part_is_not_delivered(
    acts: tuple[Callable[[socket.socket], None], ...],
    word: str,
    sender_to: Callable[..., SyslogSender],
) -> Steps:
    """Whether it closes with RST or with FIN, or goes on without reading."""
    server = Misbehaving(*acts)
    sender = sender_to(server.port, patience=1)
    verdict = yield send(sender, records(20_000))
    assert isinstance(verdict, Failed)
    assert word in verdict.reason
    server.stop()


@pytest_twisted.inlineCallbacks
def test_a_receiver_that_dies_just_after_it_read_has_not_got_it(
    sender_to: Callable[..., SyslogSender],
) -> Steps:
    """The first connection ends as it should; the second is lost within the grace."""
    server = Misbehaving(all_then_close, socket.socket.close)
    verdict = yield send(sender_to(server.port, grace=2), records(10))
    assert isinstance(verdict, Failed)
    assert "closed the next connection" in verdict.reason
    server.stop()


@pytest_twisted.inlineCallbacks
def test_a_receiver_that_never_closes_is_said_to_hang(
    sender_to: Callable[..., SyslogSender],
) -> Steps:
    """Its system took everything, which proves nothing."""
    server = Misbehaving(nothing, nothing)
    verdict = yield send(sender_to(server.port, patience=1), records(10))
    assert isinstance(verdict, Failed)
    assert "does not close a connection that we ended" in verdict.reason
    server.stop()


@pytest_twisted.inlineCallbacks
def test_nobody_there_is_said_so(sender_to: Callable[..., SyslogSender]) -> Steps:
    """A port that nobody listens on, and a host that does not exist."""
    verdict = yield send(sender_to(free_port()), records(1))
    assert isinstance(verdict, Failed)
    assert "nobody listens there" in verdict.reason
    verdict = yield send(sender_to(1, host="siem.invalid"), records(1))
    assert isinstance(verdict, Failed)
    assert "siem.invalid:1" in verdict.reason


@pytest_twisted.inlineCallbacks
def test_a_connection_lost_between_batches_is_no_failure(
    receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """A receiver restarted in a quiet hour gets the next batch at the first try."""
    receiver = receiver_of("rsyslog")
    sender = sender_to(receiver)
    assert (yield send(sender, records(3))) == Delivered()
    receiver.stop()
    receiver.start()
    yield task.deferLater(reactor, 0.05)
    assert (yield send(sender, records(3))) == Delivered()


@pytest.mark.parametrize("kind", ["syslog-ng", "rsyslog gtls", "syslog-ng tls"])
@pytest_twisted.inlineCallbacks
def test_a_connection_is_not_kept_for_ever(
    kind: str, receiver_of: Maker, sender_to: Callable[..., SyslogSender]
) -> Steps:
    """It is closed after a while without records, and made anew for the next ones."""
    receiver = receiver_of(kind)
    sender = sender_to(receiver)
    sender.idle = 0.1
    for _ in range(2):
        assert (yield send(sender, records(3))) == Delivered()
        assert sender._next is not None
        yield sender._next.ended
        yield task.deferLater(reactor, 0)
        assert sender._next is None
    assert len(receiver.wait_for(6)) == 6


@pytest.mark.parametrize("kind", ["rsyslog", "rsyslog ossl"])
@pytest_twisted.inlineCallbacks
def test_a_batch_can_be_given_up_at_any_time(
    kind: str,
    receiver_of: Maker,
    sender_to: Callable[..., SyslogSender],
) -> Steps:
    """Cancelling drops the connections; the sender can be used, or stopped, afterwards."""
    receiver = receiver_of(kind)
    for delay in (0.0, 0.02, 0.1, 0.4):
        sender = sender_to(receiver, grace=0.5)
        sending = send(sender, records(2000))
        lines = list(sender._lines)
        yield task.deferLater(reactor, delay)
        lines += sender._lines
        sending.cancel()
        with pytest.raises(CancelledError):
            yield sending
        yield task.deferLater(reactor, 0.05)
        assert not any(line.is_alive for line in lines)
        sender.stop()


# ---------------------------------------------------------------- options


def options_of(**given: str) -> syslog.SyslogOptions:
    """Return the options of a section."""
    return read_options({"host": HOST, **given}, "sessionstats_siem", {})


def test_the_defaults_are_those_of_syslog() -> None:
    """Ports, facility, severity and name; and a batch large enough for 2,000 records a second."""
    assert options_of().port == 514
    assert options_of(transport="TLS").port == 6514
    assert options_of().messages.of({"session": "x"}).startswith(b"<134>1 - - cowrie-sessionstats ")
    told = options_of(facility="auth", severity="notice", app_name="x").messages.of({})
    assert told == b"<37>1 - - x - - - {}"
    assert options_of().limits == syslog.LIMITS
    assert options_of(batch_records="10", batch_seconds="5").limits == Limits(
        10, syslog.LIMITS.size, 5.0
    )
    sender = syslog.read({"host": "::1", "port": "1514"}, "sessionstats_siem", {})
    assert sender.target == "tcp://[::1]:1514"
    assert sender.limits == syslog.LIMITS
    assert syslog.read({"host": "a.example", "transport": "tls"}, "s", {}).target == (
        "tls://a.example:6514"
    )


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"host": ""}, "host"),
        ({"host": "a.example:514"}, "without a port"),
        ({"host": "tcp://a.example"}, "without a port"),
        ({"host": "a b"}, "without a port"),
        ({"host": "x" * 300}, "host"),
        ({"port": "0"}, "from 1 to 65535"),
        ({"port": "syslog"}, "from 1 to 65535"),
        ({"transport": "udp"}, "tcp or tls"),
        ({"body": "xml"}, "json or cef or keyvalue"),
        ({"facility": "local8"}, "local7"),
        ({"severity": "bad"}, "emerg"),
        ({"app_name": "two words"}, "without spaces"),
        ({"app_name": "x" * 49}, "48"),
        ({"max_message": "2047"}, "from 2048 to 65536"),
        ({"max_message": "65537"}, "from 2048 to 65536"),
        ({"ca_file": "/dev/null"}, "transport = tls"),
        ({"colour": "red"}, "no such option"),
        ({"transport": "tls", "ca_file": "/nonexistent"}, "No such file"),
        ({"transport": "tls", "ca_file": "/dev/null"}, "no certificate"),
        ({"transport": "tls", "cert_file": "/dev/null"}, "key_file"),
        ({"transport": "tls", "key_file": "/dev/null"}, "cert_file"),
        ({"transport": "tls", "server_name": "a..b\ud800"}, "server_name"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(given: Any, word: str) -> None:
    """With its section, and with what to do."""
    with pytest.raises(OptionError, match="sessionstats_siem") as caught:
        options_of(**given)
    assert word in str(caught.value)


def test_keys_that_do_not_fit_are_refused_at_the_start(
    authority: Authority, client: Identity, tmp_path: Path
) -> None:
    """Another key, or one with a passphrase, which is not asked for; and no key is shown."""
    other = authority.issue("other.example")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAo=\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    for key, word in (
        (other.key, "not the key"),
        (locked, "passphrase"),
        (client.cert, "holds no"),
    ):
        with pytest.raises(OptionError, match=word):
            options_of(transport="tls", cert_file=str(client.cert), key_file=str(key))
    good = options_of(transport="tls", cert_file=str(client.cert), key_file=str(client.key))
    assert "tls" not in repr(good)
