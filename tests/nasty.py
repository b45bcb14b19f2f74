"""Texts that do harm where they are taken for more than text."""

from __future__ import annotations

from typing import Final

NASTY: Final = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    '"><svg onload=window.hacked=4>',
    "' onmouseover='window.hacked=5",
    "javascript:window.hacked=6",
    "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    "<!--", "-->", "]]>", "&lt;b&gt;", "<b>bold</b>",
    "<style>*{display:none}</style>",
    "<iframe src='https://example.net/'></iframe>",
    "<base href='https://example.net/'>",
    "<link rel=stylesheet href=https://example.net/x.css>",
    "__proto__", "constructor", "toString",
    "\u2028\u2029", "\u202egnp.exe", "\ufeff", "\x00nul",
    "\x1b[2J\x1b]0;title\x07\x1b[31mred", "\x9b31m", "\x08\x08\x08", "\r\ninjected: yes",
    "[red]markup[/red]", "[link=https://example.net]x[/link]",
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1",
    "'; DROP TABLE sessions; --", "%s%n%x", "\\u003cscript\\u003e",
    "x" * 5000,
)  # fmt: skip
"""Each has been a hole in some report, terminal or spreadsheet."""
