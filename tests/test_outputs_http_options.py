"""The options of a destination over HTTP: defaults, mistakes, secrets that stay secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from receivers_http import Authority, Receiver, Reply, serving
from summaries import summary
from twisted.internet import reactor as _reactor

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs import http
from cowrie_sessionstats.outputs.http_options import HttpOptions, read_options
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Limits
from cowrie_sessionstats.outputs.settings import SECRET_LIMIT, Settings

reactor: Any = _reactor
SECTION = "sessionstats_siem"
SECRET = "s3cr3t-t0ken"

# Twisted's, for a certificate of one's own: it gives pyOpenSSL what that wants no longer.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def options(**given: str) -> HttpOptions:
    """Return the options of a section."""
    return read_options({"url": "https://siem.example", **given}, SECTION, {"TOKEN": SECRET})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver that takes everything."""
    with serving(Receiver(), reactor) as made:
        yield made


def test_a_url_is_enough() -> None:
    """All else has a default."""
    chosen = options()
    assert chosen.url == "https://siem.example"
    assert chosen.format == "ndjson"
    assert chosen.header is None
    assert chosen.gzip is False
    assert chosen.timeout == 60
    assert chosen.limits == Limits()
    assert options(format="elasticsearch").index == "cowrie-sessions"


def test_every_option_is_read() -> None:
    """With its value, whatever its case where it is a word."""
    chosen = options(
        format="Elasticsearch", index="logs-cowrie-prod", gzip="YES", timeout="5",
        batch_records="10", batch_bytes="1000", batch_seconds="0.5",
    )  # fmt: skip
    assert (chosen.format, chosen.index, chosen.gzip) == ("elasticsearch", "logs-cowrie-prod", True)
    assert chosen.timeout == 5
    assert chosen.limits == Limits(10, 1000, 0.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": ""}, r"url = ''.*is missing"),
        ({"url": "siem.example:9200"}, "http:// or https://"),
        ({"url": "ftp://siem.example"}, "http:// or https://"),
        ({"url": "http://"}, "http:// or https://"),
        ({"url": "https://siem.example:99999"}, "http:// or https://"),
        ({"url": "https://siem.example:0"}, "http:// or https://"),
        ({"url": "https://[::1"}, "http:// or https://"),
        ({"url": "https://siem.example/a b"}, "http:// or https://"),
        ({"url": "https://siem.example/\r\nX: y"}, "http:// or https://"),
        ({"url": "https://siem.example/#x"}, "http:// or https://"),
        ({"url": "https://sïem.example/"}, "ASCII"),
        ({"url": f"https://me:{SECRET}@siem.example"}, "must not have a user"),
        ({"format": "xml"}, "format = 'xml': has to be ndjson or elasticsearch"),
        ({"index": "x"}, r"no such option; the options are url, format, auth"),
        ({"format": "elasticsearch", "index": "Upper"}, "is no name of an index"),
        ({"format": "elasticsearch", "index": "a/b"}, "is no name of an index"),
        ({"format": "elasticsearch", "index": "_bulk"}, "is no name of an index"),
        ({"format": "elasticsearch", "index": ".."}, "is no name of an index"),
        ({"format": "elasticsearch", "index": "a?b"}, "is no name of an index"),
        ({"format": "elasticsearch", "index": "x" * 256}, "is no name of an index"),
        ({"auth": "digest"}, "auth = 'digest': has to be none or bearer or basic or header"),
        ({"auth": "bearer"}, "auth = bearer needs token, token_file or token_env"),
        ({"auth": "bearer", "token": f"Bearer {SECRET}"}, "has a space in it"),
        ({"auth": "bearer", "token": f"{SECRET}\nX:y"}, "cannot be sent"),
        ({"auth": "bearer", "token": f"{SECRET}é"}, "cannot be sent"),
        ({"auth": "bearer", "token": SECRET, "token_env": "TOKEN"}, "stands beside token"),
        ({"auth": "bearer", "token_env": SECRET}, "no variable of that name"),
        ({"auth": "bearer", "token_file": f"/{SECRET}"}, "cannot be read: No such file"),
        ({"auth": "basic", "password": SECRET}, "auth = basic needs one"),
        ({"auth": "basic", "user": "a:b", "password": SECRET}, "without a colon"),
        ({"auth": "basic", "user": "me"}, "needs password, password_file or password_env"),
        ({"auth": "header", "token": SECRET}, "has to be a header's name"),
        ({"auth": "header", "token": SECRET, "header": "X: y"}, "has to be a header's name"),
        ({"auth": "header", "token": SECRET, "header": "Host"}, "is set already"),
        ({"auth": "none", "token": SECRET}, "there is no such option"),
        ({"gzip": "perhaps"}, "has to be true or false"),
        ({"timeout": "0"}, "a whole number from 1 to 600"),
        ({"timeout": "9" * 5000}, "a whole number from 1 to 600"),
        ({"batch_records": "-1"}, "a whole number from 1 to"),
        ({"batch_seconds": "nan"}, "has to be seconds from 0 to 3600"),
        ({"ca_file": "/nowhere/ca.pem"}, "cannot be read: No such file"),
        ({"cert_file": __file__}, "needs cert_file and key_file, both"),
        ({"key_file": __file__}, "needs cert_file and key_file, both"),
        ({"url": "http://siem.example", "ca_file": __file__}, "needs a url with https://"),
        ({"verify": "false"}, "there is no such option"),
    ],
)
def test_a_mistake_is_said_with_its_remedy(given: dict[str, str], said: str) -> None:
    """Which option of which section, what is wrong with it; never a secret."""
    with pytest.raises(OptionError, match=said) as caught:
        options(**given)
    assert str(caught.value).startswith(f"[{SECTION}] ")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_files_of_certificates_are_checked_at_the_start(tmp_path: Path) -> None:
    """A CA file without one, one that is cut, a key of another certificate or with a passphrase."""
    authority = Authority()
    certificate, key = authority.issue("sensor")
    files = {
        "empty": b"",
        "cut": authority.pem[:200] + b"\n-----END CERTIFICATE-----\n",
        "cert": certificate,
        "other": authority.issue("other")[1],
        "locked": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        "key": key,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def read(**given: str) -> None:
        paths = {name: str(tmp_path / file) for name, file in given.items()}
        http.read({"url": "https://siem.example", **paths}, SECTION, {})

    read(cert_file="cert", key_file="key")
    for given, said in (
        ({"ca_file": "empty"}, "ca_file = .*has no certificate in it"),
        ({"ca_file": "cut"}, "ca_file = .*cannot be read"),
        ({"cert_file": "cert", "key_file": "other"}, "key_file = .*is no key of"),
        ({"cert_file": "empty", "key_file": "key"}, "key_file = .*is no key of"),
        ({"cert_file": "cert", "key_file": "locked"}, "key_file = .*passphrase"),
    ):
        with pytest.raises(OptionError, match=said):
            read(**given)


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """Without the newline at its end; a file that is too large or no text is refused."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    for given in ({"token": SECRET}, {"token_file": str(path)}, {"token_env": "TOKEN"}):
        chosen = options(auth="bearer", **given)
        assert chosen.header == ("Authorization", f"Bearer {SECRET}")
    for content, said in (
        (b"x" * (SECRET_LIMIT + 1), "more than"),
        (b"\xff\xfe", "is no text"),
        (b"\n", "is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(OptionError, match=said):
            options(auth="bearer", token_file=str(path))


def test_secrets_are_in_no_repr(receiver: Receiver) -> None:
    """Neither of the options nor of what is made of them."""
    given = {"url": f"http://127.0.0.1:{receiver.port}/in/{SECRET}?key={SECRET}", "auth": "bearer"}
    made = http.read({**given, "token": SECRET}, SECTION, {"OTHER": SECRET})
    batch = made.render([summary("a", password=SECRET)])
    settings = Settings({"token": SECRET}, SECTION, {"OTHER": SECRET})
    for text in (repr(made), repr(made.options), repr(batch), repr(settings), made.target):
        assert SECRET not in text
    assert made.target == f"http://127.0.0.1:{receiver.port}"


@pytest_twisted.ensureDeferred
async def test_a_path_is_sent_as_it_stands_and_not_shown(receiver: Receiver) -> None:
    """Some receivers have their token there, and say it back when they do not know it."""
    url = f"http://127.0.0.1:{receiver.port}/in/t%2F0k%20en/?a=%20b&c=d%26e&f"
    made = http.read({"url": url}, SECTION, {})
    receiver.answer = lambda asked: Reply(404, f"no {asked.path}?{asked.query} here".encode())
    verdict = await made.send(made.render([summary("a")]))
    (asked,) = receiver.asked
    assert f"{asked.path}?{asked.query}" == "/in/t%2F0k%20en/?a=%20b&c=d%26e&f"
    assert isinstance(verdict, Failed)
    assert "no .../?... here" in verdict.reason
    made.stop()


@pytest.mark.parametrize(
    ("given", "header", "value"),
    [
        ({"auth": "bearer", "token": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"auth": "header", "header": "X-Api-Key", "token": "a b"}, "x-api-key", "a b"),
        (
            {"auth": "header", "header": "Authorization", "token": f"ApiKey {SECRET}"},
            "authorization",
            f"ApiKey {SECRET}",
        ),
        (
            {"auth": "basic", "user": "mé", "password": "p:w é"},
            "authorization",
            "Basic " + base64.b64encode("mé:p:w é".encode()).decode(),
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_who_we_are_goes_with_every_request(
    receiver: Receiver, given: dict[str, str], header: str, value: str
) -> None:
    """As the option says; and it is in no reason, though the receiver says it back."""
    url = f"http://127.0.0.1:{receiver.port}/in?key=k3y"
    made = http.read({"url": url, **given}, SECTION, {})
    assert await made.send(made.render([summary("a")])) == Delivered()
    (asked,) = receiver.asked
    assert asked.headers[header] == value
    assert (asked.path, asked.query) == ("/in", "key=k3y")
    assert asked.headers["user-agent"].startswith("cowrie-sessionstats/")
    receiver.answer = lambda asked: Reply(
        401, f"not you: {asked.headers[header]} with {asked.query}".encode()
    )
    verdict = await made.send(made.render([summary("a")]))
    assert isinstance(verdict, Failed)
    assert value not in verdict.reason
    assert value.partition(" ")[2] not in verdict.reason or " " not in value
    assert "not you: ... with ..." in verdict.reason
    made.stop()
