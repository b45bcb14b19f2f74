"""The sections of cowrie.cfg that name destinations."""

from __future__ import annotations

from configparser import ConfigParser, ExtendedInterpolation

import pytest

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.destinations import TYPES, read_destinations
from cowrie_sessionstats.outputs.syslog import SyslogSender

LOG = "[sessionstats_log]\ntype = syslog\nhost = 127.0.0.1\n"


def config(text: str) -> ConfigParser:
    """Return a configuration read as Cowrie reads it."""
    parser = ConfigParser(interpolation=ExtendedInterpolation())
    parser.read_string(f"[honeypot]\nhostname = svr04\n{text}")
    return parser


def test_senders_come_in_the_order_of_their_names() -> None:
    """Several of one kind are several senders."""
    other = LOG.replace("_log", "_log2") + "port = 5514\n"
    made = read_destinations(config(other + LOG), ["log2", "log"], {})
    assert list(made) == ["log2", "log"]
    assert all(isinstance(sender, SyslogSender) for sender in made.values())
    assert "5514" in made["log2"].target


def test_options_come_from_the_environment_as_cowries_do() -> None:
    """They override the section, and can be all there is of it."""
    environment = {"COWRIE_SESSIONSTATS_LOG_PORT": "6000", "COWRIE_SESSIONSTATS_X_TYPE": "syslog"}
    environment["COWRIE_SESSIONSTATS_X_HOST"] = "::1"
    made = read_destinations(config(LOG), ["log", "x"], environment)
    assert "6000" in made["log"].target
    assert "[::1]" in made["x"].target


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", r"no section \[sessionstats_log\]"),
        ("[sessionstats_log]\nhost = x\n", "has to be one of"),
        ("[sessionstats_log]\ntype = carrier-pigeon\n", " or ".join(TYPES).replace(" or ", ", ")),
        (LOG + "colour = red\n", "no such option"),
        (LOG + "app_name = a$b\n", r"written \$\$"),
    ],
)
def test_a_mistake_is_named_with_its_section(text: str, word: str) -> None:
    """And with what to do."""
    with pytest.raises(OptionError, match=word):
        read_destinations(config(text), ["log"], {})


@pytest.mark.parametrize("secret", ["pa$$w0rd$rest", "${honeypot:nosuch}tail", "$tail", "${tail"])
def test_a_secret_with_a_dollar_is_not_shown(secret: str) -> None:
    """Neither it nor a part of it: the parser's own words have the rest behind the dollar."""
    section = "[sessionstats_x]\ntype = http\nurl = https://x.example\nformat = splunk_hec\n"
    with pytest.raises(OptionError, match=r"\[sessionstats_x\] token = '...'") as caught:
        read_destinations(config(f"{section}token = {secret}\n"), ["x"], {})
    for part in ("w0rd", "rest", "tail", "nosuch"):
        assert part not in str(caught.value)


def test_a_dollar_is_written_twice() -> None:
    """As everywhere in cowrie.cfg."""
    made = read_destinations(config(LOG + "app_name = a$$b\n"), ["log"], {})
    assert made["log"].options.messages.app_name == "a$b"  # type: ignore[attr-defined]
