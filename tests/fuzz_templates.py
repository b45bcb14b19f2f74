"""Look for a line whose template is no fixed point, or that white space changes: by hand, for long.

    python tests/fuzz_templates.py [LINES] [SEED]

Lines are put together from what shell text and our rules are made of, and from the vectors'
commands with something put in or taken out. Prints each counterexample and how many lines it
tried; ends with 1 if there was one.
"""

from __future__ import annotations

import json
import random
import sys
from importlib.resources import files

from test_templates import FRAGMENTS, escaped, template

from cowrie_sessionstats import commands


def lines(draw: random.Random) -> list[str]:
    """Return the command lines of the vectors."""
    vectors = json.loads(files(commands).joinpath("vectors.json").read_text("utf-8"))["vectors"]
    known = [line for vector in vectors for line in vector["commands"] if len(line) < 300]
    draw.shuffle(known)
    return known


def line(draw: random.Random, known: list[str]) -> str:
    """Return a line that nobody has thought of."""
    if draw.random() < 0.5:
        return "".join(draw.choices(FRAGMENTS, k=draw.randint(1, 12)))
    text = draw.choice(known)
    for _ in range(draw.randint(0, 4)):
        at = draw.randint(0, len(text))
        if draw.random() < 0.5:
            text = text[:at] + draw.choice(FRAGMENTS) + text[at:]
        else:
            text = text[:at] + text[at + draw.randint(1, 3) :]
    return text


def wrong(text: str) -> str | None:
    """Return what is wrong with the template of a line."""
    once = template(text)
    twice = template(once)
    if twice != escaped(once):
        return f"template of the template: {once!r} {twice!r}"
    if template(twice) != twice:
        return f"third template: {twice!r} {template(twice)!r}"
    if not text.endswith("\\") and template(f" \t{text}\t ") != once:
        return f"white space around: {once!r} {template(f' {text} ')!r}"
    return None


def main(count: int = 1_000_000, seed: int = 1) -> int:
    """Try ``count`` lines; return the exit status."""
    draw = random.Random(seed)
    known = lines(draw)
    found = 0
    for number in range(1, count + 1):
        text = line(draw, known)
        trouble = wrong(text)
        if trouble is not None:
            found += 1
            print(f"{text!r}: {trouble}")
        if number % 10_000 == 0 and sys.stderr.isatty():
            print(f"\r{number:,} lines, {found} wrong", end="", file=sys.stderr)
    print(f"{count:,} lines, seed {seed}: {found} counterexamples")
    return found > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
