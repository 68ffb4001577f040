"""Bytes to disk and back: atomic writes, JSON <-> dataclass, digests, and where output may go."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medgan.errors import MedganError, OutputError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a partial file beside `path`; it takes the name `path`, whole and flushed, only when the block succeeds."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as done:
            os.fsync(done.fileno())
        partial.replace(path)
    except OSError as error:
        partial_gone(partial)
        raise refusal(path, error) from error
    except BaseException:
        partial_gone(partial)
        raise


def make_folder(path: Path) -> None:
    """Make `path` where there is none, open to its owner and, as far as the umask allows, the group: never to everybody."""
    try:
        path.mkdir(mode=0o770, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path} is a file, not a folder", hint="Choose another --out.") from error
    except OSError as error:
        raise refusal(path, error) from error


def partial_gone(partial: Path) -> None:
    """Remove a partial file, if the disk still lets us."""
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return


def refusal(path: Path, error: OSError) -> MedganError:
    """The sentence for a disk that said no."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutputError(
            f"{path}: the disk is full", hint="Free some space and repeat the command: it goes on."
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return OutputError(f"{path}: this place cannot be written to", hint="Choose another --out.")
    return OutputError(f"{path}: {error.strerror or error}", hint="Choose another --out.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a dataclass, mapping or list to `path` as indented JSON, atomically."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def plain(value: object) -> Any:
    """Dataclasses, mappings, tuples and paths as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def revive(kind: Any, value: Any) -> Any:
    """The opposite of `plain`: JSON data back into the dataclass or annotated type `kind`.

    Knows dataclasses, unions with None, tuple[X, ...] and Mapping[str, X]; TypeError for a key the dataclass lacks.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{key: revive(hints.get(key), item) for key, item in value.items()})
    if origin is types.UnionType:
        return None if value is None else revive(arguments[0], value)
    if origin is tuple:
        return tuple(revive(arguments[0], item) for item in value)
    return {key: revive(arguments[1], item) for key, item in value.items()} if origin is Mapping else value


def read_json(path: Path) -> Any:
    """The JSON value in `path`; OSError and ValueError are the caller's to explain."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(*parts: bytes | str) -> str:
    """SHA-256 (hex) of the parts, each preceded by its length, so that no two lists of parts collide."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 (hex) of a dataclass or JSON value in canonical form (sorted keys, no spaces)."""
    return digest(json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def digest_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_output_inside(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output folder inside (or equal to) any input folder."""
    target = out.resolve()
    for source in inputs:
        place = source.resolve()
        if target == place or place in target.parents:
            raise OutputError(f"{out} lies inside the input {source}", hint="Choose an --out elsewhere.")
