"""Read the header of every file and group the files that form one scan.

Worker processes read the headers, or the cache recalls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from medgan.base.errors import ScanError
from medgan.base.files import digest
from medgan.base.workers import WorkerPool
from medgan.dataset.scan_cache import ScanCache, file_key
from medgan.dataset.source import FileEntry, Source, find_subject, normalise_label, relative_name
from medgan.scans import formats
from medgan.scans.dicom import series
from medgan.scans.scan import Header

_HEADER_FIELDS = tuple(field.name for field in fields(Header))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """A file whose header was read. `header` is None where the file was refused."""

    order: int
    entry: FileEntry
    header: Header | None = None
    key: str = ""
    """Key of the file in the cache; empty where it must not be kept."""


def open_headers(
    entries: Sequence[FileEntry], source: Source, root: Path, cache: ScanCache, pool: WorkerPool
) -> Iterator[ParsedFile]:
    """Read or recall the header of every file, and refuse what the header rules out.

    Args:
        entries: The files.
        source: The data set as the user gave it.
        root: Folder that paths are relative to.
        cache: Knows the headers of files that have not changed.
        pool: Reads the others.
    """
    # Recall known headers; workers read the others.
    sound = [entry for entry in entries if entry.verdict == "ok"]
    keys = [file_key(entry.path, source.label_tag) for entry in sound]
    known = [cache.get(key) for key in keys]
    missing = [entry.path for entry, facts in zip(sound, known, strict=True) if facts is None]
    fresh = pool.map_ordered(partial(_read_header, label_tag=source.label_tag), missing, crash_error)
    # Put both back in the order of the files.
    recalled = zip(keys, known, strict=True)
    for order, entry in enumerate(entries):
        if entry.verdict != "ok":
            yield ParsedFile(order=order, entry=entry)
            continue
        key, facts = next(recalled)
        found = Header(**facts) if facts is not None else next(fresh)
        if isinstance(found, ScanError):
            yield ParsedFile(order=order, entry=reject(entry, found))
            continue
        if facts is None:
            cache.put(key, {name: getattr(found, name) for name in _HEADER_FIELDS})
        judged = _check_header(entry, found, source, root)
        kept = found if judged.verdict == "ok" else None
        yield ParsedFile(order=order, entry=judged, header=kept, key=key)


def _read_header(path: Path, label_tag: str = "") -> Header | ScanError:
    """Read the header of a file, or say what is wrong with it.

    Identifiers become digests: equal ones stay equal, and no text goes further.
    """
    try:
        header = formats.read_header(path, label_tag=label_tag)
    except ScanError as error:
        return error
    return replace(
        header,
        patient=_hash_id(header.patient),
        instance=_hash_id(header.instance),
        series=_hash_id(header.series),
        scanner=_hash_id(header.scanner),
        stacking=tuple(map(_hash_id, header.stacking)),
    )


def _hash_id(identifier: str) -> str:
    """The digest of an identifier. An empty one stays empty."""
    return digest(identifier)[:32] if identifier else ""


def crash_error(path: Path) -> ScanError:
    """The error for a file during which a worker process died."""
    return ScanError(
        f"{path.name}: crashed the process that read it, probably by damaged pixels",
        verdict="error:reader-died",
        hint="Copy the file again from its source, or remove it.",
    )


def reject(entry: FileEntry, error: ScanError) -> FileEntry:
    """The file with the verdict and reason of an error."""
    reason = f"{error.message} ({error.hint})" if error.hint else error.message
    return replace(entry, verdict=error.verdict, reason=reason)


def _check_header(entry: FileEntry, header: Header, source: Source, root: Path) -> FileEntry:
    """Combine what place and header say about label, patient and verdict."""
    named = entry.patient or (
        "" if header.patient else find_subject(relative_name(entry.path, root), entry.label)
    )
    label = entry.label or normalise_label(header.label)
    verdict, reason = _check_options(header, source) if label else ("skip:no-label", entry.reason)
    patient = _hash_id(named) or header.patient
    return replace(entry, label=label, patient=patient, verdict=verdict, reason=reason)


def _check_options(header: Header, source: Source) -> tuple[str, str]:
    """The verdict by the options: ("skip:...", reason) or ("ok", "")."""
    if source.modality and header.modality.upper() != source.modality.upper():
        return "skip:other-modality", f"its modality is {header.modality or 'unknown'}, not {source.modality}"
    if "burned-in" in header.notes and not source.allow_burned_in:
        return (
            "skip:burned-in",
            "its header says that text is burned into the pixels (--allow-burned-in uses it)",
        )
    if "synthetic" in header.notes and not source.allow_synthetic:
        return "skip:synthetic-input", "it is marked as synthetic (--allow-synthetic uses it)"
    return "ok", ""


def group_files(files: Iterable[ParsedFile]) -> list[tuple[ParsedFile, ...]]:
    """Group the files that are read together.

    The slices of a volume come in order, any other file is alone, and so is every refused one.
    """
    found: list[tuple[ParsedFile, ...]] = []
    families: dict[tuple[str, str, str], dict[Path, ParsedFile]] = {}
    for file in files:
        if file.header is None:
            found.append((file,))
        else:
            key = (file.entry.label, file.entry.split, file.entry.patient)
            families.setdefault(key, {})[file.entry.path] = file
    for family in families.values():
        found.extend(_group_slices(family))
    return sorted(found, key=lambda unit: min(file.order for file in unit))


def _group_slices(family: dict[Path, ParsedFile]) -> Iterator[tuple[ParsedFile, ...]]:
    grouping = series.group_slices([(path, file.header) for path, file in family.items() if file.header])
    for paths in (*grouping.volumes, *((path,) for path in grouping.singles)):
        yield tuple(_with_notes(family[path], grouping.notes.get(path, ())) for path in paths)
    for path, error in grouping.skipped.items():
        yield (ParsedFile(order=family[path].order, entry=reject(family[path].entry, error)),)


def _with_notes(file: ParsedFile, notes: tuple[str, ...]) -> ParsedFile:
    if file.header is None or not notes:
        return file
    return replace(file, header=replace(file.header, notes=(*file.header.notes, *notes)))
