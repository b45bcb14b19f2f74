"""The figures: those of the study as it has them, the others worked out by hand."""

from __future__ import annotations

import collections
import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from logs import DAY, tool
from summaries import Record, figures, summary, write_records

from cowrie_sessionstats import summarize
from cowrie_sessionstats.summary import record

MDRFCKR_22 = 22
TOLERANCE = 0.02
"""What the study's means, medians and last commands may differ by: its generator draws them."""


@pytest.fixture(scope="module")
def corpus(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return logs of one hundredth of the study."""
    folder = tmp_path_factory.mktemp("corpus")
    tool_path = shared / "tools/seed_corpus.py"
    subprocess.run([sys.executable, tool_path, "--out", folder, "--days", "60"], check=True)
    return folder


@pytest.fixture(scope="module")
def study(corpus: Path) -> dict[str, Any]:
    """Return the figures of those logs."""
    return figures(*sorted(corpus.glob("sensor*")))


@pytest.fixture(scope="module")
def truth(corpus: Path) -> list[Record]:
    """Return what those logs were made to hold, of sessions that logged in."""
    lines = (corpus / "truth.jsonl").read_text().splitlines()
    return [known for known in map(json.loads, lines) if known["logged_in"]]


def test_figure_1_of_the_study(
    study: dict[str, Any], truth: list[Record], seed_corpus: ModuleType
) -> None:
    """Commands to the last digit; durations, which are drawn, within 2 %."""
    published = seed_corpus.TABLES["figure1"]
    durations = [known["duration"] for known in truth]
    made = study["figure1"]
    assert made["sessions"] == len(truth) == 12_066
    # The diary prints median and mean of the commands the other way round.
    assert made["commands"]["median"] == published["commands"]["median"] == 20.0
    assert made["commands"]["mean"] == pytest.approx(published["commands"]["mean"], rel=TOLERANCE)
    counts = [known["command_events"] for known in truth]
    assert made["commands"]["mean"] == round(statistics.fmean(counts), 2)
    assert (made["commands"]["min"], made["commands"]["max"]) == (min(counts), max(counts))
    assert made["commands"]["range"] == max(counts) - min(counts)
    assert made["duration"]["min"] == min(durations)
    assert made["duration"]["max"] == max(durations)
    assert made["duration"]["median"] == round(statistics.median(durations), 3)
    assert made["duration"]["mean"] == round(statistics.fmean(durations), 3)
    # The median of so few draws is 3 % off; tests/study.py has all of them, and both within 2 %.
    mean = published["duration"]["mean"]
    assert made["duration"]["mean"] == pytest.approx(mean, rel=TOLERANCE)


def test_figures_4_and_6_of_the_study(
    study: dict[str, Any], truth: list[Record], seed_corpus: ModuleType
) -> None:
    """Every number of commands with its sessions, shares and durations."""
    durations: dict[int, list[float]] = collections.defaultdict(list)
    for known in truth:
        durations[known["command_events"]].append(known["duration"])
    rows = sorted(durations.items(), key=lambda item: (-len(item[1]), item[0]))
    running = 0
    wanted = []
    for commands, of in rows[:10]:
        running += len(of)
        share, total = 100 * len(of) / len(truth), 100 * running / len(truth)
        wanted.append((commands, len(of), round(share, 2), round(total, 2)))
    keys = ("commands", "sessions", "percent", "running")
    assert [tuple(row[key] for key in keys) for row in study["figure4"]] == wanted
    assert list(study["figure4"][0]) == list(keys)
    several = [(commands, of) for commands, of in rows if len(of) > 1]
    assert [row["commands"] for row in study["figure6"]] == [commands for commands, _ in several]
    for row, (commands, of) in zip(study["figure6"], several, strict=True):
        mean = statistics.fmean(of)
        assert row == {
            "commands": commands,
            "sessions": len(of),
            "min": pytest.approx(min(of), abs=0.0051),
            "max": pytest.approx(max(of), abs=0.0051),
            "range": pytest.approx(max(of) - min(of), abs=0.0051),
            "mean": pytest.approx(mean, abs=0.0051),
            "rate": pytest.approx(commands / mean, abs=0.0051),
        }
    # The scaled tables: each row of the published one has its share of the sessions.
    published = {row["commands"]: row["sessions"] for row in seed_corpus.TABLES["figure6"]}
    for row in study["figure6"]:
        whole = published.get(row["commands"])
        if whole is not None:
            assert row["sessions"] == pytest.approx(whole / 100, abs=1)


def test_figure_8_of_the_study(
    study: dict[str, Any], truth: list[Record], seed_corpus: ModuleType
) -> None:
    """Last commands, whole; those that differ in a key or an address are one row."""
    ran = [known for known in truth if known["last_command"]]
    exact = collections.Counter(known["last_command"] for known in ran)
    running = 0.0
    for row in study["figure8"]:
        running += 100 * row["sessions"] / len(ran)
        assert row["percent"] == round(100 * row["sessions"] / len(ran), 2)
        assert row["running"] == round(running, 2)
        if row["different"] == 1:
            assert row["sessions"] == exact[row["last"]]
    for published in seed_corpus.TABLES["figure8"][:6]:
        begin = published["last"].removesuffix("...")
        made = [row["sessions"] for row in study["figure8"] if row["last"].startswith(begin)]
        assert sum(made) == pytest.approx(published["sessions"] / 100, rel=TOLERANCE)


def test_figure_5_finds_one_script_where_exact_hashes_find_none(
    study: dict[str, Any], truth: list[Record]
) -> None:
    """The study's commonest session: every exact hash is different, and it is one script."""
    of = sum(known["attack"] == "mdrfckr-22/22" for known in truth)
    first = study["figure5"][0]
    assert first["sessions"] == of > 4000
    assert first["hashes"] == of
    assert first["varies"][0].startswith("<secret> in ")
    ends = {row["fingerprint"] for row in study["figure5"]}
    assert len(ends) == len(study["figure5"])


def test_payloads_built_chunk_by_chunk_are_one_script(
    study: dict[str, Any], truth: list[Record]
) -> None:
    """However many chunks a victim got."""
    built = [
        known["commands"]
        for known in truth
        if known["attack"] == "chunk-exit" and known["commands"] > 1
    ]
    row = next(row for row in study["chunks"] if row["last_template"] == "rm .s; exit")
    assert len(study["chunks"]) == 1  # repeats without pieces, such as kill's, are none
    assert row["builds"] == ["echo -ne '<bytes>' >> <name1>"]
    assert row["sessions"] == len(built)
    assert (row["commands_min"], row["commands_max"]) == (min(built), max(built))


def test_the_most_frequent_counts_are_in_the_histogram(study: dict[str, Any]) -> None:
    """All sessions are in some bar, and no bar overlaps another."""
    bars = study["figure2"]
    assert sum(bar["sessions"] for bar in bars) == study["figure1"]["sessions"]
    assert bars[0] == bars[0] | {"from": 0, "to": 0}
    assert all(low["to"] < high["from"] for low, high in itertools.pairwise(bars))
    assert bars[-1]["to"] >= study["figure1"]["commands"]["max"]


def test_command_lines_and_all_sessions_can_be_counted_instead(corpus: Path) -> None:
    """``--count inputs`` and ``--all-sessions``, and the report says which was used."""
    logs = sorted(corpus.glob("sensor*"))
    made = figures("--count", "inputs", "--all-sessions", *logs)
    known = [json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()]
    assert (made["count"], made["all_sessions"]) == ("commands", True)
    assert made["figure1"]["sessions"] == len(known)
    assert made["figure1"]["commands"]["mean"] == round(
        statistics.fmean(each["commands"] for each in known), 2
    )
    said = tool("report", "--count", "inputs", "--all-sessions", *logs)
    assert b"About all sessions; every command line" in said.out
    assert b"sessions that logged in; every cowrie.command.* event" in tool("report", *logs).out


def test_real_logs_as_an_independent_count_has_them(shared: Path) -> None:
    """Figures 1, 4 and 8 of ten years of public logs."""
    known = [record(each) for each in summarize(shared / "data/real")]
    inside = [each for each in known if each.get("logged_in")]
    made = figures(shared / "data/real", "--top", 1000)
    assert made["figure1"]["sessions"] == len(inside) > 1_500
    counts = collections.Counter(each["command_events"] for each in inside)
    assert {row["commands"]: row["sessions"] for row in made["figure4"]} == counts
    durations = [each["duration"] for each in inside if "duration" in each]
    assert made["figure1"]["duration"]["median"] == round(statistics.median(durations), 3)
    last = collections.Counter(
        each["last_command_template"]
        for each in inside
        if each["command_events"] and "last_command_template" in each
    )
    assert {row["template"]: row["sessions"] for row in made["figure8"]} == last
    scripts = collections.Counter(each["fingerprint"] for each in inside if "fingerprint" in each)
    assert {row["fingerprint"]: row["sessions"] for row in made["scripts"]} == scripts


# ---------------------------------------------------------------- beyond the study, by hand


def test_where_sessions_leave_their_script(tmp_path: Path) -> None:
    """Against what others do at the same place, and not against itself."""
    records = [
        *(summary(f"a{n:02}", "uname -a", "id", quiet_before_close=2.0) for n in range(30)),
        *(summary(f"b{n:02}", "uname -a", "id", "w") for n in range(10)),
        *(summary(f"c{n:02}", "uname -a", "nproc") for n in range(5)),
        *(summary(f"d{n:02}", "uname -a", "nproc", "w") for n in range(20)),
    ]
    made = figures(write_records(tmp_path / "s.jsonl", records))
    rows = {row["template"]: row for row in made["leaving"]}
    # At the second command 5 of the 25 sessions end that do not run `id` there, and 30 of the 40
    # that do not run `nproc`. At the third nothing but `w` is run. `id` comes first: it is where
    # sessions leave, where `w` is where they all end.
    assert list(rows) == ["id", "w", "nproc"]
    row = rows["id"]
    assert (row["seen"], row["ended"], row["share"]) == (40, 30, 75.0)
    assert row["expected"] == 40 * 5 / 25
    assert row["times"] == round(30 / 8, 2)
    assert row["quiet"] == 2.0
    assert row["scripts"] == 2
    assert (rows["nproc"]["expected"], rows["nproc"]["ended"]) == (25 * 30 / 40, 5)
    assert rows["w"]["times"] is None
    assert rows["w"]["share"] == 100.0


def test_a_script_longer_than_a_record_lists_is_left_at_its_own_end(tmp_path: Path) -> None:
    """The last template counts where it was, the 40th, not where the list was cut."""
    lines = [["uname -a", "id"][n % 2] for n in range(39)]
    records = [
        *(summary(f"a{n:02}", *lines, "w") for n in range(20)),
        *(summary(f"b{n:02}", *lines, "nproc") for n in range(20)),
    ]
    assert {len(each["templates"]) for each in records} == {32}
    rows = {
        row["template"]: row
        for row in figures(write_records(tmp_path / "s.jsonl", records))["leaving"]
    }
    assert list(rows) == ["nproc", "w"]
    assert (rows["w"]["seen"], rows["w"]["ended"], rows["w"]["expected"]) == (20, 20, 20.0)


def test_the_tree_of_whole_scripts(tmp_path: Path) -> None:
    """Widths are sessions; a node knows how many ended on it."""
    records = [
        *(summary(f"a{n}", "uname -a", "id") for n in range(6)),
        *(summary(f"b{n}", "uname -a") for n in range(2)),
        *(summary(f"c{n}", "w") for n in range(2)),
    ]
    made = figures(write_records(tmp_path / "s.jsonl", records))
    nodes = {node["template"]: node for node in made["tree"]}
    assert list(nodes) == ["", "uname -a", "id", "w"]
    assert [node["sessions"] for node in nodes.values()] == [10, 8, 6, 2]
    assert [node["ended"] for node in nodes.values()] == [0, 2, 6, 2]
    assert [node["left"] for node in nodes.values()] == [0, 0, 0, 0.8]
    assert [node["width"] for node in nodes.values()] == [1, 0.8, 0.6, 0.2]
    assert nodes["id"]["parent"] == nodes["uname -a"]["id"]


def test_how_sessions_end(tmp_path: Path) -> None:
    """In words for what was seen, no more."""
    records = [
        summary("a", "id", "exit"),
        summary("b", "id"),
        summary("c", "id", quiet_before_close=30.0),
        summary("d", "id", quiet_before_close=181.0),
        summary("e"),
        summary("f", logged_in=False),
        summary("g", "id", partial="evicted"),
        summary("h", "id", quiet_before_close=None),
        summary("i", "rm .s; exit 0"),
        summary("j", forwards=3),
        summary("k", uploads=1),
        summary("l", "id", logged_in=False),
        summary("m", "id", partial="joined_late"),
        summary("n", "id", partial="open"),
        summary("o", "echo exit"),
    ]
    made = figures("--all-sessions", write_records(tmp_path / "s.jsonl", records))
    assert {row["ending"]: (row["example"], row["sessions"]) for row in made["endings"]} == {
        "exit or logout": ("a", 2),
        "closed within a second of the last command": ("b", 2),
        "closed later, before a timeout": ("c", 1),
        "after a long silence, as at a timeout": ("d", 1),
        "logged in, no command line": ("e", 1),
        "never logged in": ("f", 1),
        "not seen: too many sessions were open (evicted)": ("g", 1),
        "time of the last command unknown": ("h", 1),
        "no command line: connections through it": ("j", 1),
        "no command line: files sent": ("k", 1),
        "no login seen, yet commands": ("l", 1),
        "seen, but not the beginning (joined_late)": ("m", 1),
        "not seen: still open at the end of the log": ("n", 1),
    }


def test_new_scripts_of_the_period(tmp_path: Path) -> None:
    """First seen within so many days before the last session."""
    records = [
        summary("a", "id"),
        summary("b", "uname -a", at=20 * DAY),
        summary("c", "id", at=30 * DAY),
        summary("d", "w", at=29 * DAY),
    ]
    path = write_records(tmp_path / "s.jsonl", records)
    assert [row["last_template"] for row in figures(path)["new_scripts"]] == ["w"]
    made = figures("--new-days", 15, path)["new_scripts"]
    assert [row["last_template"] for row in made] == ["uname -a", "w"]
    assert made[0]["first_seen"] == records[1]["start"]


def test_what_is_worth_a_look_and_why(tmp_path: Path) -> None:
    """Each reason by itself, and their points added."""
    usual = [summary(f"u{n}", "uname -a", "id") for n in range(10)]
    many = [summary(f"m{n}", *["uname -a"] * 5) for n in range(10)]
    paced: Record = {
        "gap_median": 2.0,
        "gap_cv": 0.8,
        "terminal": "80x24",
        "command_rate_active": 1.0,
    }
    burst: Record = {"gap_median": 0.1, "gap_cv": 1.379, "command_rate_active": 4 / 12.2}
    file = "ab" * 32
    records = [
        *usual,
        *many,
        summary("rare", "w", "id"),
        summary("count", *["uname -a"] * 7),
        summary("pause", *["uname -a"] * 5, gap_median=6.0, gap_cv=0.1, command_rate_active=0.2),
        summary("typed", *["uname -a"] * 5, **paced),
        summary("sent", "uname -a", "id", uploads=1, files=[file]),
        summary("again", "uname -a", "id", at=5.0, downloads=1, files=[file]),
        # The same name at another sensor, which had the file after the first.
        summary("sent", "uname -a", "id", at=5.0, sensor="b", uploads=1, files=[file]),
        # Not logged in, and so not in the report; the file that it brought is not new for others.
        summary("old", logged_in=False, at=-99.0, downloads=1, files=["cd" * 32]),
        summary("late", "uname -a", "id", downloads=1, files=["cd" * 32]),
        # Two gaps of 0.1 s and one of 12 s: 5.6 s is their standard deviation.
        summary("burst", *["uname -a"] * 4, **burst),
        *(summary(f"f{n}", *["uname -a"] * 4) for n in range(9)),
    ]
    made = figures(write_records(tmp_path / "s.jsonl", records))["worth_a_look"]
    known = {(row["session"], row["sensor"]): (row["reasons"], row["score"]) for row in made}
    assert known.pop(("sent", "b")) == (["uploads"], 20)
    assert {session: why for (session, _), why in known.items()} == {
        "burst": (["long_pauses"], 15),
        "sent": (["uploads", "new_files"], 45),
        "rare": (["rare_script"], 30),
        "typed": (["as_if_typed"], 30),
        "pause": (["long_pauses"], 15),
        "count": (["unusual_count"], 10),
    }


def test_the_same_bytes_whatever_the_number_of_jobs(tmp_path: Path, shared: Path) -> None:
    """Ties, sums and sources in any order."""
    records = [
        summary(
            f"{n % 7}", "id", sensor=f"s{n % 5}", at=float(n % 3), duration=n / 7, protocol=kind
        )
        for n, kind in enumerate(["ssh", "telnet", None] * 100)
    ]
    path = write_records(tmp_path / "s.jsonl", records)
    for sources in ([path], [shared / "data/real", path]):
        said = {
            tool("report", "--json", "--top", 5, "--jobs", jobs, *sources).out for jobs in (1, 2, 3)
        }
        assert len(said) == 1


def test_clients_by_script_sensors_and_time(tmp_path: Path) -> None:
    """Who ran what, where and when."""
    go: Record = {"hassh": "aa", "client_version": "SSH-2.0-Go"}
    records = [
        *(summary(f"a{n}", "id", at=n * DAY, **go) for n in range(3)),
        summary("b0", "id", at=1.0, hassh="bb", client_version="SSH-2.0-libssh"),
        summary("c0", "w", at=9 * DAY, sensor="other"),
    ]
    made = figures(write_records(tmp_path / "s.jsonl", records))
    first = made["clients"][0]
    assert (first["hassh"], first["sessions"], first["of_script"]) == ("aa", 3, 75.0)
    assert {row["sensor"]: row["sessions"] for row in made["sensors"]} == {"svr04": 4, "other": 1}
    days = {row["time"]: (row["sessions"], row["scripts"]) for row in made["over_time"]}
    assert days["2026-03-18"] == (2, 1)
    assert days["2026-03-27"] == (1, 1)
    script = made["scripts"][0]
    assert (script["sessions"], script["sensors"]) == (4, 1)
    assert (script["first_seen"], script["last_seen"]) == (records[0]["start"], records[2]["start"])


def test_the_highest_command_rates_come_first(tmp_path: Path) -> None:
    """Commands over duration, for sessions that took any time."""
    records = [
        summary("slow", "id", "w", duration=10.0),
        summary("fast", "id", "w", duration=0.5),
        summary("none", "id", "w", duration=0.0),
        summary("one", "id", duration=0.001),
    ]
    made = figures(write_records(tmp_path / "s.jsonl", records))["figure7"]
    assert [(row["session"], row["rate"]) for row in made] == [("fast", 4.0), ("slow", 0.2)]
