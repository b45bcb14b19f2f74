"""What in a text varies from victim to victim: addresses, keys, payloads, random words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from ipaddress import AddressValueError, IPv6Address
from typing import Final, TypeAlias

from attrs import define, field

from cowrie_sessionstats.commands._items import PLACEHOLDER, WHITE
from cowrie_sessionstats.commands._lexer import CRYPT
from cowrie_sessionstats.commands.vocabulary import Vocabulary

RANDOM_LENGTH: Final = 5
"""Characters from which a word can be called random: shorter ones say too little."""
BYTES: Final = 3
"""Escaped bytes in a row from which they are a payload wherever they stand; one in the arguments
of a program that writes them is. Fewer are a line end or a NUL that sed(1) or tr(1) looks for."""
NUMBER_DIGITS: Final = 5
"""Digits from which a number is masked: modes, small counts and years stay."""
SHORT_RUN: Final = 3
"""Characters up to which a run speaks for chance: words that are put together have longer ones."""
BASE64_LENGTH: Final = 20
BASE64_SURE: Final = 40
"""Characters from which a word of base64's alphabet is base64 whatever it looks like."""
HEX_LENGTH: Final = 8
NAME_LIMIT: Final = 255
"""Characters of a name that can be bound: Linux's NAME_MAX."""
CACHED_LENGTH: Final = 64
CACHED_TEXTS: Final = 2048
"""Texts up to CACHED_LENGTH characters whose parts are kept: about 1 MB, and most words recur."""

Note: TypeAlias = "Callable[[str, str, str], None]"
"""Told what was replaced, with what, and by which rule."""


@define(unsafe_hash=True)
class Name:
    """A place where a name stands that the session may have made: ``$x`` for a variable.

    Kept from line to line, so never changed.
    """

    name: str
    fallback: str
    """What stands there if it has not."""
    made: bool = False
    """Whether it is made here: then it has a number from now on."""


Piece: TypeAlias = "str | Name"

_ESCAPE: Final = r"\\{1,2}(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,4}|u[0-9A-Fa-f]{4})"
_STRICT: Final = r"\\{1,2}(?:x[0-9A-Fa-f]{1,2}|0[0-7]{0,3}|[1-3][0-7]{2}|u[0-9A-Fa-f]{4})"
_BYTES: Final = rf"(?:{_ESCAPE}){{3,256}}"
_OCTET: Final = r"(?:0[xX][0-9A-Fa-f]{1,2}|[0-9]{1,4})"
_IP4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"

