"""The alerts as saved searches of Splunk."""

from __future__ import annotations

from typing import Final

from boards.alerts import (
    EVERY_MINUTES,
    KNOWN_DAYS,
    LATE_HOURS,
    QUIET,
    QUIET_HOURS,
    Alert,
    Quiet,
    alerts,
)

SOURCETYPE: Final = "cowrie:sessionstats"
_WHERE: Final = f'index=* sourcetype="{SOURCETYPE}"'
"""Any index: the one that a token has is the operator's, and a search of a wrong one is silent."""

_SHOWN: Final = "_time host session src_ip username automation downloads uploads last_command"
_SEVERITY: Final = {"high": 4, "medium": 3}


def saved_searches() -> str:
    """Return ``savedsearches.conf``."""
    stanzas = [_stanza(alert) for alert in alerts()]
    return "# Made by tests/make_boards.py.\n" + "\n".join([*stanzas, _quiet_stanza()])


def _stanza(alert: Alert) -> str:
    search = f"{_WHERE} {alert.splunk} | dedup id | table id {_SHOWN} fingerprint"
    return _lines(alert, search, f"-{LATE_HOURS}h", "id", f"{2 * LATE_HOURS}h")


def _quiet_stanza() -> str:
    search = (
        f"| tstats latest(_time) AS last_record WHERE {_WHERE} BY host "
        f'| where last_record < relative_time(now(), "-{QUIET_HOURS}h") '
        '| eval last_record=strftime(last_record, "%Y-%m-%dT%H:%M:%S%z")'
    )
    return _lines(QUIET, search, f"-{KNOWN_DAYS}d", "host", f"{QUIET_HOURS}h")


def _lines(alert: Alert | Quiet, search: str, since: str, once_by: str, once_in: str) -> str:
    said = {
        "description": alert.description,
        "search": search,
        "dispatch.earliest_time": since,
        "dispatch.latest_time": "now",
        "enableSched": 1,
        "cron_schedule": f"*/{EVERY_MINUTES} * * * *",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": 0,
        "alert.digest_mode": 0,
        "alert.severity": _SEVERITY[alert.level],
        "alert.track": 1,
        "alert.suppress": 1,
        "alert.suppress.fields": once_by,
        "alert.suppress.period": once_in,
    }
    lines = [f"[{alert.title}]", *(f"{name} = {value}" for name, value in said.items())]
    return "\n".join(lines) + "\n"
