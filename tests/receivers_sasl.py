"""SASL as a broker of Kafka asks for it, before a broker that keeps no users."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from collections.abc import Generator
from typing import Final

from attrs import frozen

HANDSHAKE, VERSIONS, AUTHENTICATE = 17, 18, 36  # kinds of requests
FAILED: Final = 58  # SASL_AUTHENTICATION_FAILED
ROUNDS: Final = 4096
SALT: Final = b"salt of the tests"


@frozen
class Login:
    """Lets in one user, by PLAIN and SCRAM (RFC 4616, RFC 5802); others hear a word of it.

    What a broker that means harm could say of a password is said, too: it says it back.
    """

    user: str
    password: str

    async def __call__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
    ) -> bool:
        """Talk with a client until it is in; False if it does not get in."""
        steps: Generator[bytes, bytes, bytes] | None = None
        while True:
            size = await reader.readexactly(4)
            request = await reader.readexactly(int.from_bytes(size, "big"))
            kind, version, number, name = struct.unpack_from(">hhih", request)
            body = request[10 + max(name, 0) :]
            if kind == VERSIONS:
                forth.write(size + request)
                answer = await back.readexactly(4)
                writer.write(answer + await back.readexactly(int.from_bytes(answer, "big")))
                continue
            if kind == HANDSHAKE:
                mechanism = body[2:].decode()
                steps = self._plain() if mechanism == "PLAIN" else self._scram(mechanism[-3:])
                next(steps)
                _answer(writer, number, struct.pack(">hih", 0, 1, len(mechanism)) + body[2:])
                continue
            assert kind == AUTHENTICATE
            assert steps is not None
            lifetime = bytes(8) if version else b""
            try:
                said, is_in = steps.send(body[4:]), False
            except StopIteration as end:
                said, is_in = end.value, True
            except PermissionError as error:
                words = str(error).encode()
                refusal = struct.pack(">hh", FAILED, len(words)) + words + bytes(4) + lifetime
                _answer(writer, number, refusal)
                await writer.drain()
                return False
            _answer(writer, number, struct.pack(">hhi", 0, -1, len(said)) + said + lifetime)
            if is_in:
                return True

    def _plain(self) -> Generator[bytes, bytes, bytes]:
        _, user, password = (yield b"").decode().split("\0")
        if (user, password) != (self.user, self.password):
            raise PermissionError(f"{user} and {password} do not fit")
        return b""

    def _scram(self, bits: str) -> Generator[bytes, bytes, bytes]:
        how = f"sha{bits}"
        bare = (yield b"").decode().removeprefix("n,,")
        given = dict(part.split("=", 1) for part in bare.split(","))
        if given["n"] != self.user:
            raise PermissionError("no such user")
        nonce = given["r"] + "ours"
        first = f"r={nonce},s={b64encode(SALT).decode()},i={ROUNDS}"
        final = (yield first.encode()).decode()
        rest, _, proof = final.rpartition(",p=")
        assert rest == f"c=biws,r={nonce}"
        salted = hashlib.pbkdf2_hmac(how, self.password.encode(), SALT, ROUNDS)
        client_key = hmac.digest(salted, b"Client Key", how)
        told = f"{bare},{first},{rest}".encode()
        signature = hmac.digest(_hash(how, client_key), told, how)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        if b64decode(proof) != expected:
            raise PermissionError("the proof does not fit")
        server = hmac.digest(hmac.digest(salted, b"Server Key", how), told, how)
        return b"v=" + b64encode(server)


def _hash(how: str, data: bytes) -> bytes:
    return hashlib.new(how, data).digest()


def _answer(writer: asyncio.StreamWriter, number: int, body: bytes) -> None:
    writer.write(struct.pack(">ii", len(body) + 4, number) + body)
