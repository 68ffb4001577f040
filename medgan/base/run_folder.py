"""The output folder of a command, which the same command can always continue.

The folder's record, mostly `run.json`, says what began it. It is written before anything else, so the command
can be killed at any moment and repeated: a folder is new, begun or complete, and what belongs to another run,
another command or somebody else is refused and left as it is.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.base import cache, files
from medgan.base.errors import JobError, MedganError, OutputError

RECORD = "run.json"
"""The record of most commands."""
VERSION = 1
"""Version of that record; a newer one is refused."""
STAGING = ".writing"
"""Subfolder in which files are written that are moved to their place when they are complete."""
AGAIN = "Repeat the command as it was to continue that run, or choose another --out."
"""Hint for a folder that holds another run of the same command."""
_LONGEST_VALUE = 80
"""Characters of a value in a message, at most."""

Record = dict[str, Any]
"""The JSON object in a record."""
InFirst = Callable[[Callable[[], None]], None]
"""Calls a function in the first process of a job, and raises its error in all of them."""


def _accept(_: Record) -> None:
    """Accept any record."""


def _call(work: Callable[[], None]) -> None:
    """Call a function in this process, which is the only one."""
    work()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The output folder of a command, new or begun by the same command before."""

    path: Path
    command: str
    """The command as users type it, such as "train"."""
    record: str = RECORD
    """Path of the record in the folder. Where it lies in a subfolder, the subfolder alone shows that the
    folder is one of this command, whatever became of the record."""
    check: Callable[[Record], object] = _accept
    """Raises ValueError for a record that lacks what the command needs to continue."""
    memos: tuple[str, ...] = ()
    """Names of files with partial results; `finish` removes them."""

    def read(self) -> Record | None:
        """Read the record; None if the folder is new, or empty but for what a killed write left.

        Raises:
            OutputError: something else is in the folder, or a newer medgan wrote it.
        """
        try:
            if not self.path.exists() or all(map(_is_leftover, self.path.iterdir())):
                return None
        except NotADirectoryError as error:
            raise OutputError(f"{self.path} is a file, not a folder", hint="Choose another --out.") from error
        except OSError as error:
            raise files.write_error(self.path, error) from error
        place = self.path / self.record
        try:
            record = files.read_object(place)
            version = files.from_json(int, record.get("version", VERSION), "version")
            if version <= VERSION:
                self._require_own(record)
                self.check(record)
        except (OSError, ValueError) as error:
            if place.parent != self.path and place.parent.is_dir():
                return {}
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            words = f"it has no {self.record}" if missing else f"{self.record} cannot be read ({error})"
            raise self._not_continued(words) from error
        if version > VERSION:
            raise OutputError(
                f"{self.path} was written by a newer medgan", hint="Update medgan, or choose another --out."
            )
        return record

    def _require_own(self, record: Record) -> None:
        """Refuse the record of another command; that of `train` has a plan in the place of a name."""
        settings = record.get("settings")
        name = (
            settings.get("command") if isinstance(settings, dict) else "train" if "plan" in record else None
        )
        if isinstance(name, str) and name != self.command:
            raise self._not_continued(f"medgan {name} began it")

    def _not_continued(self, why: str) -> OutputError:
        """The error for a folder that holds something else."""
        return OutputError(
            f"{self.path} is not empty, and medgan {self.command} cannot continue it: {why}",
            hint="Choose a new or empty --out: nothing is ever overwritten.",
        )

    def refuse_changes(self, changes: Sequence[str], hint: str = AGAIN) -> None:
        """Raise OutputError, which names them, if there are differences from the run in the folder."""
        if changes:
            raise OutputError(
                f"{self.path} holds another run of medgan {self.command}: {'; '.join(changes)}",
                hint=hint,
            )

    @contextmanager
    def lock(self, in_first: InFirst = _call) -> Iterator[None]:
        """Create the folder if needed, and keep other commands out of it while the block runs.

        Two commands would delete each other's partial files. The operating system frees the lock when the
        process ends, however it ends. A run that is refused before it wrote anything but its record is
        forgotten, and a folder that was created here and is empty then is removed.

        Args:
            in_first: How a job of several processes calls a function in the first one, which holds the lock.

        Raises:
            OutputError: another command is writing into the folder, or the folder is removed meanwhile.
        """
        held: list[Callable[[], None]] = []
        new = not self.path.exists()
        in_first(lambda: held.append(self._acquire()))
        try:
            with files.keep_in_place(self.path):
                yield
        except MedganError as error:
            if held and not isinstance(error, OutputError | JobError):  # those ask to repeat the command
                self._forget()
            if held and new:
                with suppress(OSError):  # raised if something was written into it
                    self.path.rmdir()
            raise
        finally:
            for release in held:
                release()

    def _acquire(self) -> Callable[[], None]:
        """Lock the folder and return what unlocks it; on a disk without locks nothing is locked."""
        files.make_folder(self.path)
        try:
            return cache.acquire_lock(self.path, alone=True, wait=False)
        except BlockingIOError as error:
            raise OutputError(
                f"another command is writing into {self.path}",
                hint="Wait until it has ended, or choose another --out.",
            ) from error
        except OSError:
            return lambda: None

    def _forget(self) -> None:
        """Remove record and memos where there is nothing else, so that others may use the folder."""
        record = self.path / self.record
        own = [record, *(self.path / name for name in self.memos)]
        with suppress(OSError):  # the disk refuses, or there is no record yet: the first error says more
            there = {*self.path.iterdir(), *record.parent.iterdir()} - {record.parent}
            if all(path in own or _is_leftover(path) for path in there):
                for path in own:
                    path.unlink(missing_ok=True)
                if record.parent != self.path:
                    record.parent.rmdir()

    def begin(self, record: object) -> None:
        """Make the folder this run's, new or to be continued: remove leftovers and write the record."""
        self._remove_leftovers()
        files.make_folder(self.path)
        files.make_folder((self.path / self.record).parent)
        files.write_json(self.path / self.record, record)

    def finish(self, record: object) -> None:
        """Remove leftovers and memos, and write the final record last of all."""
        self._remove_leftovers()
        for name in self.memos:
            files.remove_partial(self.path / name)
        files.write_json(self.path / self.record, record)

    def _remove_leftovers(self) -> None:
        """Remove what a killed run left half written, in the folder itself or in its staging folder."""
        try:
            for child in self.path.iterdir() if self.path.exists() else ():
                if child.name == STAGING and not child.is_symlink():
                    shutil.rmtree(child)
                elif _is_leftover(child):  # a link is removed, not what it points to
                    child.unlink()
        except OSError as error:
            raise files.write_error(self.path, error) from error


