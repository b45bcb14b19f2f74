"""TLS as a client: whom it believes, what it shows, and what went wrong, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from attrs import frozen
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.settings import Settings

NAMES: Final = ("ca_file", "cert_file", "key_file", "server_name")
"""The options that are about TLS."""

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


@frozen
class Tls:
    """What an operator chose: PEM files, and the name that the receiver's certificate is for."""

    server_name: str
    ca_file: Path | None = None
    """Authorities to believe; those of the system if there is none."""
    cert_file: Path | None = None
    """Our certificate, followed by those between it and the authority, if any."""
    key_file: Path | None = None


def read_tls(settings: Settings, host: str) -> Tls:
    """Return the options that are about TLS; ``server_name`` is ``host`` unless it is given."""
    tls = Tls(
        ca_file=settings.path("ca_file"),
        cert_file=settings.path("cert_file"),
        key_file=settings.path("key_file"),
        server_name=settings.text("server_name", host),
    )
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(tls, name) is not None and getattr(tls, other) is None:
            raise settings.error(name, str(getattr(tls, name)), f"needs {other}, too. Add it")
    return tls


def client_options(tls: Tls, section: str) -> Any:
    """Return what makes Twisted check the receiver's certificate and name, and show ours.

    The files are read now: new ones are for the next start. Raises OptionError for one that holds
    no certificate or key, or for a key that is not the certificate's.
    """
    extra: dict[str, Any] = {}
    trust = own = None
    if tls.ca_file is not None:
        trust = _trust(_certificates(tls.ca_file, "ca_file", section))
    if tls.cert_file is not None and tls.key_file is not None:
        shown, *between = _certificates(tls.cert_file, "cert_file", section)
        key = _key(tls.key_file, section)
        if _public(shown.original.get_pubkey()) != _public(key):
            raise OptionError(
                "key_file", str(tls.key_file), "is not the key of cert_file. Correct it", section
            )
        own = _own(shown, key)
        extra["extraCertChain"] = [certificate.original for certificate in between]
    try:
        return optionsForClientTLS(
            tls.server_name,
            trustRoot=trust,
            clientCertificate=own,
            extraCertificateOptions=extra or None,
        )
    except (ValueError, TypeError):
        raise OptionError(
            "server_name", tls.server_name, "is no name of a host. Correct it", section
        ) from None


def trouble_of(error: BaseException | None) -> str | None:
    """Return what ``error`` of a TLS connection means for an operator; None if it is no such."""
    if isinstance(error, VerificationError):
        return (
            "its certificate is for another name. Correct host, or name what it is for in "
            "server_name"
        )
    if not isinstance(error, SSL.Error):
        return None
    queue = error.args[0] if error.args else None
    said = str(queue[-1][-1]) if isinstance(queue, list) and queue else "no reason given"
    if "certificate verify failed" in said:
        return (
            "its certificate is expired, or is of no authority that we believe (certificate "
            "verify failed). Name its authority in ca_file"
        )
    if "alert" in said and any(word in said for word in ("certificate", "unknown ca", "handshake")):
        return (
            f"it does not take our certificate ({said}). Name one that it believes in cert_file "
            "and key_file"
        )
    return f"TLS failed ({said}). Look whether it speaks TLS on this port, and at its own log"


def _public(key: crypto.PKey) -> bytes:
    return crypto.dump_publickey(crypto.FILETYPE_ASN1, key)


def _trust(certificates: list[Certificate]) -> Any:
    return trustRootFromCertificates(certificates)  # type: ignore[no-untyped-call]


def _own(shown: Certificate, key: crypto.PKey) -> Any:
    pair = KeyPair(key)  # type: ignore[no-untyped-call]
    return PrivateCertificate.fromCertificateAndKeyPair(shown, pair)  # type: ignore[no-untyped-call]


def _certificates(path: Path, name: str, section: str) -> list[Certificate]:
    parts = path.read_bytes().split(_BEGIN)[1:]
    try:
        found = [Certificate.loadPEM(_BEGIN + part) for part in parts]
    except (crypto.Error, ValueError):
        found = []
    if not found:
        raise OptionError(name, str(path), "holds no certificate (PEM). Correct it", section)
    return found


def _key(path: Path, section: str) -> crypto.PKey:
    try:
        # An empty passphrase: without one, the terminal would be asked for it.
        return crypto.load_privatekey(crypto.FILETYPE_PEM, path.read_bytes(), b"")
    except (crypto.Error, ValueError, TypeError):
        raise OptionError(
            "key_file",
            str(path),
            "holds no private key (PEM) that can be read without a passphrase. Correct it",
            section,
        ) from None
