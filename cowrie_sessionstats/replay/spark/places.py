"""Which logs are meant, here and in what Hadoop's file systems reach, and what each begins with."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve

from cowrie_sessionstats.replay.files import LogFile, find, is_log_name, said
from cowrie_sessionstats.replay.planning import Head, grouped, head_of, without_repeats
from cowrie_sessionstats.replay.problems import Problems, StrictError
from cowrie_sessionstats.replay.reading import Part
from cowrie_sessionstats.replay.streams import kind_of
from cowrie_sessionstats.spark_session import SparkError, brief

PACKED: Final = 32 << 20
"""Bytes of a packed log elsewhere that one task takes whole, as it is read locally: Spark has it in
the memory a few times over then. Of a larger one it reads the lines, which it can of gzip and
bzip2."""

_PEEK: Final = 1 << 20  # bytes: in a packed log the first line is among them
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ENDINGS: Final = {"gzip": ".gz", "bzip2": ".bz2"}


@define(eq=False)
class Place:
    """A log that Spark is to read."""

    file: LogFile
    uri: str
    """As Spark calls it."""
    path: str
    """As Spark is to be told of it."""
    head: Head
    kind: str | None
    """What it is packed with."""

    @property
    def is_taken_whole(self) -> bool:
        """Whether one task reads it as it is read locally."""
        return self.kind is not None and (self.is_here or self.file.size <= PACKED)

    @property
    def is_here(self) -> bool:
        """Whether workers can open it as a file."""
        return self.path.startswith("file:/") and not is_address(self.path)


@define(eq=False)
class Places:
    """Looks for logs."""

    session: Any
    folder: Path
    """For temporary files."""
    problems: Problems
    count: int = 0
    """Logs that were found, also those that cannot be read."""
    repeats: int = 0
    """Logs that only repeat others."""

    def find(self, paths: Sequence[str]) -> list[Place]:
        """Return the logs that paths and addresses name, in the order of a local run."""
        found = self._here([path for path in paths if not is_address(path)])
        for address in filter(is_address, paths):
            found += self._there(address)
        unique = {place.uri: place for place in found}
        sound = [place for place in unique.values() if self._is_readable(place)]
        return [sound[number] for number in as_read([place.head for place in sound])]

    def _here(self, paths: Sequence[str]) -> list[Place]:
        files = find(paths, self.folder, self.problems.file)
        self.count += len(files)
        sound = []
        for file in files:
            if str(file.path).startswith("/dev/fd/"):
                self.problems.file(file.name, "is a pipe, which no worker can read. Name a file")
            else:
                sound.append(file)
        kept, repeats = without_repeats(map(head_of, sound), self.problems)
        self.repeats += repeats
        return [place for place in map(self._place_here, kept) if place is not None]

    def _place_here(self, head: Head) -> Place | None:
        file = head.part.file
        path = f"file:{file.path.absolute()}"
        try:
            with file.path.open("rb") as opened:
                kind = kind_of(opened.read(8))
            return Place(file, self._uri(path), path, head, kind)
        except OSError as error:
            self.problems.file(file.name, said(error))
        except UnicodeError:
            self.problems.file(file.name, "its name is no UTF-8, and Java cannot open it")
        return None

    def _uri(self, path: str) -> str:
        return str(self._jvm.org.apache.hadoop.fs.Path(path).toUri().toString())

    @property
    def _jvm(self) -> Any:
        return self.session._jvm  # noqa: SLF001 - no other way

    # ------------------------------------------------------------ elsewhere

    def _there(self, address: str) -> list[Place]:
        try:
            return self._listed(address)
        except StrictError:
            raise
        except Exception as error:  # noqa: BLE001 - Java's of any kind
            self.problems.file(address, told(error))
            return []

    def _listed(self, address: str) -> list[Place]:
        path = self._jvm.org.apache.hadoop.fs.Path(address)
        system = path.getFileSystem(self.session._jsc.hadoopConfiguration())  # noqa: SLF001
        statuses = [system.getFileStatus(path)] if system.exists(path) else system.globStatus(path)
        if not statuses:
            self.problems.file(address, "matches no file")
            return []
        found = [
            self._place(system, status) for each in statuses for status in _files(system, each)
        ]
        self.count += len(found)
        return found

    def _place(self, system: Any, status: Any) -> Place:
        path = status.getPath()
        file = LogFile(Path(), str(path.toString()), int(status.getLen()))
        beginning = self._beginning(system, path, file.size)
        with tempfile.NamedTemporaryFile(dir=self.folder) as copy:
            copy.write(beginning)
            copy.flush()
            head = head_of(LogFile(Path(copy.name), file.name, len(beginning)))
        head = evolve(head, part=Part(file, head.part.head))
        return Place(file, self._uri(file.name), file.name, head, kind_of(beginning))

    def _beginning(self, system: Any, path: Any, size: int) -> bytes:
        stream = system.open(path)
        try:
            count = min(size, _PEEK)
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, count))
        finally:
            stream.close()

    # ------------------------------------------------------------ what Spark reads

    def _is_readable(self, place: Place) -> bool:
        name = place.path.rpartition("/")[2]
        trouble = None
        if name.startswith(("_", ".")) or name.endswith("._COPYING_"):
            trouble = "Spark passes over names that begin with _ or . Rename it"
        elif ":" in name and place.path.startswith("file:") and place.kind is None:
            trouble = "Spark reads no file with a colon in its name. Rename it"
        elif not name.isascii() and self._encoding() != "UTF-8":
            trouble = "Java here reads ASCII names only. Set LC_ALL=C.UTF-8, on the workers, too"
        elif place.kind and not place.is_taken_whole and not self._reads(place):
            trouble = (
                f"{place.kind}: more than {PACKED >> 20} MiB, and Spark goes by the name's ending "
                "(.gz, .bz2). Unpack it, or name it so"
            )
        elif place.kind is None and name.endswith(
            (*_ENDINGS.values(), ".deflate", ".snappy", ".lz4")
        ):
            trouble = "is not packed, and Spark goes by the name's ending. Rename it"
        if trouble is not None:
            self.problems.file(place.file.name, trouble)
        return trouble is None

    def _reads(self, place: Place) -> bool:
        return place.path.endswith(_ENDINGS.get(place.kind or "", "\0"))

    def _encoding(self) -> str:
        return str(self._jvm.java.lang.System.getProperty("sun.jnu.encoding"))


def as_read(heads: Sequence[Head]) -> list[int]:
    """Return the numbers of logs in the order in which a local run reads them.

    What is wrong with them is said in that order.
    """
    numbers = {id(head.part): number for number, head in enumerate(heads)}
    return [
        numbers[id(part)]
        for group in grouped(heads)
        for part in sorted(group.parts, key=lambda part: (part.head, part.file.name))
    ]


def is_address(path: str) -> bool:
    """Return whether it is the address of a file in one of Hadoop's file systems."""
    return _SCHEME.match(path) is not None


def _files(system: Any, status: Any) -> Iterator[Any]:
    """Yield a file, or the logs below a folder, by the names that they have locally, too."""
    if status.isFile():
        yield status
        return
    below = system.listFiles(status.getPath(), True)  # noqa: FBT003 - Hadoop's
    found = []
    while below.hasNext():
        each = below.next()
        if is_log_name(str(each.getPath().getName())):
            found.append(each)
    yield from found


def told(error: Exception) -> str:
    """Return what an error of Hadoop's says."""
    text = brief(error)
    if "No FileSystem for scheme" in text:
        return f"{text}: Spark needs a package for that (spark.jars.packages)"
    return text


def system_of(session: Any, address: str) -> tuple[Any, Any]:
    """Return the file system of an address, and the address as it has it."""
    jvm = session._jvm  # noqa: SLF001 - no other way
    try:
        path = jvm.org.apache.hadoop.fs.Path(address)
        system = path.getFileSystem(session._jsc.hadoopConfiguration())  # noqa: SLF001
        return system, system.makeQualified(path)
    except Exception as error:  # noqa: BLE001 - Java's of any kind
        raise SparkError(f"{address}: {told(error)}") from None
