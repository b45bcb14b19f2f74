"""A receiver that can be told to fail, as a process that can be killed.

    python chaos_receiver.py PORT FOLDER

Answers as Elasticsearch's ``_bulk`` and as DShield's ``submitapi`` do. What it took it writes to
``FOLDER/received`` before it says so, a line for each record, repeats included: the session, or for
DShield the time. ``FOLDER/mode`` tells how to behave: ``ok``; ``500``, ``429``, ``half`` (half an
answer), ``hang``, ``drop`` (no answer). In the last three, chance decides whether it took them.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

HANG_SECONDS = 60
PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
LOCK = Lock()
KNOWN: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    """Takes one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take records."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        mode = (FOLDER / "mode").read_text().strip()
        if mode in ("500", "429"):
            self.answer(int(mode), {"error": "told to"})
            return
        if mode != "ok" and random.random() < 0.5:
            answer = {}
        elif "_bulk" in self.path:
            answer = bulk(body.splitlines())
        else:
            answer = report(json.loads(body))
        if mode == "hang":
            time.sleep(HANG_SECONDS)
        elif mode == "half":
            self.answer(200, answer, cut=True)
        elif mode == "ok":
            self.answer(200, answer)
        self.close_connection = mode != "ok"

    def answer(self, status: int, content: dict[str, Any], *, cut: bool = False) -> None:
        """Answer, or begin to."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def take(names: list[str]) -> None:
    """Write down what came; it must be on the disk before anybody is told."""
    with LOCK, (FOLDER / "received").open("a") as file:
        file.write("".join(f"{name}\n" for name in names))


def bulk(lines: list[bytes]) -> dict[str, Any]:
    """Take what ``_bulk`` says is to be created."""
    items, names = [], []
    for action, document in zip(lines[::2], lines[1::2], strict=True):
        name = json.loads(action)["create"]["_id"]
        with LOCK:
            status = 409 if name in KNOWN else 201
            KNOWN.add(name)
        names.append(json.loads(document)["cowrie"]["session"])
        items.append({"create": {"_id": name, "status": status}})
    take(names)
    return {
        "took": 1,
        "errors": any(item["create"]["status"] != 201 for item in items),
        "items": items,
    }


def report(body: dict[str, Any]) -> dict[str, Any]:
    """Take what DShield's sensors report."""
    assert body["type"] == "cowrie"
    take([f"{log['timestamp']:.6f}" for log in body["logs"]])
    return {"message": "OK"}


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
