"""The options of [output_sessionstats]."""

from __future__ import annotations

from configparser import ConfigParser, ExtendedInterpolation
from pathlib import Path

import pytest
from conftest import ROOT

from cowrie_sessionstats.options import KNOWN, SECTION, OptionError, read_options
from cowrie_sessionstats.sessions import MAX_SESSIONS


def config(text: str) -> ConfigParser:
    """Return a configuration read as Cowrie reads it."""
    parser = ConfigParser(interpolation=ExtendedInterpolation())
    parser.read_string(f"[honeypot]\nlog_path = var/log/cowrie\nlogtype = rotating\n{text}")
    return parser


def test_defaults() -> None:
    """Without a single option the records go to Cowrie's log folder and its other outputs."""
    options = read_options(config(f"[{SECTION}]\nenabled = true"))
    assert options.logfile == Path("var/log/cowrie/sessionstats.json").absolute()
    assert options.daily
    assert options.log
    assert options.pipeline
    assert options.max_sessions == MAX_SESSIONS == 20_000
    assert options.keep_passwords
    assert read_options(ConfigParser()).logfile == Path("sessionstats.json").absolute()


def test_every_option_is_read() -> None:
    """Each option does what it says; a value may refer to another section."""
    options = read_options(
        config(
            f"[{SECTION}]\nlogfile = ${{honeypot:log_path}}/x.json\nlog = no\npipeline = False\n"
            "max_sessions = 7\npasswords = drop"
        )
    )
    assert options.logfile == Path("var/log/cowrie/x.json").absolute()
    assert not options.log
    assert not options.pipeline
    assert options.max_sessions == 7
    assert not options.keep_passwords


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5", "1" * 30, "٣", "1_000"])
def test_numbers_that_are_none_are_refused(value: str) -> None:
    """The error names section, option, value and what it has to be."""
    with pytest.raises(OptionError, match="max_sessions") as caught:
        read_options(config(f"[{SECTION}]\nmax_sessions = {value}"))
    assert f"[{SECTION}] max_sessions = {value!r}" in str(caught.value)
    assert "20000" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_in_the_default_section_are_nobodys_mistake() -> None:
    """A [DEFAULT] section shows in every section, and says nothing of this one."""
    read_options(config(f"[DEFAULT]\nanything = 1\n[{SECTION}]\nenabled = true"))


def test_a_long_bad_value_is_shown_in_part() -> None:
    """A line of the log stays a line."""
    with pytest.raises(OptionError) as caught:
        read_options(config(f"[{SECTION}]\npasswords = {'x' * 5000}"))
    assert len(str(caught.value)) < 300


def test_the_configuration_file_holds_every_option_with_its_default() -> None:
    """``etc/sessionstats.cfg`` can be pasted as it is, and then changes nothing."""
    text = (ROOT / "etc/sessionstats.cfg").read_text()
    pasted = config(text)
    assert read_options(pasted) == read_options(config(f"[{SECTION}]\nenabled = true"))
    assert set(pasted.options(SECTION)) == set(KNOWN)
    lines = text.splitlines()
    for name in KNOWN:
        (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{name} ="))
        assert lines[at - 1].startswith("# "), f"{name} has no line on what it does"
