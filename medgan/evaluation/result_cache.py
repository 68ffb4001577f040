"""A file of finished runs <-> what `quality` asks of it: a mapping that outlives the process, so that long measurements go on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from medgan.base import files


class ResultCache(dict[str, Any]):
    """{run: JSON value}, read from the lines of a file that belong to `key`; every run that is put in is one more line."""

    def __init__(self, path: Path, key: str) -> None:
        """The file need not exist yet; lines of other keys, and damaged ones, count for nothing."""
        super().__init__()
        self.path, self.key = path, key
        for told in files.json_lines(path.read_bytes() if path.exists() else b""):
            if told.get("key") == key and isinstance(told.get("run"), str) and "value" in told:
                super().__setitem__(told["run"], told["value"])

    def __setitem__(self, run: str, value: Any) -> None:
        """Keep a run, here and on disk."""
        super().__setitem__(run, value)
        line = json.dumps({"key": self.key, "run": run, "value": value}) + "\n"
        files.make_folder(self.path.parent)
        files.append(self.path, line if _ends_whole(self.path) else "\n" + line)


def _ends_whole(path: Path) -> bool:
    """Whether the last line is whole, if there is one."""
    try:
        with path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
    except OSError:  # no such file, or an empty one
        return True