# What can begin a value or a name; anything else is passed over in one go.
_VALUES: Final = rf"""
    (?P<other>[^\w \t\r\n\x0b\x0c\\/\[:.<~+$-]+)
    | (?P<space>[ \t\r\n\x0b\x0c]+)
    | (?P<bytes>{_BYTES})
    | (?P<hash>{CRYPT})
    | (?P<escape>\\(?:[ \t\r\n\x0b\x0c]+|.)?)
    | (?P<url>(?!file:)[A-Za-z][A-Za-z0-9+.-]{{1,20}}://
        (?:\[[0-9A-Fa-f:.]{{2,45}}\])?[^\s'"`<>\\|;()\[\]{{}}]*)
    | (?P<crypted>(?:\w{{1,16}}\.)?crypt\([ ]*["'][^"'()]{{1,64}}["'])
    | (?P<uuid>[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}(?![0-9A-Za-z]))
    | (?P<mac>[0-9A-Fa-f]{{2}}(?::[0-9A-Fa-f]{{2}}){{5}}(?![0-9A-Za-z:]))
    | (?P<ip6>\[?(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:{_IP4}|[0-9A-Fa-f]{{0,4}})(?![0-9A-Za-z:.])
        (?:\](?::[0-9]{{1,5}}(?![0-9A-Za-z]))?)?)
    | (?P<ip>{_IP4}(?![0-9A-Za-z_]|\.[0-9])(?::[0-9]{{1,5}}(?![0-9A-Za-z:]))?)
    | (?P<socket>/dev/(?P<kind>tcp|udp)/(?P<peer>[^\s/'"]+)(?P<port>/[0-9]+)?)
    | (?P<process>/proc/(?!1(?![0-9]))[0-9]+)
    | (?P<keytype>(?:@KEY_TYPES@)[ \t\r\n\x0b\x0c]+[A-Za-z0-9+/=]{{8,}})
    | (?P<key>(?:@KEY_PREFIXES@)[A-Za-z0-9+/=]*)
    | (?P<service>(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}:[0-9]{{2,5}}(?![0-9A-Za-z]))
    | (?P<hex>0[xX][0-9A-Fa-f]{{4,}}(?![\w.-]))
    | (?P<base64>[A-Za-z0-9+/]{{{BASE64_LENGTH},}}={{0,2}}(?![\w.-])
        |(?:[A-Za-z0-9+/]{{4}})*[A-Za-z0-9+/]{{2}}==(?![\w=]))
    | (?P<path>(?:~|\.\.?)?(?:/[\w.+@-]+){{1,32}})
    | (?P<name>[\w.+-]+)
    | (?P<one>.)
"""
_RUN: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_INSIDE: Final = re.compile(rf"(?P<ip>(?<![0-9.]){_IP4}(?![0-9]|\.[0-9]))|(?P<word>[A-Za-z0-9]+)")
_MONERO: Final = re.compile(r"[48][0-9A-Za-z]{94}(?:[0-9A-Za-z]{11})?")
_BITCOIN: Final = re.compile(r"[13][1-9A-HJ-NP-Za-km-z]{25,34}")
_BECH32: Final = re.compile(r"bc1[02-9ac-hj-np-z]{11,71}")
_ETHEREUM_DIGITS: Final = 40
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_HEX: Final = re.compile(r"(?=.*[A-Fa-f])(?=(?:.*[0-9]){2})(?:[0-9a-f]{8,}|[0-9A-F]{8,})")
_RARE_NEEDED: Final = 2


