"""The folder of Parquet that the records become: whole, or as it was before."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats.replay.spark.places import is_address, system_of, told
from cowrie_sessionstats.spark_session import SparkError, brief

ENDING: Final = ".parquet"
DAY: Final = "day"
"""The column by which the folder is divided: of the record's end, as YYYY-MM-DD."""


class FolderError(Exception):
    """A folder that cannot be meant; the text says why and what to do."""


def check_name(output: str) -> None:
    """Raise FolderError if nothing can be written to ``output``, as far as its name says."""
    name = output.rstrip("/").rpartition("/")[2]
    if not name.endswith(ENDING) or name == ENDING:
        raise FolderError(
            f"{output}: a cluster writes a folder of Parquet, whose name ends in {ENDING}. "
            "Name it so, or leave --engine out"
        )
    if not is_address(output) and not Path(output).absolute().parent.is_dir():
        raise FolderError(
            f"{output}: there is no folder {Path(output).parent}. Make it, or name another"
        )


def verify(session: Any, out: str, records: int) -> None:
    """Raise SparkError if not all records are where this process sees them."""
    written = 0
    if records:
        try:
            written = session.read.parquet(out).count()
        except Exception as error:  # noqa: BLE001 - Java's of any kind
            raise SparkError(f"{out}: {brief(error)}") from None
    if written != records:
        raise SparkError(
            f"{records:,} records were written, and {written:,} are here: each worker wrote "
            "into a folder of its own. Name a folder that all machines share, or an address "
            "(hdfs://, s3a://)"
        )


@define(eq=False)
class Folder:
    """Where the records go, by way of a folder beside it."""

    session: Any
    output: str
    made: str = field(init=False)
    """Where they are written."""
    _system: Any = field(init=False)
    _path: Any = field(init=False)
    _made: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        output = self.output.rstrip("/")
        address = output if is_address(output) else f"file:{Path(output).absolute()}"
        self._system, self._path = system_of(self.session, address)
        self._made = self._beside("tmp")
        self.made = str(self._made.toString())

    def _beside(self, ending: str) -> Any:
        name = f".{self._path.getName()[:100]}.{token_hex(8)}.{ending}"
        jvm = self.session._jvm  # noqa: SLF001 - no other way
        return jvm.org.apache.hadoop.fs.Path(self._path.getParent(), name)

    def check(self, uris: list[str]) -> None:
        """Raise FolderError if what is there is not ours to replace, or is to be read."""
        own = f"{self._path.toUri().toString().replace('file:///', 'file:/')}/"
        if any(f"{uri.replace('file:///', 'file:/')}".startswith(own) for uri in uris):
            raise FolderError(
                f"{self.output} holds logs to read: it would be replaced. Name another"
            )
        try:
            if not self._system.exists(self._path):
                return
            there = self._system.getFileStatus(self._path)
            names = [str(each.getPath().getName()) for each in self._system.listStatus(self._path)]
        except Exception as error:  # noqa: BLE001 - Java's of any kind
            raise SparkError(f"{self.output}: {told(error)}") from None
        ours = "_SUCCESS" in names and all(name.startswith((f"{DAY}=", "_", ".")) for name in names)
        if there.isFile() or (names and not ours):
            raise FolderError(
                f"{self.output} is there and was not made by a cluster: it is left alone. "
                "Name another, or remove it"
            )

    def publish(self) -> None:
        """Put what was made in the place of what was there."""
        before = self._beside("old")
        there = self._does(self._system.exists, self._path)
        if there and not self._does(self._system.rename, self._path, before):
            raise SparkError(f"{self.output}: it cannot be renamed. See who may write there")
        if not self._does(self._system.rename, self._made, self._path):
            if there:
                self._does(self._system.rename, before, self._path)
            raise SparkError(f"{self.output}: nothing can be put there. See who may write there")
        if there:
            self._does(self._system.delete, before, True)  # noqa: FBT003 - Hadoop's

    def _does(self, action: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except Exception as error:  # noqa: BLE001 - Java's of any kind
            raise SparkError(f"{self.output}: {told(error)}") from None

    def clear(self) -> None:
        """Remove what was made, if it is still there."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._system.delete(self._made, True)  # noqa: FBT003 - Hadoop's
