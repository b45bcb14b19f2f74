"""Reports to DShield: what is sent, as Cowrie's own output sends it, and what an answer means."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import ssl
from collections.abc import Callable, Generator, Iterator
from configparser import ConfigParser, ExtendedInterpolation
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar

import pytest
import pytest_twisted
from cowrie.core.config import CowrieConfig
from cowrie.output import dshield as cowries
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY
from receivers_dshield import (
    CLOSES,
    HALF_A_BODY,
    HANGS,
    NO_AUTHINFO,
    SEVEN,
    TAKES_AND_CLOSES,
    WEB_PAGE,
    DShieldServer,
    Fault,
    Log,
    dshield_server,
)
from samples import START, Event, closed, command, connect, event, login, only
from twisted.internet import reactor, task
from twisted.internet import ssl as twisted_ssl
from twisted.internet.defer import Deferred, inlineCallbacks

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs import dshield
from cowrie_sessionstats.outputs.dshield import (
    ANSWER_LIMIT,
    DShieldSender,
    authorization,
    read,
    retry_after,
    session_log,
)
from cowrie_sessionstats.outputs.dshield_options import (
    LIMITS,
    URL,
    Account,
    DShieldOptions,
    read_options,
)
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Limits, Refused, Verdict

Steps: TypeAlias = Generator[Any, Any, None]
_Test = TypeVar("_Test", bound=Callable[..., Steps])
steps: Callable[[_Test], _Test] = pytest_twisted.inlineCallbacks
"""Marks a test that waits for Deferreds."""
_ssl: Any = twisted_ssl  # Twisted's types are not all there

KEY = "Zm9yIHRlc3RzIG9ubHksIG5vYm9keSdz"
ACCOUNT = Account("1234567", KEY, "[sessionstats_isc]")
SECTION = "sessionstats_isc"
HASSH = "ec7378c1a92f5a8dde7e8b7a1ddf33d1"


def timed(*events: Event) -> list[Event]:
    """Return events with the time as a number, too, as a running Cowrie has them."""
    return [
        {**raw, "time": START + 0.123456 + index} | {"timestamp": stamp(START + 0.123456 + index)}
        for index, raw in enumerate(events)
    ]


def stamp(when: float) -> str:
    """Return a time as Cowrie writes it."""
    return dt.datetime.fromtimestamp(when, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def a_record(**known: Any) -> dict[str, Any]:
    """Return the record of a usual session."""
    made = only(timed(*VISIT)) | known
    return {key: value for key, value in made.items() if value is not None}


VERSION = event("client.version", 0.1, version="SSH-2.0-Go")
KEX = event("client.kex", 0.2, hassh=HASSH)
FAILED = event("login.failed", 0.5, username="admin", password="1234")
VISIT = (connect(), VERSION, KEX, FAILED, login(), command("id", 2.0), closed(3.0))


@pytest.fixture
def server() -> Iterator[DShieldServer]:
    """Return a server that knows the account."""
    with dshield_server({ACCOUNT.userid: KEY}) as running:
        yield running


def a_sender(server: DShieldServer, **options: Any) -> DShieldSender:
    """Return a sender to a server."""
    return DShieldSender(ACCOUNT, reactor, **{"url": server.url, **options})


def report(sender: DShieldSender, *records: dict[str, Any]) -> Deferred[Verdict]:
    """Send records and return the verdict."""
    return sender.send(sender.render(records))


# ---------------------------------------------------------------- what is sent


@steps
def test_a_session_is_reported_with_the_seven_fields(server: DShieldServer) -> Steps:
    """The service gets what it is known to check, and the log says what the session was."""
    assert (yield report(a_sender(server), a_record())) == Delivered()
    assert server.problems == []
    assert server.logs == [
        {
            "timestamp": START + 6.123456,
            "source_ip": "203.0.113.7",
            "user": "root",
            "password": "admin",
            "lastcommand": "id",
            "hassh": HASSH,
            "banner": "SSH-2.0-Go",
        }
    ]
    (request,) = server.requests
    assert request["user-agent"].startswith("cowrie-sessionstats/")


@steps
def test_a_scan_is_reported_with_empty_texts(server: DShieldServer) -> Steps:
    """A session that did nothing is reported, too, as Cowrie does it."""
    assert (yield report(a_sender(server), only(timed(connect(), closed(1.0))))) == Delivered()
    assert server.problems == []
    assert [server.logs[0][name] for name in SEVEN[2:]] == [""] * 5


@steps
def test_a_batch_is_one_request_and_each_has_its_nonce(server: DShieldServer) -> Steps:
    """A batch that is sent again is a request of its own: a nonce is never used twice."""
    sender = a_sender(server)
    batch = sender.render([a_record(time=START + i) for i in range(LIMITS.records)])
    for _ in range(3):
        assert (yield sender.send(batch)) == Delivered()
    assert server.problems == []
    assert len(server.requests) == 3
    assert len(server.logs) == 3 * LIMITS.records
    assert server.repeats == 2 * LIMITS.records


@steps
def test_a_revision_is_not_reported(server: DShieldServer) -> Steps:
    """A session is reported once; that its record is revised later is no news to the service."""
    sender = a_sender(server)
    assert (yield report(sender, a_record(revision=1), a_record(revision=2))) == Delivered()
    assert server.requests == []
    assert (
        yield report(sender, a_record(revision=1), a_record(src_ip="2001:db8::7"))
    ) == Delivered()
    assert [log["source_ip"] for log in server.logs] == ["2001:db8::7"]
    assert server.problems == []


@steps
def test_dropped_passwords_are_empty(server: DShieldServer) -> Steps:
    """With ``passwords = drop`` nothing stands in their place."""
    record = only(timed(*VISIT), keep_passwords=False)
    assert (yield report(a_sender(server), record)) == Delivered()
    assert server.logs[0]["password"] == ""
    assert server.logs[0]["user"] == "root"
    assert server.problems == []


@steps
def test_the_further_fields_are_sent_where_they_are_known() -> Steps:
    """``dshield_extended`` adds four fields, and none of them where there is nothing to say."""
    with dshield_server({ACCOUNT.userid: KEY}, extended=True) as server:
        scan = only([connect(src_ip="203.0.113.8"), event("login.failed", 0.5, username="a")])
        sender = a_sender(server, extended=True)
        assert (yield report(sender, a_record(), scan)) == Delivered()
        assert server.problems == []
        full, bare = server.logs
        assert full["duration"] == 3.0
        assert full["commands"] == 1
        assert full["command_rate"] == pytest.approx(1 / 3)
        assert full["fingerprint"].startswith("csf1_1_")
        assert set(bare) - set(SEVEN) == {"duration", "commands", "command_rate"}
        assert bare["commands"] == 0


def test_the_time_is_the_events_where_the_record_has_it() -> None:
    """``end`` is off where Cowrie writes local time with a Z; ``time`` is not."""
    record = a_record()
    assert session_log(record, extended=False)["timestamp"] == START + 6.123456
    assert session_log(record | {"time": START + 0.5}, extended=False)["timestamp"] == START + 0.5
    for useless in (None, True, "1773828000", float("nan"), float("inf")):
        log = session_log(record | {"time": useless}, extended=False)
        assert log["timestamp"] == START + 6.123456


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"src_ip": None}, "address"),
        ({"src_ip": "example.net"}, "address"),
        ({"src_ip": 3405803783}, "address"),
        ({"end": None}, "ended"),
        ({"end": "yesterday"}, "ended"),
        ({"time": -1.0}, "ended"),
    ],
)
def test_a_record_that_cannot_be_reported_is_refused(change: Any, trouble: str) -> None:
    """Without an address or a time there is nothing to report: the record is to be set aside."""
    sender = DShieldSender(ACCOUNT, reactor)
    with pytest.raises(ValueError, match=trouble):
        sender.render([a_record(), a_record(**change)])


HOSTILE = st.text(st.characters(), max_size=60) | st.sampled_from(
    [*NASTY, "\ud800", "\udfff\ud800x", "\0", '","authheader":"', "é" * 5000, "\n\r\n", "\\u0000\\"]
)


@given(st.lists(HOSTILE, min_size=6, max_size=6))
def test_what_an_attacker_sends_stays_in_its_field(sent: list[str]) -> None:
    """Whatever the texts are, the report is JSON that every parser takes, with the same fields."""
    user, password, line, banner, hassh, kind = sent
    texts = {"username": user, "password": password, "last_command": line, "hassh": hassh}
    record = a_record(**texts, client_version=banner, fingerprint=kind, forward_targets=[line])
    batch = DShieldSender(ACCOUNT, reactor, extended=True).render([record, record])
    assert batch.isascii()
    assert b"\n" not in batch
    first, second = json.loads(batch)
    assert first == second
    assert set(first) - set(SEVEN) == {"duration", "commands", "command_rate", "fingerprint"}
    for name, text in (("user", user), ("password", password), ("banner", banner)):
        assert len(first[name]) <= 1024
        want = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert first[name].replace("\ufffd", "") == want[:1024].replace("\ufffd", "")


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "time",
                "end",
                "src_ip",
                "username",
                "last_command",
                "commands",
                "fingerprint",
                "duration",
                "forward_targets",
                "revision",
            ]
        ),
        st.none()
        | st.booleans()
        | st.integers()
        | st.just(10**400)
        | st.floats()
        | HOSTILE
        | st.lists(HOSTILE),
    )
)
def test_a_record_of_any_types_is_rendered_or_refused(change: dict[str, Any]) -> None:
    """Nothing but ValueError gets out, whatever stands in a record of an old or foreign file."""
    sender = DShieldSender(ACCOUNT, reactor, extended=True)
    try:
        batch = sender.render([a_record() | change])
    except ValueError:
        return
    checker = DShieldServer({}, extended=True)
    for log in json.loads(batch or b"[]"):
        checker.check_log(log)


# ---------------------------------------------------------------- as Cowrie does


@pytest.fixture
def cowrie(server: DShieldServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return Cowrie's own output, which reports every session at once to the server."""
    account = {"userid": ACCOUNT.userid, "auth_key": KEY, "batch_size": "1"}
    before = dict(CowrieConfig["output_dshield"])
    CowrieConfig.read_dict({"output_dshield": account})
    monkeypatch.setattr(cowries, "SUBMIT_URL", server.url.encode())
    yield cowries.Output()
    CowrieConfig.remove_section("output_dshield")
    CowrieConfig.read_dict({"output_dshield": before})