@define(eq=False)
class Values:
    """Finds the values in texts, with one vocabulary."""

    vocabulary: Vocabulary
    note: Note | None = None
    """Told of each replacement; then nothing is kept for the next time."""
    _pattern: re.Pattern[str] = field(init=False)
    _kept: Callable[[str], Sequence[Piece]] = field(init=False)
    is_random: Callable[[str], bool] = field(init=False)

    def __attrs_post_init__(self) -> None:
        types = "|".join(map(re.escape, sorted(self.vocabulary.key_types)))
        prefixes = "|".join(map(re.escape, sorted(self.vocabulary.key_prefixes)))
        text = _VALUES.replace("@KEY_TYPES@", types or "(?!)")
        self._pattern = re.compile(
            text.replace("@KEY_PREFIXES@", prefixes or "(?!)"), re.VERBOSE | re.DOTALL
        )
        self._kept = lru_cache(CACHED_TEXTS)(self._scan)
        self.is_random = lru_cache(CACHED_TEXTS)(self._is_random)

    def pieces(self, text: str, limit: int) -> Sequence[Piece]:
        """Return ``text`` with its values masked, and the places where a name may stand.

        Time is proportional to the length of the text; what is over ``limit`` words is cut.
        """
        if self.note is None and len(text) <= CACHED_LENGTH:
            return self._kept(text)
        return self._scan(text, limit)

    def mask(self, kind: str, original: str, rule: str) -> str:
        """Return the placeholder, and tell of it."""
        placeholder = f"<{kind}>"
        if self.note is not None:
            self.note(original, placeholder, rule)
        return placeholder

    def _scan(  # noqa: C901, PLR0912  one branch a kind
        self, text: str, limit: int = CACHED_LENGTH + 1
    ) -> Sequence[Piece]:
        if "<" in text and _FORGED.search(text) is not None:
            return self._forged(text, limit)
        if "\\" in text and is_bytes(text, BYTES):
            return (self.mask("bytes", text, "a text that is escaped bytes for half or more"),)
        pieces: list[Piece] = []
        address = 0
        for match in self._pattern.finditer(text):
            if len(pieces) >= limit:
                pieces.append(self.mask("cut", text[match.start() :], "more than can be read"))
                break
            kind = match.lastgroup
            if kind in ("other", "one"):
                pieces.append(match[0])
            elif kind == "name":
                if address and _follows(pieces, address) and _PORT.fullmatch(match[0]):
                    pieces.append(self.mask("port", match[0], "a number behind an address"))
                else:
                    self._name(match[0], pieces)
                address = 0
            elif kind == "space":
                pieces.append(" ")
            elif kind == "path":
                if address and address == len(pieces) and _PORT.fullmatch(match[0][1:]):
                    pieces += ["/", self.mask("port", match[0][1:], "a number behind an address")]
                else:
                    self._path(match[0], pieces)
            else:
                self._value(kind, match, pieces, limit)
                address = len(pieces) if pieces[-1] == "<ip>" else 0
        return pieces

    def _forged(self, text: str, limit: int) -> Sequence[Piece]:
        """Leave words alone that have text in them which looks like a placeholder."""
        pieces: list[Piece] = []
        for word in _SPACES.split(text):
            if len(pieces) >= limit:
                pieces.append(self.mask("cut", word, "more than can be read"))
                break
            if "<" in word and _FORGED.search(word) is not None:
                pieces.append(escaped(word))
            elif word:
                pieces += self._scan(word, limit)
            pieces.append(" ")
        pieces.pop()
        return pieces

    def _value(  # noqa: C901, PLR0912, PLR0915  one branch a kind
        self, kind: str | None, match: re.Match[str], pieces: list[Piece], limit: int
    ) -> None:
        text = match[0]
        if kind == "escape":
            pieces.append("\\ " if text[1:2] in _BLANKS else text)
        elif kind == "bytes":
            if not pieces or pieces[-1] != "<bytes>":
                pieces.append(self.mask("bytes", text, "escaped bytes"))
        elif kind == "hash":
            pieces.append(self.mask("hash", text, "a crypt(3) hash"))
        elif kind == "url":
            if text.endswith("://"):  # its host is a variable
                pieces.append(text)
            else:
                pieces.append(self.mask("url", text, "a URL"))
        elif kind == "crypted":
            head, _, secret = text.partition("(")
            pieces += [head, "(", self.mask("secret", secret.strip(" \"'"), "what is crypted")]
        elif kind in ("uuid", "mac"):
            pieces.append(self.mask(kind, text, f"a {kind.upper()}"))
        elif kind == "ip6":
            before = match.string[match.start() - 1 : match.start()]
            if text == "::" and (before.isalnum() or before == "_"):  # as in IO::Socket
                pieces.append(text)
            else:
                self._ip6(text, pieces, limit)
        elif kind == "ip":
            address, colon, port = text.partition(":")
            if is_ip4(address):
                pieces.append(self.mask("ip", address, "an IPv4 address"))
                if colon:
                    pieces += [":", self.mask("port", port, "an address with its port")]
            else:
                pieces.append(text)
        elif kind == "service":
            host, port = text.split(":")
            pieces += [
                self.mask("host", host, "a host with its port"),
                ":",
                self.mask("port", port, "a host with its port"),
            ]
        elif kind == "socket":
            self._socket(match, pieces)
        elif kind == "process":
            pieces += ["/proc/", self.mask("pid", text[6:], "a process under /proc")]
        elif kind == "keytype":
            key_type, key = text.split(maxsplit=1)
            pieces += [key_type, " ", self.mask("key", key, "what follows a type of key")]
        elif kind == "key":
            pieces.append(self.mask("key", text, "it begins as a public key does"))
        elif kind == "base64":
            self._base64(text, pieces, limit)
        elif kind == "hex":
            if len(text) == _ETHEREUM_DIGITS + 2:
                pieces.append(self.mask("wallet", text, "an address of Ethereum"))
            else:
                pieces.append(self.mask("hex", text, "a long hexadecimal number"))

    def _ip6(self, text: str, pieces: list[Piece], limit: int) -> None:
        opening = text.startswith("[")
        address, closing, rest = text[opening:].partition("]")
        if not is_ip6(address):
            self._parts_of(text, pieces, limit)
            return
        pieces.append("[" * opening + self.mask("ip", address, "an IPv6 address") + closing)
        if rest:
            pieces += [":", self.mask("port", rest[1:], "an address with its port")]

    def _socket(self, match: re.Match[str], pieces: list[Piece]) -> None:
        peer, port = match["peer"], match["port"]
        rule = "bash's file for a connection"
        kind = "ip" if is_ip4(peer) or is_ip6(peer) else "host"
        pieces += [f"/dev/{match['kind']}/", self.mask(kind, peer, rule)]
        if port:
            pieces += ["/", self.mask("port", port[1:], rule)]

    def _base64(self, text: str, pieces: list[Piece], limit: int) -> None:
        if _MONERO.fullmatch(text) or _BECH32.fullmatch(text) or _is_bitcoin(text):
            pieces.append(self.mask("wallet", text, "an address of a cryptocurrency"))
        elif _HEX.fullmatch(text):
            pieces.append(self.mask("hex", text, "hexadecimal digits"))
        elif text.isdecimal():
            pieces.append(self.mask("number", text, f"{NUMBER_DIGITS} digits or more"))
        elif self.is_base64(text):
            pieces.append(self.mask("base64", text, "base64 of 20 characters or more"))
        else:
            self._parts_of(text, pieces, limit)

    def _parts_of(self, text: str, pieces: list[Piece], limit: int) -> None:
        """Take a text that was no value after all as the names and paths that it holds."""
        end = 0
        for match in _NAMES.finditer(text):
            if len(pieces) >= limit:
                pieces.append(self.mask("cut", text[end:], "more than can be read"))
                return
            if match.start() > end:
                pieces.append(text[end : match.start()])
            end = match.end()
            if match.lastgroup == "path":
                self._path(match[0], pieces)
            else:
                self._name(match[0], pieces)
        if end < len(text):
            pieces.append(text[end:])

    def _path(self, text: str, pieces: list[Piece]) -> None:
        """Keep the longest well-known beginning; what follows are names."""
        paths = self.vocabulary.paths
        if text in paths:
            pieces.append(text)
            return
        known = slash = text.find("/")
        while slash >= 0:
            if text[:slash] in paths:
                known = slash
            slash = text.find("/", slash + 1)
        pieces.append(text[:known])
        for component in text[known + 1 :].split("/"):
            pieces.append("/")
            if component.isdecimal() and len(component) > 1:
                pieces.append(Name(component, self.fallback(component)))
            else:
                self._name(component, pieces)

    def _name(self, text: str, pieces: list[Piece]) -> None:
        name = text.rstrip(".") or text
        if name[0] not in "-+" and bindable(name):
            pieces.append(Name(name, self.fallback(name)))
            if len(name) < len(text):
                pieces.append(text[len(name) :])
        else:
            pieces.append(self.fallback(text))

    def fallback(self, name: str) -> str:
        """Return a name with the random words and long numbers in it masked."""
        if name in self.vocabulary.words:
            return name
        return _INSIDE.sub(self._inside, name)

    def _inside(self, match: re.Match[str]) -> str:  # noqa: PLR0911  one return a rule
        text = match[0]
        if match.lastgroup == "ip":
            return self.mask("ip", text, "an IPv4 address") if is_ip4(text) else text
        if text.isdecimal():
            if len(text) >= NUMBER_DIGITS:
                return self.mask("number", text, f"{NUMBER_DIGITS} digits or more")
            return text
        if len(text) < RANDOM_LENGTH or text in self.vocabulary.words:
            return text
        if len(text) >= HEX_LENGTH and _HEX.fullmatch(text):
            return self.mask("hex", text, "hexadecimal digits")
        if len(text) >= BASE64_LENGTH and self.is_base64(text):
            return self.mask("base64", text, "base64 of 20 characters or more")
        if self.is_random(text):
            return self.mask("random", text, "a word that looks random")
        return text

    def is_base64(self, text: str) -> bool:
        """Whether what is random in ``text`` (or too long to be a word) makes up most of it."""
        strange = sum(
            len(part)
            for part in re.split("[+/]", text.rstrip("="))
            if len(part) >= BASE64_SURE or (len(part) >= RANDOM_LENGTH and self.is_random(part))
        )
        return strange * 5 >= len(text) * 3

    def _is_random(self, word: str) -> bool:
        """Whether nobody would choose this word.

        One point for each pair of letters that English has in under 1 of 10,000 cases, and one
        for each run of up to three small letters (a capital before them included), capitals or
        digits beyond the second. Two points are needed.
        """
        if len(word) < RANDOM_LENGTH or word in self.vocabulary.words:
            return False
        runs = _RUN.findall(word[: 4 * BASE64_SURE])
        points = max(0, sum(len(run) <= SHORT_RUN for run in runs) - 2)
        rare = self.vocabulary.rare_pairs
        for run in runs:
            if points >= _RARE_NEEDED:
                return True
            small = run.lower()
            points += sum(small[i : i + 2] in rare for i in range(len(small) - 1))
        return points >= _RARE_NEEDED


