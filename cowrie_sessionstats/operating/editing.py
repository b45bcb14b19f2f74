"""Options set in the text of a cowrie.cfg, of which everything else stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError

_COMMENTS = ("#", ";")  # ConfigParser's, as Cowrie makes it


class EditError(Exception):
    """The text cannot be changed; its own text says why."""


def with_options(text: str, section: str, options: Mapping[str, str]) -> str:
    """Return ``text`` with options set in a section, which is added at the end if it is not there.

    Comments, order and line ends stay. EditError if the parser then would not read just that.
    """
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")  # nothing else ends a line for a file that is read as text
    place = _header(lines, section)
    if place is None:
        edited = _appended(text, line_end, [f"[{section}]", *_written(options)])
    else:
        for name, value in reversed(list(options.items())):
            _set(lines, place, name, value, line_end.removesuffix("\n"))
        edited = "\n".join(lines)
    _verify(text, edited, section, options)
    return edited


def with_sections(text: str, sections: Sequence[str]) -> str:
    """Return ``text`` with whole sections behind it, as ``section_of`` returns them."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    for section in sections:
        text = _appended(text, line_end, section.splitlines())
    return text


def sections_in(text: str) -> list[str]:
    """Return the names of all sections, in their order."""
    return [name for line in text.split("\n") if (name := _name(line)) is not None]


def section_of(text: str, section: str) -> str | None:
    """Return a section as it is written, without blank lines and comments at its end."""
    lines = text.replace("\r\n", "\n").split("\n")
    start = _header(lines, section)
    if start is None:
        return None
    end = next((at for at in range(start + 1, len(lines)) if _name(lines[at])), len(lines))
    while end > start and _is_empty(lines[end - 1]):
        end -= 1
    return "\n".join(lines[start:end])


def _written(options: Mapping[str, str]) -> list[str]:
    return [f"{name} = {value}" for name, value in options.items()]


def _appended(text: str, line_end: str, lines: Sequence[str]) -> str:
    if text and not text.endswith("\n"):
        text += line_end
    gap = line_end if text and not text.endswith((2 * line_end, "\n\n")) else ""
    return text + gap + "".join(f"{line}{line_end}" for line in lines)


def _name(line: str) -> str | None:
    """Return which section begins with a line, by the parser's own pattern."""
    found = ConfigParser.SECTCRE.match(line.strip())
    return None if found is None else found["header"]


def _header(lines: Sequence[str], section: str) -> int | None:
    return next((at for at, line in enumerate(lines) if _name(line) == section), None)


def _is_empty(line: str) -> bool:
    return not line.strip() or line.strip().startswith(_COMMENTS)


def _set(lines: list[str], header: int, name: str, value: str, carriage: str) -> None:
    """Set one option of the section that begins in the line ``header``."""
    for at in range(header + 1, len(lines)):
        if _name(lines[at]):
            break
        found = ConfigParser.OPTCRE.match(lines[at].strip())
        if _is_empty(lines[at]) or found is None or found["option"].strip().lower() != name:
            continue
        delimiter = lines[at].index(found["vi"])
        before = lines[at][: delimiter + 1]
        more = _continued(lines, at)
        lines[at : at + 1 + more] = [f"{before} {value}{carriage}"]
        return
    lines.insert(header + 1, f"{name} = {value}{carriage}")


def _continued(lines: Sequence[str], at: int) -> int:
    """Return over how many further lines an option's value goes on: those that stand deeper."""
    depth, count = _depth(lines[at]), 0
    for number, line in enumerate(lines[at + 1 :], 1):
        if _is_empty(line):
            continue
        if _depth(line) <= depth:
            break
        count = number
    return count


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _verify(before: str, after: str, section: str, options: Mapping[str, str]) -> None:
    """Refuse an edit after which the parser finds anything else than what was wanted."""
    wanted = dict(_parsed(before))
    wanted.setdefault(section, {}).update(options)
    if dict(_parsed(after)) != wanted:
        raise EditError("its form is one that cannot be changed safely")


def _parsed(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    # No section can have the empty name, so that [DEFAULT] is one like the others.
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text.replace("\r\n", "\n").replace("\r", "\n"))
    except ConfigError as error:
        raise EditError(f"it cannot be read ({type(error).__name__})") from None
    return ((name, dict(parser.items(name))) for name in parser.sections())