@inlineCallbacks
def both(
    cowrie: Any, server: DShieldServer, events: list[Event]
) -> Generator[Deferred[Any], Any, tuple[Log, Log]]:
    """Return what Cowrie reports of a session, and what we do; both as the service takes them."""
    posted: list[Any] = []
    submit = cowrie.submit_entries
    cowrie.submit_entries = lambda batch: posted.append(submit(batch))
    for raw in events:
        cowrie.write(dict(raw))
    yield posted[0]
    assert (yield report(a_sender(server), only(events))) == Delivered()
    assert server.problems == []
    theirs, ours = server.logs
    return theirs, ours


KEY_LOGIN = event(
    "login.success", 2.0, username="git", fingerprint="aa:bb", key="AAAA", type="ssh-rsa"
)
FORWARD = event(
    "direct-tcpip.request", 2.0, dst_ip="198.51.100.9", dst_port=443, orig_ip="127.0.0.1",
    orig_port=22, message="direct-tcp connection request to 198.51.100.9:443 from 127.0.0.1:22",
)  # fmt: skip
FED = event("command.input", 2.5, input="secret line", realm="passwd")
SAME: dict[str, tuple[Event, ...]] = {
    "a login after a failed one, and commands": VISIT,
    "failed logins only": (
        connect(),
        VERSION,
        KEX,
        FAILED,
        {**FAILED, "username": "pi"},
        closed(9),
    ),
    "a login without a password": (connect(), login(password=""), command("", 2.0), closed(3.0)),
    "a login by key": (connect(), VERSION, FAILED, KEY_LOGIN, command("ls", 3.0), closed(4.0)),
    "a scan": (connect(), VERSION, closed(0.5)),
    "Telnet over IPv6": (
        connect(src_ip="2001:db8::1:7", protocol="telnet"),
        login(src_ip="2001:db8::1:7"),
        command("cat /proc/mounts; /bin/busybox ÄÖÜ", 2.0),
        closed(3.0, src_ip="2001:db8::1:7"),
    ),
    "several commands": (
        connect(),
        login(),
        command("a\nb\tc\0d", 2.0),
        command("🦀 -e", 3.0),
        closed(4),
    ),
    "a command after a forward": (connect(), login(), FORWARD, command("id", 3.0), closed(4.0)),
}


