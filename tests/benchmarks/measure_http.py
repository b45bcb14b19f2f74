"""Sends records as Elasticsearch's bulk API wants them, and says how fast and at what cost.

``python measure_http.py RECORDS.jsonl [COUNT [EMULATED]]``: ``COUNT`` records (50,000) go to a
process that says yes at once, which shows what the sender can do; and the first ``EMULATED``
(5,000) to an OpenSearch emulator with the template's mapping, which shows what such a receiver
makes of it. With batches of 500 and of 2,000, plain and packed.
"""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from twisted.internet import reactor as _reactor
from twisted.internet.defer import ensureDeferred

from cowrie_sessionstats.outputs import http
from cowrie_sessionstats.outputs.formats.ecs_template import index_template
from cowrie_sessionstats.outputs.sending import Delivered

reactor: Any = _reactor


class Yes(BaseHTTPRequestHandler):
    """Says of every document that it was created."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as real receivers do

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        item = {"create": {"status": 201}}
        answer = json.dumps({"errors": False, "items": [item] * (body.count(b"\n") // 2)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def saying_yes() -> Iterator[str]:
    """Run a receiver that says yes at once, in a process of its own; its URL."""
    server = subprocess.Popen([sys.executable, __file__, "yes"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.wait()


@contextmanager
def emulated() -> Iterator[str]:
    """Run an OpenSearch emulator with an index as the template makes it; its URL."""
    from receivers_http import opensearch  # noqa: PLC0415 - it takes memory that is not the sender's

    with opensearch() as running:
        running.ask("PUT", "/bench", {"mappings": index_template()["template"]["mappings"]})
        yield running.url
        print("    documents there:", running.count("bench"))


async def send(path: str, url: str, size: int, count: int, packed: str) -> None:
    """Send the first ``count`` records of a file in batches and print the figures."""
    options = {"url": url, "format": "elasticsearch", "index": "bench", "gzip": packed}
    made = http.read(options, "sessionstats_b", {})
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun, before = time.perf_counter(), time.process_time()
    sent, waited = 0, 0.0
    with Path(path).open(encoding="utf-8") as file:  # noqa: ASYNC230 - nothing else runs here
        while records := [json.loads(line) for line in islice(file, min(size, count - sent))]:
            batch = made.render(records)
            asked = time.perf_counter()
            verdict = await made.send(batch)
            waited += time.perf_counter() - asked
            assert verdict == Delivered(), verdict
            sent += len(records)
    took, cpu = time.perf_counter() - begun, time.process_time() - before
    made.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"    batches of {size}, gzip {packed}: {sent:,} records in {took:.1f} s, "
        f"{sent / took:,.0f}/s; CPU of this process {cpu:.1f} s ({sent / cpu:,.0f}/s); from "
        f"sending to the verdict {waited:.1f} s; memory {idle:.0f} MB before, {peak:.0f} MB at most"
    )


def measure(path: str, receiver: str, size: int, count: int, packed: str) -> None:
    """Measure one way, in this process."""
    with saying_yes() if receiver == "yes" else emulated() as url:

        def start() -> None:
            sending = ensureDeferred(send(path, url, size, count, packed))
            sending.addErrback(print).addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(start)
        reactor.run()


def main(path: str, count: str = "50000", few: str = "5000") -> None:
    """Measure every way, each in a process of its own."""
    for receiver, number in (("yes", count), ("emulator", few)):
        print(
            {"yes": "A receiver that says yes", "emulator": "An emulator of OpenSearch"}[receiver]
        )
        for size in ("500", "2000"):
            for packed in ("false", "true"):
                one = [sys.executable, __file__, path, receiver, size, number, packed]
                subprocess.run(one, check=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments == ["yes"]:
        server = HTTPServer(("127.0.0.1", 0), Yes)
        print(server.server_port, flush=True)
        server.serve_forever()
    elif len(arguments) == 5:
        measure(arguments[0], arguments[1], int(arguments[2]), int(arguments[3]), arguments[4])
    else:
        main(*arguments)
