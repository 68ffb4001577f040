"""Candidates -> Opened: every header read, by worker processes or from memory, and judged as far as headers can; then what is read together."""

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
    """A candidate after its header was read; `header` is None when it was refused."""

    order: int
    candidate: FileEntry
    header: Header | None = None
    key: str = ""
    """Under which the store knows the file; empty when it must not be remembered."""


def open_headers(
    candidates: Sequence[FileEntry], source: Source, root: Path, store: ScanCache, crew: WorkerPool
) -> Iterator[ParsedFile]:
    """Read or recall the header of every candidate, and refuse what the header alone refuses."""
    sound = [candidate for candidate in candidates if candidate.verdict == "ok"]
    keys = [file_key(candidate.path, source.label_tag) for candidate in sound]
    known = [store.get(key) for key in keys]
    missing = [candidate.path for candidate, facts in zip(sound, known, strict=True) if facts is None]
    fresh = crew.ordered(partial(_read_header, label_tag=source.label_tag), missing, crash_error)
    recalled = zip(keys, known, strict=True)
    for order, candidate in enumerate(candidates):
        if candidate.verdict != "ok":
            yield ParsedFile(order=order, candidate=candidate)
            continue
        key, facts = next(recalled)
        found = Header(**facts) if facts is not None else next(fresh)
        if isinstance(found, ScanError):
            yield ParsedFile(order=order, candidate=reject(candidate, found))
            continue
        if facts is None:
            store.put(key, {name: getattr(found, name) for name in _HEADER_FIELDS})
        judged = _check_header(candidate, found, source, root)
        kept = found if judged.verdict == "ok" else None
        yield ParsedFile(order=order, candidate=judged, header=kept, key=key)


def _read_header(path: Path, label_tag: str = "") -> Header | ScanError:
    """The header of a file with its identifiers as digests: equal ones stay equal, and no text goes further. Or what is wrong."""
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
    """The digest of an identifier; nothing stays nothing."""
    return digest(identifier)[:32] if identifier else ""


def crash_error(path: Path) -> ScanError:
    """What is said of a file during which a worker process died."""
    return ScanError(
        f"{path.name}: ended the process that read it, as damaged pixels can do to a decoder",
        verdict="error:reader-died",
        hint="Copy the file again from its source, or remove it.",
    )


def reject(candidate: FileEntry, error: ScanError) -> FileEntry:
    """The candidate with the verdict and reason of an error."""
    reason = f"{error.message} ({error.hint})" if error.hint else error.message
    return replace(candidate, verdict=error.verdict, reason=reason)


def _check_header(candidate: FileEntry, header: Header, source: Source, root: Path) -> FileEntry:
    """What place and header together say of label, patient and verdict."""
    named = candidate.patient or (
        "" if header.patient else find_subject(relative_name(candidate.path, root), candidate.label)
    )
    label = candidate.label or normalise_label(header.label)
    verdict, reason = _check_options(header, source) if label else ("skip:no-label", candidate.reason)
    patient = _hash_id(named) or header.patient
    return replace(candidate, label=label, patient=patient, verdict=verdict, reason=reason)


def _check_options(header: Header, source: Source) -> tuple[str, str]:
    """("skip:...", reason) for what the user has to ask for, else ("ok", "")."""
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
    """What is read together: the slices of a volume in order, else one file; refused files stand alone."""
    found: list[tuple[ParsedFile, ...]] = []
    families: dict[tuple[str, str, str], dict[Path, ParsedFile]] = {}
    for file in files:
        if file.header is None:
            found.append((file,))
        else:
            key = (file.candidate.label, file.candidate.split, file.candidate.patient)
            families.setdefault(key, {})[file.candidate.path] = file
    for family in families.values():
        found.extend(_group_slices(family))
    return sorted(found, key=lambda unit: min(file.order for file in unit))


def _group_slices(family: dict[Path, ParsedFile]) -> Iterator[tuple[ParsedFile, ...]]:
    grouping = series.group_slices([(path, file.header) for path, file in family.items() if file.header])
    for paths in (*grouping.volumes, *((path,) for path in grouping.singles)):
        yield tuple(_with_notes(family[path], grouping.notes.get(path, ())) for path in paths)
    for path, error in grouping.skipped.items():
        yield (ParsedFile(order=family[path].order, candidate=reject(family[path].candidate, error)),)


def _with_notes(file: ParsedFile, notes: tuple[str, ...]) -> ParsedFile:
    if file.header is None or not notes:
        return file
    return replace(file, header=replace(file.header, notes=(*file.header.notes, *notes)))
