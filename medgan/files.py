"""Bytes to disk and back: atomic writes, JSON <-> dataclass, digests, and where output may go."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import stat
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from medgan.errors import DatasetError, MedganError, OutputError


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream into a new file beside `path`; it takes the name `path`, whole and flushed, only when the block succeeds.

    A link that lies under either name is replaced and never followed: the folder may come from somebody else.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with partial.open("xb") as stream:  # "x": were a link put there just now, this would fail
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial_gone(partial)
        raise refusal(path, error) from error
    except BaseException:
        partial_gone(partial)
        raise


def append(path: Path, text: str) -> None:
    """Add UTF-8 `text` to the end of `path`, made where there is none; a link under that name is refused, not followed."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        with os.fdopen(handle, "a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise refusal(path, error) from error


def inside(folder: Path, name: str) -> Path:
    """The file that `name`, as a manifest gives it, stands for in `folder`.

    Raises:
        DatasetError: it leads out of the folder (absolute, "..", through a link), is not there, or is no regular file. Whoever wrote
            the manifest must not choose which other files of this machine are read.
    """
    try:
        place = (folder / name).resolve(strict=True)
        if place.is_relative_to(folder.resolve()) and stat.S_ISREG(place.stat().st_mode):
            return folder / name
        problem = "is no file of this folder"
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # ValueError: a byte of zero; RuntimeError: links in a circle
        problem = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    raise DatasetError(
        f"{folder}: {name} {problem}",
        hint="Use the folder as it was written: copy it again from its source, or repeat the command that wrote it.",
    )


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
    if error.errno == errno.ELOOP:
        return OutputError(
            f"{path}: this is a link, and nothing is written through a link",
            hint="Remove it, or choose another --out.",
        )
    return OutputError(f"{path}: {error.strerror or error}", hint="Choose another --out.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path) as stream:
        stream.write(data)


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
