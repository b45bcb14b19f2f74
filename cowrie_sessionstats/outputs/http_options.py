"""The options of a destination with ``type = http``."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.outputs.settings import Settings

FORMATS: Final = ("ndjson", "elasticsearch", "splunk_hec", "ocsf")
DEFAULT_INDEX: Final = "cowrie-sessions"
"""The data stream or index that ``etc/elasticsearch-template.json`` is for."""

DEFAULT_TIMEOUT: Final = 60
"""Seconds for one request and its answer: Elasticsearch itself lets a bulk request wait for a
minute before it gives up on a shard."""

LONGEST_TIMEOUT: Final = 600
"""Seconds; behind that, proxies have hung up long since."""

INDEX_LIMIT: Final = 255
"""Bytes of an index's name: Elasticsearch's own limit (create index API)."""


@frozen
class HttpOptions:
    """What the operator chose for one receiver."""

    url: str = field(repr=False)
    """Where to, without user or fragment; the format adds its path, if it has one. A token can
    stand in its path or its query."""
    format: str
    index: str
    """The data stream or index, for ``elasticsearch``; else empty."""
    header: tuple[str, str] | None = field(repr=False)
    """The header that lets us in: its name and its value, which is secret."""
    ca_file: Path | None
    """The only CAs that are trusted; None for those of the machine."""
    cert_file: Path | None
    key_file: Path | None
    gzip: bool
    timeout: float
    """Seconds for one request and its answer."""
    limits: Limits

    @property
    def target(self) -> str:
        """Return where records go, for people: without path and query, where a token can stand."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def read_options(
    options: Mapping[str, str], section: str, environment: Mapping[str, str]
) -> HttpOptions:
    """Return the options in a section; OptionError for the first that cannot be used."""
    settings = Settings(options, section, environment)
    url = _url(settings)
    form = settings.choice("format", FORMATS, "ndjson")
    index = _index(settings) if form == "elasticsearch" else ""
    header = _splunk(settings) if form == "splunk_hec" else _auth(settings)
    ca_file, cert_file, key_file = (
        settings.path(name) for name in ("ca_file", "cert_file", "key_file")
    )
    for name, given, other in (
        ("cert_file", cert_file, key_file),
        ("key_file", key_file, cert_file),
    ):
        if given is not None and other is None:
            raise settings.error(
                name, str(given), "needs cert_file and key_file, both. Add the other one"
            )
    if url.startswith("http:"):
        for name, given in (("ca_file", ca_file), ("cert_file", cert_file)):
            if given is not None:
                raise settings.error(name, str(given), "needs a url with https://. Correct one")
    chosen = HttpOptions(
        url,
        form,
        index,
        header,
        ca_file,
        cert_file,
        key_file,
        settings.flag("gzip", default=False),
        settings.number("timeout", DEFAULT_TIMEOUT, 1, LONGEST_TIMEOUT),
        settings.limits(Limits()),
    )
    settings.finish()
    return chosen


def _url(settings: Settings) -> str:
    url = settings.text("url")
    # The value is not shown: a user and a password can stand in it.
    trouble = "has to be http:// or https://, a host, and a port if need be. Correct it"
    if not url:
        raise settings.error("url", "", f"is missing; it {trouble}")
    if not url.isascii() or not url.isprintable() or " " in url or "#" in url:
        raise settings.error("url", "...", f"{trouble}; what is not ASCII is written as %XX")
    try:
        parts = urlsplit(url)
        well_formed = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        raise settings.error("url", "...", trouble) from None
    if parts.scheme not in ("http", "https") or not well_formed:
        raise settings.error("url", "...", trouble)
    if "@" in parts.netloc:
        raise settings.error(
            "url", "...", "must not have a user in it: that goes to auth = basic, user, password"
        )
    return _without_slash(parts)


_HOST: Final = re.compile(r"[0-9A-Za-z._:-]+")


def _without_slash(parts: SplitResult) -> str:
    """Return the URL; one that is a host only, without the slash at its end."""
    return parts._replace(path="" if parts.path == "/" else parts.path).geturl()


def _index(settings: Settings) -> str:
    index = settings.text("index", DEFAULT_INDEX)
    # https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create
    if not _INDEX.fullmatch(index) or len(index) > INDEX_LIMIT or index in (".", ".."):
        raise settings.error(
            "index",
            index,
            "is no name of an index or a data stream: lower-case letters, digits and . _ - +, a "
            "letter or a digit first. Correct it",
        )
    return index


_INDEX: Final = re.compile(r"[a-z0-9.][a-z0-9._+-]*")


def _splunk(settings: Settings) -> tuple[str, str]:
    """Return the header for the token of an HTTP Event Collector."""
    token = settings.secret("token")
    if token is None:
        raise settings.error(
            "token", "", "is missing: format = splunk_hec needs token, token_file or token_env"
        )
    return "Authorization", f"Splunk {_word(settings, 'token', token)}"


def _auth(settings: Settings) -> tuple[str, str] | None:
    """Return the header that ``auth`` asks for."""
    auth = settings.choice("auth", ("none", "bearer", "basic", "header"), "none")
    if auth == "none":
        return None
    if auth == "basic":
        return "Authorization", _basic(settings)
    token = settings.secret("token")
    if token is None:
        raise settings.error(
            "token", "", f"is missing: auth = {auth} needs token, token_file or token_env"
        )
    if auth == "bearer":
        return "Authorization", f"Bearer {_word(settings, 'token', token)}"
    return _header_name(settings), _field(settings, "token", token)


def _basic(settings: Settings) -> str:
    """Return what RFC 7617 makes of a user and a password."""
    user = settings.text("user")
    password = settings.secret("password")
    if not user or ":" in user:
        raise settings.error("user", user, "auth = basic needs one, without a colon in it")
    if password is None:
        raise settings.error(
            "password", "", "is missing: auth = basic needs password, password_file or password_env"
        )
    pair = _field(settings, "user", user, ascii_only=False) + ":"
    pair += _field(settings, "password", password, ascii_only=False)
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def _header_name(settings: Settings) -> str:
    name = settings.text("header")
    if not _TOKEN.fullmatch(name):
        raise settings.error("header", name, "has to be a header's name, e.g. X-Api-Key")
    if name.lower() in _OURS:
        raise settings.error("header", name, "is a header that is set already. Name another")
    return name


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def _field(settings: Settings, name: str, value: str, *, ascii_only: bool = True) -> str:
    """Return a value that cannot end its header (RFC 9110, section 5.5)."""
    if not value.isprintable() or (ascii_only and not value.isascii()):
        raise settings.error(
            name, "...", "has a character in it that cannot be sent, such as a line end. Correct it"
        )
    return value


def _word(settings: Settings, name: str, value: str) -> str:
    if " " in value:
        raise settings.error(name, "...", "has a space in it. Give the token only, without a word")
    return _field(settings, name, value)
