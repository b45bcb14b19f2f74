"""One line for many that have the same template, found without reading them as shell text.

The commonest lines that are new in every session differ only in a password, a payload, an address,
an applet's name or a process id, where no rule looks at more than that it is one. With one of its
kind in its place, the line's plan has been made before; or one that differs in the name of a script
alone. What a template is, the rules say: a test holds the plans of both lines against each other.
"""

from __future__ import annotations

import re
from typing import Final

# The password stands in the one quoted argument of echo, and passwd or chpasswd reads it: no rule
# looks into it, but for the user before the colon, and what shells and placeholders are made of.
_PASSWORD: Final = re.compile(
    r"""(echo\ (?:-[neE]{1,3}\ )?")([a-z_][a-z0-9_-]{0,30}:)?[A-Za-z0-9!@\#^&*()_+=.,?~/-]+
        ((?:\\n[A-Za-z0-9!@\#^&*()_+=.,?~/-]*)*)("[ ]?\|[ ]?(ch)?passwd(?=[ |;&]|\Z))""",
    re.VERBOSE,
)
# A public key in a quoted argument of echo: no rule looks at more than its alphabet.
_KEY: Final = re.compile(
    r"(?<=echo [\"'])(ssh-rsa|ssh-ed25519|ssh-dss) AAAA[A-Za-z0-9+/]{8,}={0,2}(?![A-Za-z0-9+/=])"
)
# What echo has base64 decode: no rule looks at more than that it is one word.
_DECODED: Final = re.compile(
    r"echo [A-Za-z0-9][A-Za-z0-9+/]{15,}={0,2}(?= ?\| ?base64 (?:-d|--decode)(?=[ |;&]|\Z))"
)
_BYTES: Final = re.compile(r"""(['"])(?:\\x[0-9A-Fa-f]{2}){3,}\1""")
_APPLET: Final = re.compile(
    r"(?:(?<=\A)|(?<=[;&|(])|(?<=[;&|(] ))(?:/bin/)?busybox [A-Z]{4,}(?= ?(?:[;&|)]|\Z))"
)
_PROCESS: Final = re.compile(r"((?:/bin/busybox )?kill (?:-9 )?)[0-9]+")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ./;&|()_=-]+")
# What fetches something from an address: no rule looks at which one it is, nor into what a URL has
# between it and its last part.
_FETCHING: Final = re.compile(
    r"(?:[A-Za-z0-9 ./;&|:_-]* )?(?:wget|curl|tftp) [A-Za-z0-9 ./;&|:_-]+"
)
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IP4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_PART: Final = "/[A-Za-z0-9._-]+"
_ADDRESS: Final = re.compile(
    rf"(?<= ){_IP4}(?= )|(?<= http://){_IP4}(?:{_PART})*(?={_PART}(?:[ ;&|]|\Z))"
)
_SCRIPT: Final = re.compile(r"(?<=[ /])[a-z]{5,16}\.sh(?=[ ;&|]|\Z)")
SCRIPT: Final = "aaaaaa.sh"
"""What stands for the name of a script, which nobody would choose either."""


# Functions, not templates: Python 3.11 loses some bytes each time a template is made.
def _other_bytes(match: re.Match[str]) -> str:
    return rf"{match[1]}\x00\x00\x00{match[1]}"


def _other_key(match: re.Match[str]) -> str:
    return f"{match[1]} AAAAAAAAAAAA"


def _other_applet(match: re.Match[str]) -> str:
    return f"{match[0].partition(' ')[0]} AAAAA"


def canonical(line: str) -> str:  # noqa: C901, PLR0911  one return for each kind
    """Return a line with the same plan; nearly always the line itself."""
    if line.startswith("echo "):
        match = _PASSWORD.match(line)
        if match is not None:
            before, user, more, behind, logs_in = match.groups()
            if not logs_in:
                return f"{before}x{behind}{line[match.end() :]}"
            if not more and user:
                return f"{before}{user}x{behind}{line[match.end() :]}"
            return line
        if "base64" in line:
            match = _DECODED.match(line)
            if match is not None:
                return f"echo AAAAAAAAAAAAAAAA{line[match.end() :]}"
    if "ssh-" in line and "<" not in line:
        return _KEY.sub(_other_key, line)
    if "\\x" in line:
        return line if "<" in line else _BYTES.sub(_other_bytes, line)
    if "busybox " in line or line.startswith("kill "):
        match = _PROCESS.fullmatch(line)
        if match is not None:
            return f"{match[1]}2"
        if _PLAIN.fullmatch(line) is not None:
            return _APPLET.sub(_other_applet, line)
    if _FETCHING.fullmatch(line) is not None:
        return _ADDRESS.sub("1.1.1.1", line)
    return line


def script_of(line: str) -> str | None:
    """Return the name of the one script that a line fetches and runs, if it has such a form.

    With ``SCRIPT`` instead of it the line's plan is the same but for that name, if the vocabulary
    has neither.
    """
    if ".sh" not in line or SCRIPT in line or _FETCHING.fullmatch(line) is None:
        return None
    names = _SCRIPT.findall(line)
    if not names or line.count(names[0][:-3]) != len(names) or len(set(names)) > 1:
        return None
    return str(names[0])