_STRICT_BYTE: Final = re.compile(_STRICT)
_ESCAPES: Final = re.compile(r"\\{1,2}(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,4}|u[0-9A-Fa-f]{4})")
_NAMES: Final = re.compile(r"(?P<path>(?:~|\.\.?)?(?:/[\w.+@-]+){1,32})|(?P<name>[\w.+-]+)")
_BINDABLE: Final = re.compile(r"(?=.*[^\W\d])[\w.+-]+|\.{3,}")


_PORT: Final = re.compile("[0-9]{2,5}")


def _follows(pieces: Sequence[Piece], start: int) -> bool:
    """Whether only what stands between an address and its port comes after ``start``."""
    between = "".join(str(piece) for piece in pieces[start:])
    return 0 < len(between) <= 4 and not between.strip(",'\" :/)")  # noqa: PLR2004


_FORGED: Final = re.compile(PLACEHOLDER)
_BLANKS: Final = frozenset(WHITE)
_SPACES: Final = re.compile(f"[{WHITE}]+")


def escaped(text: str) -> str:
    """Return ``text`` with a backslash before what looks like a placeholder, if there is none.

    A placeholder has an even number of backslashes before it, text that looks like one an odd.
    """
    return _UNESCAPED.sub(_with_backslash, text)


# A function, not a template: Python 3.11 loses some bytes each time a template is made.
def _with_backslash(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}"


