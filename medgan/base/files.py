"""Write files atomically, convert dataclasses to JSON and back, compute digests."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import stat
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from medgan.base.errors import DatasetError, MedganError, OutputError

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Flag that keeps `os.open` from following a link. Windows lacks it, and lets only administrators create
links."""
_JSON_TYPES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
"""{type: what JSON calls its values}."""


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream into a new file that takes the name `path` if the block succeeds.

    Until then the file has another name beside `path`; it is renamed whole and flushed. A link under either
    name is replaced and never followed, for somebody else may have put it into the folder.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        refuse_removed(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with partial.open("xb") as stream:  # "x": were a link put there just now, this would fail
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        refuse_removed(path)
        partial.replace(path)
    except OSError as error:
        remove_partial(partial)
        raise write_error(path, error) from error
    except BaseException:
        remove_partial(partial)
        raise


def is_partial(path: Path) -> bool:
    """Whether `atomic` left this file because its process was killed."""
    return path.name.startswith(".") and path.name.endswith(".partial")


_MAX_READ_BYTES = 512 * 1024**2
"""Largest file in bytes that is read whole (JSON, a log, the images of a report). medgan writes none so
large."""
_WATCHED_FOLDERS: dict[Path, tuple[int, int]] = {}
"""{folder that a command fills: (device, inode)}."""


@contextmanager
def keep_in_place(folder: Path) -> Iterator[None]:
    """Stop writing if `folder` is removed or replaced while the block runs.

    A folder created anew would lack what was written before, and the same command could not resume in it.

    Raises:
        OutputError: the folder was removed, replaced, or leads elsewhere through a link.
    """
    _WATCHED_FOLDERS[folder] = _identity(folder)
    try:
        yield
        refuse_removed(folder)
    except (MedganError, OSError):
        refuse_removed(folder)  # which explains whatever else went wrong
        raise
    finally:
        _WATCHED_FOLDERS.pop(folder, None)  # gone already where a block within has the same folder


def refuse_removed(path: Path) -> None:
    """Refuse a path in a watched folder that is gone, or that a link redirects."""
    for folder in _WATCHED_FOLDERS.keys() & {path, *path.parents}:
        if _identity(folder) != _WATCHED_FOLDERS[folder]:
            raise OutputError(
                f"{folder} was removed or replaced while this command was writing to it",
                hint="Repeat the same command: it starts from the beginning.",
            )
        for between in path.relative_to(folder).parents:
            if (folder / between).is_symlink() and (folder / between) != folder:
                raise OutputError(
                    f"{folder / between} is a link, and medgan does not write through links",
                    hint="Remove it, or choose another --out.",
                )


def _identity(folder: Path) -> tuple[int, int]:
    try:
        facts = folder.stat()
    except OSError:
        return 0, 0
    return facts.st_dev, facts.st_ino


def append(path: Path, text: str) -> None:
    """Append UTF-8 `text` to a file, creating it if needed.

    A link under that name is refused, not followed.
    """
    refuse_removed(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_FOLLOW, 0o666)
        with os.fdopen(handle, "a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise write_error(path, error) from error


def resolve_inside(folder: Path, name: str) -> Path:
    """Path of the file that a manifest calls `name`, if it lies in `folder`.

    Whoever wrote the manifest must not choose which other files of this machine are read.

    Raises:
        DatasetError: `name` leads out of the folder (absolute, "..", through a link), does not exist, or is
            not a regular file.
    """
    try:
        place = (folder / name).resolve(strict=True)
        if place.is_relative_to(folder.resolve()) and stat.S_ISREG(place.stat().st_mode):
            return folder / name
        problem = "is not a file of this folder"
    # ValueError: the name holds a zero byte; RuntimeError: links lead in a circle.
    except (OSError, ValueError, RuntimeError) as error:
        problem = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    raise DatasetError(
        f"{folder}: {name} {problem}",
        hint="Use the folder as medgan wrote it: copy it again, or repeat the command that wrote it.",
    )


def read_inside(folder: Path, name: str) -> bytes:
    """Read the bytes of a file in `folder` (see `resolve_inside`).

    Raises:
        OSError: the file cannot be read.
        DatasetError: the file is not inside the folder, or is too large.
    """
    path = resolve_inside(folder, name)
    if path.stat().st_size > _MAX_READ_BYTES:
        raise DatasetError(
            f"{path} is larger than any file of its kind that medgan writes",
            hint="Remove it from the folder.",
        )
    return path.read_bytes()


def make_folder(path: Path) -> None:
    """Create a folder for its owner and, as far as the umask allows, its group.

    Other users can never open it.
    """
    refuse_removed(path)
    try:
        path.mkdir(mode=0o770, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path} is a file, not a folder", hint="Choose another --out.") from error
    except OSError as error:
        raise write_error(path, error) from error


def remove_partial(partial: Path) -> None:
    """Remove a partial file if the disk still allows it."""
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return


def write_error(path: Path, error: OSError) -> MedganError:
    """The error for a path that the disk refuses to write."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutputError(
            f"{path}: the disk is full",
            hint="Free some space and repeat the command: it continues where it stopped.",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return OutputError(f"{path} cannot be written", hint="Choose another --out.")
    if error.errno == errno.ELOOP:
        return OutputError(
            f"{path} is a link, and medgan does not write through links",
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
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    """Format a dataclass, mapping or list as indented JSON."""
    return json.dumps(to_json(value), indent=2, ensure_ascii=False) + "\n"


def to_json(value: object) -> Any:
    """Convert dataclasses, mappings, tuples and paths to values that JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: Any, value: Any, name: str = "the value") -> Any:
    """Convert JSON data to the dataclass or annotated type `kind`.

    The opposite of `to_json`, for data that may be foreign or damaged. Nothing is converted silently.

    Args:
        kind: A dataclass, a union with None, tuple[X, ...], Mapping[str, X], str, bool, int, float or Any.
            What is only checked is written as it looks: {"key": X, "key that may be absent?": Y} for an
            object, [X] for a list.
        value: The JSON data.
        name: What an error message calls the value.

    Raises:
        ValueError: a part of the value has another type, is missing, is unknown, or is a number that is not
            finite.
    """
    # Unions, tuples and mappings.
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else from_json(arguments[0], value, name)
    if origin is tuple or isinstance(kind, list):
        items, each = _require_type(list, value, name), (arguments or kind)[0]
        return tuple(from_json(each, item, f"{name}[{place}]") for place, item in enumerate(items))
    if origin is Mapping:
        items = _require_type(dict, value, name).items()
        return {
            _require_type(str, key, f"a key of {name}"): from_json(arguments[1], item, f"{name}[{key!r}]")
            for key, item in items
        }
    # Objects of known keys, and single values.
    convert = _object_from if dataclasses.is_dataclass(kind) or isinstance(kind, dict) else _require_type
    return convert(kind, value, name)


def from_known_json(kind: Any, value: Any, name: str = "the value") -> Any:
    """Convert a JSON object as `from_json` does, ignoring unknown keys.

    A newer version of medgan may have written them.
    """
    known = _keys_of(kind)[0]
    return from_json(
        kind, {key: it for key, it in _require_type(dict, value, name).items() if key in known}, name
    )


def _keys_of(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """The keys of an object with the kinds of their values, and which of them it needs."""
    if isinstance(kind, dict):
        kinds = {key.removesuffix("?"): one for key, one in kind.items()}
        return kinds, [key for key in kind if key in kinds]
    absent = (dataclasses.MISSING, dataclasses.MISSING)
    fields = dataclasses.fields(kind)
    needed = [one.name for one in fields if (one.default, one.default_factory) == absent]
    return typing.get_type_hints(kind), needed


def _object_from(kind: Any, data: Any, name: str) -> Any:
    """Convert the values of a JSON object, and build its dataclass of them if it has one."""
    value: dict[str, Any] = _require_type(dict, data, name)
    kinds, needed = _keys_of(kind)
    strange, lacking = sorted(value.keys() - kinds.keys()), [one for one in needed if one not in value]
    if strange or lacking:
        raise ValueError(
            f"{name} lacks {lacking[0]!r}" if lacking else f"{name} has an unknown key {strange[0]!r}"
        )
    found = {key: from_json(kinds[key], item, f"{name}.{key}") for key, item in value.items()}
    return found if isinstance(kind, dict) else kind(**found)


def _require_type(kind: Any, value: Any, name: str) -> Any:
    """Return the value if it has this type, else raise ValueError."""
    if kind is Any:
        return value
    if kind is str and isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(f"{name} holds a surrogate (half of a character), which no file can store")
    if kind is float and type(value) in {int, float}:
        if abs(value) <= sys.float_info.max:
            return value
        raise ValueError(f"{name} is not a finite number")
    if type(value) is not kind:  # to Python, True is an int
        raise ValueError(f"{name} should be {_JSON_TYPES[kind]}, not {_JSON_TYPES.get(type(value), 'null')}")
    return value


def read_json(path: Path) -> Any:
    """Read the JSON value in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not regular, is too large, or does not hold JSON.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("it is not a regular file")  # a pipe would keep its reader waiting
    if facts.st_size > _MAX_READ_BYTES:
        raise ValueError(f"it is larger than {_MAX_READ_BYTES // 1024**2} MiB")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


def json_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects in the lines of a file.

    A line that holds none is skipped, such as the unfinished last line of a killed process.
    """
    for line in data.decode("utf-8", "replace").split("\n"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def read_object(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file does not hold a JSON object.
    """
    value: dict[str, Any] = from_json(Mapping[str, Any], read_json(path), path.name)
    return value


def digest(*parts: bytes | str) -> str:
    """SHA-256 (hex) of several parts.

    The length of each part is hashed before it, so that no two lists of parts collide.
    """
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 (hex) of a dataclass or JSON value in canonical form.

    Keys are sorted, and there are no spaces.
    """
    return digest(json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


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