@pytest.mark.parametrize("events", SAME.values(), ids=SAME)
@steps
def test_the_log_is_the_one_that_cowrie_sends(
    cowrie: Any, server: DShieldServer, events: tuple[Event, ...]
) -> Steps:
    """Field by field, in the same types and the same order."""
    theirs, ours = yield both(cowrie, server, timed(*events))
    assert list(theirs) == list(ours) == list(SEVEN)
    assert ours == theirs


LONG = "echo " + "x" * 2000
DIFFERENT: dict[str, tuple[tuple[Event, ...], str, str, str]] = {
    "texts are cut": (
        (connect(), login(), command(LONG, 2.0), closed(3.0)), "lastcommand", LONG, LONG[:1024],
    ),
    "who asked for a forward is not told": (
        (connect(), login(), FORWARD, closed(3.0)), "lastcommand",
        "direct-tcp connection request to 198.51.100.9:443 from 127.0.0.1:22",
        "direct-tcp connection request to 198.51.100.9:443",
    ),
    "a forward after a command is not the last command": (
        (connect(), login(), command("id", 2.0), FORWARD, closed(4.0)), "lastcommand",
        "direct-tcp connection request to 198.51.100.9:443 from 127.0.0.1:22", "id",
    ),
    "a line fed to a command is no command": (
        (connect(), login(), command("passwd", 2.0), FED, closed(3.0)), "lastcommand",
        "secret line", "passwd",
    ),
    "the login that worked, not the last one tried": (
        (connect(), login(), {**FAILED, "username": "late"}, closed(3.0)), "user", "late", "root",
    ),
    "the first version that the client names": (
        (connect(), VERSION, {**VERSION, "version": "other"}, closed(3.0)), "banner",
        "other", "SSH-2.0-Go",
    ),
    "a lone surrogate is replaced": (
        (connect(), event("login.failed", 1.0, username="a\udc80", password=""), closed(3.0)),
        "user", "a\udc80", "a\ufffd",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT)
@steps
def test_every_difference_from_cowrie_is_one_that_is_known(
    cowrie: Any, server: DShieldServer, case: tuple[tuple[Event, ...], str, str, str]
) -> Steps:
    """Where the record holds another text than Cowrie's output, no other field differs."""
    events, name, their, our = case
    if "\udc80" in their:
        server.takes_surrogates = True
    theirs, ours = yield both(cowrie, server, timed(*events))
    assert (theirs[name], ours[name]) == (their, our)
    same = [field for field in SEVEN if field not in (name, "password")]
    assert [ours[field] for field in same] == [theirs[field] for field in same]


@steps
def test_the_time_of_cowrie_is_met_to_the_microsecond(cowrie: Any, server: DShieldServer) -> Steps:
    """Without ``time`` in the record, ``end`` says the same, rounded as Cowrie writes it."""
    events = timed(*VISIT)
    events[-1]["time"] += 3e-7
    theirs, ours = yield both(cowrie, server, events)
    assert theirs["timestamp"] != ours["timestamp"]
    assert abs(theirs["timestamp"] - ours["timestamp"]) < 1e-6


@steps
def test_the_header_is_the_one_that_cowrie_makes(
    cowrie: Any, server: DShieldServer, monkeypatch: pytest.MonkeyPatch
) -> Steps:
    """From the same nonce, userid and key comes the same header, byte for byte."""
    monkeypatch.setattr(cowries, "os", SimpleNamespace(urandom=bytes))
    yield cowrie.submit_entries([session_log(a_record(), extended=False)])
    with dshield_server({ACCOUNT.userid: KEY}) as second:
        assert (yield report(a_sender(second, entropy=bytes), a_record())) == Delivered()
        (theirs,), (ours,) = server.requests, second.requests
    assert server.problems == second.problems == []
    for name in ("x-isc-authorization", "x-isc-logtype", "content-type"):
        assert ours[name] == theirs[name]
    assert json.loads(ours["body"]) == json.loads(theirs["body"])
    assert list(json.loads(ours["body"])) == list(json.loads(theirs["body"]))


def test_the_header_of_known_values() -> None:
    """Nonce and userid are the key of the HMAC, the account's key is the message."""
    header = authorization(Account("12345", "abc", "here"), "AAAAAAAAAAA=")
    # printf abc | openssl dgst -sha256 -hmac AAAAAAAAAAA=12345 -binary | base64
    credentials = "RoOzMdCcHG4HuiRUaH6kJhZmj1I36By8nsxFNHaZXx8="
    assert header == (f"ISC-HMAC-SHA256 Credentials={credentials} Userid=12345 Nonce=AAAAAAAAAAA=")


# ---------------------------------------------------------------- what an answer means


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (NO_AUTHINFO, Failed, ("ERROR: no authinfo", "[sessionstats_isc]", "isc.sans.edu")),
        (WEB_PAGE, Failed, ("<html>", "`url`")),
        (Fault(302, "", {"Location": "/elsewhere"}), Failed, ("302", "`url`")),
        (Fault(307, "", {"Location": "/elsewhere"}), Failed, ("307", "`url`")),
        (Fault(400, "Bad"), Refused, ("400", "Bad")),
        (Fault(401, "who?"), Failed, ("401", "userid 1234567", "[sessionstats_isc]", "isc.sans")),
        (Fault(403, ""), Failed, ("403", "userid 1234567", "without a word")),
        (Fault(404, ""), Failed, ("404", "`url`", URL)),
        (Fault(413, ""), Refused, ("413",)),
        (Fault(429, "slowly"), Failed, ("429", "slowly")),
        (Fault(500, "a\r\n\x1b[2Jb"), Failed, ("500", "a\\r\\n\\x1b[2Jb")),
        (Fault(503, "x" * 1_000_000), Failed, ("503",)),
    ],
)
@steps
def test_an_answer_that_is_not_ok_says_what_to_do(
    server: DShieldServer, fault: Fault, kind: type, words: tuple[str, ...]
) -> Steps:
    """The verdict quotes the answer, on one line and short; the next request works."""
    server.faults.append(fault)
    sender = a_sender(server)
    verdict = yield report(sender, a_record())
    assert type(verdict) is kind
    assert isinstance(verdict, (Failed, Refused))
    assert all(word in verdict.reason for word in words), verdict.reason
    assert verdict.reason.isprintable()
    assert len(verdict.reason) < 400
    assert len(server.requests) == 1
    assert (yield report(sender, a_record())) == Delivered()
    assert (len(server.logs), server.repeats, server.problems) == (1, 0, [])


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@steps
def test_every_success_is_delivered(server: DShieldServer, status: int) -> Steps:
    """The service's wording may change: only what is known for an error is one."""
    text = "" if status == 204 else "thank you"
    server.faults.append(Fault(status, text, takes=True))
    assert (yield report(a_sender(server), a_record())) == Delivered()
    assert server.received[("203.0.113.7", START + 6.123456)] == 1