_UNESCAPED: Final = re.compile(rf"(?<!\\)((?:\\\\){{0,64}})({PLACEHOLDER})")


def is_bytes(text: str, least: int) -> bool:
    r"""Whether escaped bytes, ``least`` of them or more, make up half of the text or more.

    One has to be written as only a byte is: ``\1`` is what sed(1) calls a group of a pattern.
    """
    found = _ESCAPES.findall(text)
    return (
        len(found) >= least
        and sum(map(len, found)) * 2 >= len(text)
        and _STRICT_BYTE.search(text) is not None
    )


def bindable(name: str) -> bool:
    """Whether ``name`` can be a name that a session makes: a letter in it, no pattern."""
    return len(name) <= NAME_LIMIT and _BINDABLE.fullmatch(name) is not None


def is_ip4(text: str) -> bool:
    """Whether all four numbers (decimal, octal or hexadecimal, as inet_aton(3) reads) fit."""
    parts = text.split(".")
    return len(parts) == 4 and all(map(_is_octet, parts))  # noqa: PLR2004


def _is_octet(text: str) -> bool:
    try:
        if text[:2] in ("0x", "0X"):
            return int(text, 16) < 256  # noqa: PLR2004
        return int(text, 10) < 256 or (text[0] == "0" and int(text, 8) < 256)  # noqa: PLR2004
    except (ValueError, IndexError):
        return False


def is_ip6(text: str) -> bool:
    """Whether this is an IPv6 address."""
    if text.count(":") < 2:  # noqa: PLR2004  what most texts have: then no exception is needed
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _is_bitcoin(text: str) -> bool:
    """Whether this is a Base58Check address: its last four bytes are a checksum."""
    if not _BITCOIN.fullmatch(text):
        return False
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    raw = number.to_bytes(25, "big", signed=False) if number < 1 << 200 else b""
    return sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:] != b""