def _is_leftover(path: Path) -> bool:
    """Whether a killed run left this file or folder half written."""
    return path.name == STAGING or files.is_partial(path)


def list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which settings differ from those of an earlier run; names that it did not record are left out."""
    return [
        change_text(name, before[name], value)
        for name, value in files.to_json(now).items()
        if name in before and before[name] != value
    ]


def change_text(name: str, before: object, now: object) -> str:
    """Say that a setting has another value than before."""
    return f"{name} was {_value_text(before)}, is now {_value_text(now)}"


def _value_text(value: object) -> str:
    """A JSON value in a message."""
    if value in (None, ""):
        return "not given"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def read_memo(path: Path) -> Record:
    """Read a partial result; an empty one if there is none that can be read."""
    try:
        return files.read_object(path)
    except (OSError, ValueError):
        return {}


class ResultCache(dict[str, Any]):
    """{run: JSON value}, stored as the lines of a file with the same key; a new run adds a line."""

    def __init__(self, path: Path, key: str) -> None:
        """Read the file, which need not exist; lines with other keys and damaged lines are ignored."""
        super().__init__()
        self.path, self.key = path, key
        for told in files.json_lines(path.read_bytes() if path.exists() else b""):
            if told.get("key") == key and isinstance(told.get("run"), str) and "value" in told:
                super().__setitem__(told["run"], told["value"])

    def __setitem__(self, run: str, value: Any) -> None:
        """Store a run in memory and on disk."""
        super().__setitem__(run, value)
        line = json.dumps({"key": self.key, "run": run, "value": value}) + "\n"
        files.make_folder(self.path.parent)
        files.append(self.path, line if _ends_whole(self.path) else "\n" + line)


def _ends_whole(path: Path) -> bool:
    """Whether the file ends with a complete line."""
    try:
        with path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
    except OSError:  # no such file, or an empty one
        return True
