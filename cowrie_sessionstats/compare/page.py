"""Answers side by side, as a page: no script, and nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import IO, Any, Final

import jinja2
from markupsafe import Markup

from cowrie_sessionstats import __version__
from cowrie_sessionstats.compare.answers import ending
from cowrie_sessionstats.compare.comparing import VERDICTS, Part, Row, paired, shown_lines
from cowrie_sessionstats.summary import printable

LINE: Final = 2_000
"""Characters of a line on the page."""


def write(rows: Sequence[Row], honeypot: str, reference: str, out: IO[bytes]) -> None:
    """Write the page; what the machines answered is text in it."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = _source("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    counts = Counter(row.verdict for row in rows)
    page = environment.get_template("page.html.jinja").render(
        version=__version__,
        honeypot=printable(honeypot, LINE),
        reference=printable(reference, LINE),
        counts=[(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]],
        rows=[_row(row) for row in rows],
        style=Markup(style),  # noqa: S704 - the package's own
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
    )
    out.write(page.encode("utf-8", "backslashreplace"))


def _row(row: Row) -> dict[str, Any]:
    ours = [] if row.honeypot is None else shown_lines(row.honeypot, LINE)
    theirs = [] if row.reference is None else shown_lines(row.reference, LINE)
    return {
        "command": printable(row.command, LINE),
        "check": row.check,
        "sessions": f"{row.sessions:,}" if row.sessions else "",
        "verdict": row.verdict,
        "open": row.verdict in {"missing", "differs"},
        "lines": [
            (_shown(pair.ours), _shown(pair.theirs), pair.verdict) for pair in paired(ours, theirs)
        ],
        "ends": [ending(answer) for answer in (row.honeypot, row.reference)],
    }


def _shown(parts: Sequence[Part] | None) -> list[tuple[str, bool]]:
    return [(printable(part.text, len(part.text)), part.differs) for part in parts or ()]


def _source(name: str) -> str:
    return files("cowrie_sessionstats.compare").joinpath(name).read_text("utf-8")
