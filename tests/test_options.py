"""The options of [output_sessionstats]."""

from __future__ import annotations

from configparser import ConfigParser, ExtendedInterpolation
from pathlib import Path

import pytest
from conftest import ROOT

from cowrie_sessionstats import options as module
from cowrie_sessionstats.options import KNOWN, SECTION, OptionError, Options
from cowrie_sessionstats.outputs.destinations import read_destinations
from cowrie_sessionstats.sessions import MAX_SESSIONS


def read_options(config: ConfigParser, environment: dict[str, str] | None = None) -> Options:
    """Return the options, without an environment that overrides them."""
    return module.read_options(config, environment or {})


def config(text: str) -> ConfigParser:
    """Return a configuration read as Cowrie reads it."""
    parser = ConfigParser(interpolation=ExtendedInterpolation())
    parser.read_string(
        "[honeypot]\nlog_path = var/log/cowrie\nstate_path = var/lib/cowrie\n"
        f"logtype = rotating\n{text}"
    )
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


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5", "1" * 30, "٣", "1_000", "1000001"])
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


def test_a_vocabulary_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    """A file that adds to ours; without one, or with an empty value, ours alone."""
    file = tmp_path / "mine.toml"
    file.write_text('applets = "GGDBS"')
    options = read_options(config(f"[{SECTION}]\nvocabulary = {file}"))
    assert "GGDBS" in options.vocabulary.applets
    assert options.vocabulary.extension is not None
    assert read_options(config(f"[{SECTION}]\nvocabulary =")).vocabulary.extension is None
    file.write_text("applets = 5")
    with pytest.raises(OptionError, match="`applets` must be a text"):
        read_options(config(f"[{SECTION}]\nvocabulary = {file}"))
    with pytest.raises(OptionError, match="No such file"):
        read_options(config(f"[{SECTION}]\nvocabulary = {tmp_path}/none"))


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


def test_an_environment_variable_with_a_wrong_name_is_refused() -> None:
    """Cowrie takes options from its environment; a misspelt one would be passed over."""
    with pytest.raises(OptionError, match=r"max_session = '\.\.\.': there is no such"):
        read_options(config(""), {"COWRIE_OUTPUT_SESSIONSTATS_MAX_SESSION": "5"})
    read_options(config(""), {"COWRIE_OUTPUT_SESSIONSTATS_ENABLED": "true", "COWRIE_SSH_X": "1"})


@pytest.mark.parametrize(
    "section",
    [
        f"[{SECTION}]\ntoken = s3cr3t\n",
        "[sessionstats_siem]\ntype = http\ntoken = a$s3cr3t\n",
        "[sessionstats_siem]\ntype = http\ntoken = a${s3cr3t}\n",
        "[sessionstats_siem]\ntype = http\ntoken = a${s3cr3t\n",
        "[sessionstats_siem]\ntype = http\ntoken = ${honeypot:s3cr3t}\n",
    ],
)
def test_a_secret_is_in_no_error(section: str) -> None:
    """Not where it stands in the wrong section, nor where a $ in it stands for nothing."""

    def read() -> None:
        read_options(config(section))
        read_destinations(config(section), ["siem"], {})

    with pytest.raises(OptionError, match="token") as caught:
        read()
    assert "s3cr3t" not in str(caught.value)


def test_a_mistake_in_a_value_of_cowries_that_we_need_is_named() -> None:
    """``[honeypot] log_path`` is ours to read, and its section is in the error."""
    broken = config("")
    broken.set("honeypot", "log_path", "${no:such}/x")
    with pytest.raises(OptionError, match=r"\[honeypot\] log_path"):
        read_options(broken)


def test_the_file_of_another_output_is_refused() -> None:
    """Two outputs writing and rotating one file would lose lines."""
    other = "[output_jsonlog]\nenabled = true\nlogfile = ${honeypot:log_path}/cowrie.json\n"
    ours = f"[{SECTION}]\nlogfile = var/log/cowrie/cowrie.json"
    with pytest.raises(OptionError, match="output_jsonlog"):
        read_options(config(other + ours))
    read_options(config(other.replace("true", "false") + ours))
    with pytest.raises(OptionError, match="log_path"):
        read_options(config(f"[{SECTION}]\nlogfile = var/../var/log/cowrie/cowrie.log"))


def test_a_section_that_loads_the_plugin_twice_is_refused() -> None:
    """Cowrie takes ``[output_sessionstats_x]`` for a second one of the same output."""
    with pytest.raises(OptionError, match=r"\[output_sessionstats_siem\] enabled"):
        read_options(config(f"[{SECTION}_siem]\nenabled = true"))
    read_options(config(f"[{SECTION}_siem]\nenabled = false"))
