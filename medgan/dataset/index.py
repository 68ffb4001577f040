"""Source -> Manifest: every file opened once, with a verdict; one scan in memory at a time, none kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from medgan.dataset.labels import Candidate, Listing, Source, legible, subject, survey
from medgan.dataset.load import ARRAY, read_files
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.settle import Draft, settle
from medgan.errors import DatasetError, ScanError
from medgan.progress import OnProgress, Progress, ignore
from medgan.scans import arrays, formats, intensity, series, slices
from medgan.scans.scan import Header, Scan

T = TypeVar("T")

EVERY = 25
"""Files between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A candidate after its header was read; `header` is None when it was refused."""

    order: int
    candidate: Candidate
    header: Header | None = None


def index(source: Source, *, on_progress: OnProgress = ignore) -> Manifest:
    """Open every file of `source`; refuse only when not one of them can be used."""
    listing = survey(source)
    drafts = list(_arrays(listing, on_progress) if listing.arrays else _files(listing, source, on_progress))
    manifest = settle(listing.root, drafts)
    if not any(manifest.usable()):
        raise _nothing_usable(manifest)
    return replace(manifest, warnings=(*listing.warnings, *manifest.warnings))


def pixel_digest(scan: Scan) -> str:
    """SHA-256 of shape and pixels: equal digests mean the very same image."""
    total = hashlib.sha256(repr(scan.pixels.shape).encode())
    total.update(np.ascontiguousarray(scan.pixels).data)
    return total.hexdigest()


# --- files: headers first, then pixels ---


def _files(listing: Listing, source: Source, on_progress: OnProgress) -> Iterator[Draft]:
    opened = _refuse_twins(
        [
            _open(order, candidate, source, listing.root)
            for order, candidate in _counted(listing.candidates, "headers", on_progress)
        ]
    )
    units = _units(opened)
    for _, unit in _counted(units, "pixels", on_progress):
        yield from _decode(unit, listing.root)


def _counted(items: Sequence[T], words: str, on_progress: OnProgress) -> Iterator[tuple[int, T]]:
    for n, item in enumerate(items):
        yield n, item
        if (n + 1) % EVERY == 0 or n + 1 == len(items):
            on_progress(Progress("reading", n + 1, len(items), words))


def _open(order: int, candidate: Candidate, source: Source, root: Path) -> Opened:
    """Read the header, and refuse what the header alone refuses."""
    if candidate.verdict != "ok":
        return Opened(order=order, candidate=candidate)
    try:
        header = formats.read_header(candidate.path, label_tag=source.label_tag)
    except ScanError as error:
        return Opened(order=order, candidate=_refused(candidate, error))
    candidate = _judge(candidate, header, source, root)
    return Opened(order=order, candidate=candidate, header=header if candidate.verdict == "ok" else None)


def _judge(candidate: Candidate, header: Header, source: Source, root: Path) -> Candidate:
    """What place and header together say of label, patient and verdict."""
    known = replace(
        candidate,
        label=candidate.label or legible(header.label),
        patient=candidate.patient or header.patient or subject(_relative(candidate.path, root)),
    )
    if not known.label:
        return replace(known, verdict="skip:no-label")
    verdict, reason = _unwanted(header, source)
    return replace(known, verdict=verdict, reason=reason)


def _unwanted(header: Header, source: Source) -> tuple[str, str]:
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


def _refused(candidate: Candidate, error: ScanError) -> Candidate:
    reason = f"{error.message} ({error.hint})" if error.hint else error.message
    return replace(candidate, verdict=error.verdict, reason=reason)


def _refuse_twins(files: Iterable[Opened]) -> list[Opened]:
    """The same SOPInstanceUID twice is the same image twice (PS3.3 C.12.1.1.2)."""
    files = list(files)
    families: dict[str, list[Opened]] = {}
    for file in files:
        if file.header and file.header.instance:
            families.setdefault(file.header.instance, []).append(file)
    verdicts: dict[int, Candidate] = {}
    for family in families.values():
        verdicts |= {file.order: candidate for file, candidate in _judge_family(family)}
    return [
        Opened(order=file.order, candidate=verdicts[file.order]) if file.order in verdicts else file
        for file in files
    ]


def _judge_family(family: Sequence[Opened]) -> Iterator[tuple[Opened, Candidate]]:
    """Under two labels none can be trusted; in one split the first stays; across splits all stay (a leak, told later)."""
    conflict = len({file.candidate.label for file in family}) > 1
    firsts: dict[str, Opened] = {}
    for file in family:
        first = firsts.setdefault(file.candidate.split, file)
        if conflict:
            other = next(twin for twin in family if twin.candidate.label != file.candidate.label).candidate
            reason = (
                f"the same image (SOPInstanceUID) as {_short(other.path)}, which is labelled {other.label}"
            )
            yield file, replace(file.candidate, verdict="error:label-conflict", reason=reason)
        elif first is not file:
            reason = f"the same image (SOPInstanceUID) as {_short(first.candidate.path)}"
            yield file, replace(file.candidate, verdict="skip:duplicate", reason=reason)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _units(files: Iterable[Opened]) -> list[tuple[Opened, ...]]:
    """What is read together: the slices of a volume in order, else one file; refused files stand alone."""
    units: list[tuple[Opened, ...]] = []
    families: dict[tuple[str, str, str], dict[Path, Opened]] = {}
    for file in files:
        if file.header is None:
            units.append((file,))
        else:
            key = (file.candidate.label, file.candidate.split, file.candidate.patient)
            families.setdefault(key, {})[file.candidate.path] = file
    for family in families.values():
        units.extend(_stacked(family))
    return sorted(units, key=lambda unit: min(file.order for file in unit))


def _stacked(family: dict[Path, Opened]) -> Iterator[tuple[Opened, ...]]:
    grouping = series.group([(path, file.header) for path, file in family.items() if file.header])
    for paths in (*grouping.volumes, *((path,) for path in grouping.singles)):
        yield tuple(_noted(family[path], grouping.notes.get(path, ())) for path in paths)
    for path, error in grouping.skipped.items():
        yield (Opened(order=family[path].order, candidate=_refused(family[path].candidate, error)),)


def _noted(file: Opened, notes: tuple[str, ...]) -> Opened:
    return (
        replace(file, header=replace(file.header, notes=(*file.header.notes, *notes)))
        if file.header
        else file
    )


def _decode(unit: tuple[Opened, ...], root: Path) -> Iterator[Draft]:
    if unit[0].header is None:
        yield _unusable(unit, root, unit[0].candidate)
        return
    try:
        scan = read_files(tuple(file.candidate.path for file in unit))
        yield _measured(unit, scan, root)
    except ScanError as error:
        yield from _salvaged(unit, error, root)


def _salvaged(unit: tuple[Opened, ...], error: ScanError, root: Path) -> Iterator[Draft]:
    """One bad slice must not take its volume along: the others are grouped anew without it."""
    bad = {file.order: problem for file in unit if (problem := _problem(file))} if len(unit) > 1 else {}
    if not bad:
        yield _unusable(unit, root, _refused(unit[0].candidate, error))
        return
    for file in unit:
        if file.order in bad:
            yield _unusable((file,), root, _refused(file.candidate, bad[file.order]))
    for part in _units(file for file in unit if file.order not in bad):
        yield from _decode(part, root)


def _problem(file: Opened) -> ScanError | None:
    try:
        formats.read(file.candidate.path)
    except ScanError as error:
        return error
    return None


# --- records ---


def _unusable(unit: tuple[Opened, ...], root: Path, candidate: Candidate) -> Draft:
    paths = tuple(_relative(file.candidate.path, root) for file in unit)
    return Draft(
        order=min(file.order for file in unit),
        patient=candidate.patient,
        record=Record(
            path=paths[0],
            parts=paths if len(paths) > 1 else (),
            label=candidate.label,
            split=candidate.split,
            verdict=candidate.verdict,
            reason=candidate.reason,
        ),
    )


def _measured(unit: tuple[Opened, ...], scan: Scan, root: Path) -> Draft:
    first = unit[0]
    assert first.header is not None, "only opened files are decoded"
    named = _unusable(unit, root, first.candidate)
    record = replace(
        facts(named.record, scan),
        format=first.header.format,
        body_part=first.header.body_part,
        notes=tuple(dict.fromkeys((*first.header.notes, *scan.notes))),
    )
    return replace(named, record=record)


def facts(record: Record, scan: Scan) -> Record:
    """`record` with everything that is measured on the pixels."""
    return replace(
        record,
        digest=pixel_digest(scan),
        slices=slices.choose(scan),
        modality=scan.modality,
        meaning=scan.meaning,
        shape=scan.pixels.shape[:3],
        channels=scan.pixels.shape[3] if scan.pixels.ndim > len("ZYX") else 1,
        bits=scan.bits,
        spacing_mm=scan.spacing_mm,
        levels=intensity.percentiles(scan.pixels),
        notes=scan.notes,
    )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.absolute().as_posix()


def _arrays(listing: Listing, on_progress: OnProgress) -> Iterator[Draft]:
    """Every image of every MedMNIST-style array; it knows no patients."""
    order = 0
    for path in listing.arrays:
        name = _relative(path, listing.root)
        try:
            rows = [
                (split, n, label)
                for split, names in arrays.labels(path).items()
                for n, label in enumerate(names)
            ]
        except ScanError as error:
            yield Draft(order=order, record=Record(path=name, verdict=error.verdict, reason=error.message))
            continue
        for _, (split, n, label) in _counted(rows, "images", on_progress):
            order += 1
            record = Record(path=f"{name}#{split}/{n}", label=label, split=split, format=ARRAY)
            yield Draft(order=order, record=_row(path, record, split, n))


def _row(path: Path, record: Record, split: str, n: int) -> Record:
    try:
        return facts(record, arrays.read(path, split, n))
    except ScanError as error:
        return replace(record, verdict=error.verdict, reason=error.message)


def _nothing_usable(manifest: Manifest) -> DatasetError:
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in manifest.verdicts().items())
    first = manifest.records[0]
    reason = next((record for record in manifest.records if record.verdict.startswith("error:")), first)
    return DatasetError(
        f"{legible(str(manifest.root))} has no usable scan: {verdicts}. For example "
        f"{legible(reason.path)}: {legible(reason.reason)}",
        hint="Mend the files or labels, or point at another folder; supported are DICOM, NIfTI, PNG, JPEG, TIFF.",
    )