@steps
def test_retry_after_is_passed_on(server: DShieldServer) -> Steps:
    """Seconds or a date: the verdict has the seconds."""
    sender = a_sender(server, clock=lambda: START)
    date = "Wed, 18 Mar 2026 10:02:00 GMT"
    for value, seconds in (("17", 17.0), (date, 120.0), ("soon", None)):
        server.faults.append(Fault(429, "", {"Retry-After": value}))
        verdict = yield report(sender, a_record())
        assert isinstance(verdict, Failed)
        assert verdict.retry_after == seconds


@given(st.text() | st.integers().map(str) | st.datetimes().map(str))
def test_retry_after_of_any_text_is_seconds_or_nothing(text: str) -> None:
    """No text raises, and no time is in the past."""
    seconds = retry_after(text, START)
    assert seconds is None or seconds >= 0


# ---------------------------------------------------------------- trouble on the way


@pytest.mark.parametrize(
    ("fault", "taken"),
    [(CLOSES, 0), (TAKES_AND_CLOSES, 1), (HALF_A_BODY, 1), (Fault(half=True), 0)],
)
@steps
def test_without_a_whole_answer_it_is_sent_again(
    server: DShieldServer, fault: Fault, taken: int
) -> Steps:
    """Nobody knows whether the service has it: rather twice than never."""
    server.faults.append(fault)
    sender = a_sender(server)
    verdict = yield report(sender, a_record())
    assert isinstance(verdict, Failed)
    assert "no answer" in verdict.reason
    assert len(server.logs) == taken
    assert (yield report(sender, a_record())) == Delivered()
    assert (len(server.logs), server.repeats) == (1 + taken, taken)


