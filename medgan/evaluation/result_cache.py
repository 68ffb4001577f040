"""Cache finished classifier runs in a JSONL file, so that `evaluate` can resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from medgan.base import files


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