@pytest.mark.parametrize("fault", [HANGS, Fault(half=True, hangs=True)])
@steps
def test_a_service_that_hangs_is_given_up(
    server: DShieldServer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> Steps:
    """Before the answer, and in the middle of it: the verdict comes within a bound."""
    monkeypatch.setattr(dshield, "TIMEOUT", 0.2)
    server.faults.append(fault)
    sender = a_sender(server)
    verdict = yield report(sender, a_record())
    assert isinstance(verdict, Failed)
    assert "no answer within 0.2 s" in verdict.reason
    monkeypatch.undo()
    assert (yield report(sender, a_record())) == Delivered()


@pytest.mark.parametrize("fault", [HANGS, Fault(half=True, hangs=True)])
@pytest.mark.parametrize("how", ["cancel", "stop"])
@steps
def test_a_request_can_be_given_up_at_once(server: DShieldServer, fault: Fault, how: str) -> Steps:
    """Who cancels, or stops, does not wait for a service that hangs."""
    server.faults.append(fault)
    sender = a_sender(server)
    sent = sender.send(sender.render([a_record()]))
    while not server.requests:
        yield task.deferLater(reactor, 0.01, lambda: None)
    sent.cancel() if how == "cancel" else sender.stop()
    assert isinstance((yield sent), Failed)


@steps
def test_a_request_can_be_given_up_before_it_is_connected(server: DShieldServer) -> Steps:
    """Cancelling in the same turn leaves nothing behind."""
    sender = a_sender(server)
    sent = sender.send(sender.render([a_record()]))
    sent.cancel()
    assert isinstance((yield sent), Failed)
    assert (yield report(sender, a_record())) == Delivered()


@steps
def test_an_answer_without_end_is_read_no_further(server: DShieldServer) -> Steps:
    """What it begins with is enough, and no more is kept or waited for."""
    server.faults.append(
        Fault(200, "OK " + "x" * (3 * ANSWER_LIMIT), half=True, hangs=True, takes=True)
    )
    assert (yield report(a_sender(server), a_record())) == Delivered()


@steps
def test_nobody_there_is_said(server: DShieldServer) -> Steps:
    """A port that nobody listens on, a name that does not exist."""
    for url in ("http://127.0.0.1:1/submitapi/", "http://no-such-host.invalid/submitapi/"):
        verdict = yield report(a_sender(server, url=url), a_record())
        assert isinstance(verdict, Failed)
        assert "reached from here" in verdict.reason


# ---------------------------------------------------------------- TLS


def certificate(folder: Path, *names: x509.GeneralName) -> tuple[ssl.SSLContext, Any]:
    """Return a server's context with a certificate of its own, and that as a trust root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "DShield for tests")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    path = folder / "server.pem"
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, _ssl.trustRootFromCertificates([_ssl.Certificate.loadPEM(pem)])


@steps
def test_the_certificate_has_to_be_trusted_and_of_that_host(tmp_path: Path) -> Steps:
    """Nothing is sent to whom the system, or the name in the address, does not vouch for."""
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    context, trust = certificate(tmp_path, here)
    with dshield_server({ACCOUNT.userid: KEY}, tls=context) as server:
        verdict = yield report(a_sender(server), a_record())
        assert isinstance(verdict, Failed)
        assert "certificate verify failed" in verdict.reason
        assert server.requests == []
        assert (yield report(a_sender(server, trust=trust), a_record())) == Delivered()
    context, trust = certificate(tmp_path, x509.DNSName("dshield.example"))
    with dshield_server({ACCOUNT.userid: KEY}, tls=context) as server:
        verdict = yield report(a_sender(server, trust=trust), a_record())
        assert isinstance(verdict, Failed)
        assert "VerificationError" in verdict.reason
        assert server.requests == []


# ---------------------------------------------------------------- the key


@steps
def test_the_key_is_in_no_text(server: DShieldServer) -> Steps:
    """Neither in what is shown of the objects, nor in a reason, even if the service repeats it."""
    options = DShieldOptions(ACCOUNT)
    sender = a_sender(server)
    server.faults.append(Fault(200, f"ERROR: {KEY} is no key"))
    verdict = yield report(sender, a_record())
    for shown in (options, ACCOUNT, sender, verdict, sender.target):
        assert KEY not in repr(shown)
        assert KEY not in str(shown)
    assert all(KEY.encode() not in request["body"] for request in server.requests)


# ---------------------------------------------------------------- options


def cowrie_config(text: str = "") -> ConfigParser:
    """Return a configuration as Cowrie has it, with its defaults."""
    parser = ConfigParser(interpolation=ExtendedInterpolation())
    parser.read_string(
        "[output_dshield]\nenabled = false\nuserid = userid_here\nauth_key = auth_key_here\n"
    )
    parser.read_string(text)
    return parser


def options(
    given: dict[str, str], config: str = "", environment: dict[str, str] | None = None, *files: Path
) -> DShieldOptions:
    """Return what is read of a section."""
    paths = [str(file) for file in files]
    return read_options(given, SECTION, environment or {}, cowrie_config(config), paths)


OWN = {"userid": "42", "auth_key": KEY}
COWRIES = f"[output_dshield]\nuserid = 77\nauth_key = {KEY}\n"


def test_defaults() -> None:
    """With userid and key alone, the seven fields go to the service in small batches."""
    read = options(OWN)
    assert (read.url, read.extended, read.limits) == (URL, False, LIMITS)
    assert (read.account.userid, read.account.key) == ("42", KEY)
    assert read.account.source == f"[{SECTION}]"


def test_every_option_is_read() -> None:
    """Each option does what it says."""
    read = options(
        OWN
        | {
            "url": "https://www.dshield.org/devsubmitapi/",
            "dshield_extended": "yes",
            "batch_records": "7",
            "batch_bytes": "4096",
            "batch_seconds": "0.5",
        }
    )
    assert read.url == "https://www.dshield.org/devsubmitapi/"
    assert read.extended
    assert read.limits == Limits(7, 4096, 0.5)


def test_the_key_can_come_from_a_file_or_a_variable(tmp_path: Path) -> None:
    """So that it need not stand in cowrie.cfg."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    for where in ({"auth_key_file": str(file)}, {"auth_key_env": "ISC_KEY"}):
        read = options({"userid": "42"} | where, "", {"ISC_KEY": KEY})
        assert read.account.key == KEY


def test_userid_and_key_are_taken_from_cowrie_or_the_sensor(tmp_path: Path) -> None:
    """The destination's own, then Cowrie's output's, then DShield's file; ``target`` says which."""
    ini = tmp_path / "dshield.ini"
    ini.write_text(
        f"[DShield]\ninterface=eth0\nuserid=99\napikey={KEY}\nlocalips='%(x)s'\n[x]\ny=1\n"
    )
    assert options(OWN, COWRIES, None, ini).account.userid == "42"
    assert options({}, COWRIES, None, ini).account == Account("77", KEY, "[output_dshield]")
    assert options({}, "", None, tmp_path / "none", ini).account == Account("99", KEY, str(ini))
    home = tmp_path / "etc"
    home.mkdir()
    ini.rename(home / "dshield.ini")
    found = options({}, "", {"HOME": str(tmp_path)}).account
    assert found.source == str(home / "dshield.ini")
    sender = DShieldSender(found, reactor)
    assert sender.target == f"{URL} as 99 of {home / 'dshield.ini'}"


def test_a_sender_is_made_of_cowries_configuration() -> None:
    """``read`` is what the plugin calls; Cowrie's environment counts as in Cowrie."""
    variables = {
        "COWRIE_OUTPUT_DSHIELD_USERID": "55",
        "COWRIE_OUTPUT_DSHIELD_AUTH_KEY": KEY,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        sender = read({"dshield_extended": "true"}, SECTION, os.environ, CowrieConfig)
    assert sender.account == Account("55", KEY, "[output_dshield]")
    assert (sender.url, sender.extended, sender.limits) == (URL, True, LIMITS)


@pytest.mark.parametrize("value", ["true", "Yes", "on", "1"])
@pytest.mark.parametrize("section", ["output_dshield", "output_dshield_second"])
def test_beside_cowries_own_output_it_does_not_start(value: str, section: str) -> None:
    """The error says that every session would be reported twice, and which line to change."""
    with pytest.raises(
        OptionError, match="every session would be reported to DShield twice"
    ) as said:
        options(OWN, f"[{section}]\nenabled = {value}\nuserid = 77\nauth_key = {KEY}\n")
    assert str(said.value).startswith(f"[{section}] enabled = {value!r}: ")
    assert f"[{SECTION}]" in str(said.value)


@pytest.mark.parametrize(
    ("given", "config", "want"),
    [
        ({"userid": "42"}, "", f"[{SECTION}] auth_key = '...'"),
        ({"auth_key": KEY}, "", f"[{SECTION}] userid = ''"),
        ({"userid": "me", "auth_key": KEY}, "", f"[{SECTION}] userid = 'me': has to be a number"),
        ({"userid": "٣", "auth_key": KEY}, "", "userid"),
        ({"userid": "1\r\nX: y", "auth_key": KEY}, "", "userid"),
        ({"userid": "42", "auth_key": f"{KEY} {KEY}"}, "", f"[{SECTION}] auth_key = '...'"),
        ({"userid": "42", "auth_key": "auth_key_here"}, "", "isc.sans.edu"),
        (OWN | {"auth_key_env": "X"}, "", "auth_key_env = '...': stands beside auth_key"),
        ({"userid": "42", "auth_key_env": "NO"}, "", "no variable of that name"),
        ({"userid": "42", "auth_key_file": "/nowhere"}, "", "cannot be read: No such file"),
        ({"userid": "42", "auth_key_file": "a\0b"}, "", "auth_key_file"),
        ({}, f"[output_dshield]\nuserid = 77x\nauth_key = {KEY}\n", "[output_dshield] userid"),
        ({}, f"[output_dshield]\nauth_key = {KEY}\n", "[output_dshield] userid = 'userid_here'"),
        ({}, "[output_dshield]\nuserid = 77\n", "[output_dshield] auth_key = '...'"),
        ({}, "[output_dshield]\nauth_key = a$b\n", "[output_dshield] auth_key = '...': has a $"),
        ({}, "", f"[{SECTION}] userid = '': is missing, and neither [output_dshield]"),
        (OWN | {"dshield_extended": "maybe"}, "", "true or false"),
        (OWN | {"batch_records": "0"}, "", "batch_records"),
        (OWN | {"batch_seconds": "nan"}, "", "batch_seconds"),
        (OWN | {"apikey": KEY}, "", "[sessionstats_isc] apikey = '...': there is no such option"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, str], config: str, want: str) -> None:
    """Section and option are named, the key is not shown, and there is a remedy."""
    with pytest.raises(OptionError) as said:
        options(given, config, None, Path("/nowhere/dshield.ini"))
    assert want in str(said.value)
    assert KEY not in str(said.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.dshield.org/submitapi/", "ftp://127.0.0.1/", "www.dshield.org", "https://",
        "https://a:b@www.dshield.org/", "https://x/?q", "https://x/#f", "https://x:port/",
        "https://x/ y", "https://ä.example/", "https://x\r\nHost: y/", "http://127.0.0.1.example/",
    ],
)  # fmt: skip
def test_an_address_that_is_none_or_plain_is_refused(url: str) -> None:
    """Attackers' passwords and our credentials go to nobody over an open line."""
    with pytest.raises(OptionError, match=r"\[sessionstats_isc\] url = "):
        options(OWN | {"url": url})


@pytest.mark.parametrize(
    "text",
    [
        f"userid=99\napikey={KEY}\n",
        f"[DShield]\nuserid=\napikey={KEY}\n",
        "[DShield]\nuserid=99\napikey=\n",
        f"[DShield]\n{KEY}\n",
        f"[Other]\nuserid=99\napikey={KEY}\n",
    ],
)
def test_a_sensors_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    """The error names the file, and quotes nothing of it: the key stands there."""
    ini = tmp_path / "dshield.ini"
    ini.write_text(text)
    with pytest.raises(OptionError) as said:
        options({}, "", None, ini)
    assert f"section DShield of {ini} cannot be used" in str(said.value)
    assert KEY not in str(said.value)
    assert said.value.__cause__ is None


def test_a_sensors_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """DShield's installation lets only its own users read it, and Cowrie's is none of them."""
    ini = tmp_path / "dshield.ini"
    ini.mkdir()  # root may read any file, but no folder as one
    with pytest.raises(OptionError, match="let Cowrie's user read that file") as said:
        options({}, "", None, ini)
    assert str(ini) in str(said.value)
