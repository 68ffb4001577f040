"""Refuse repeated images: one SOPInstanceUID and the same pixels (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medgan.base.files import digest
from medgan.base.workers import WorkerPool
from medgan.dataset.checks import REPEATED
from medgan.dataset.headers import ParsedFile
from medgan.dataset.measure import measure_scans
from medgan.dataset.scan_cache import ScanCache
from medgan.dataset.source import FileEntry

_SHARED_UID_NOTE = "shared-instance-uid"
"""Note of a file whose SOPInstanceUID another file has, with other pixels: a converter's constant, which names no image."""


def refuse_duplicates(
    files: Iterable[ParsedFile], root: Path, store: ScanCache, crew: WorkerPool
) -> list[ParsedFile]:
    """Refuse repeated images. The pixels of files that share a UID decide, and those that cannot be used claim nothing."""
    files = list(files)
    families: dict[str, list[ParsedFile]] = {}
    for file in files:
        if file.header and file.header.instance:
            families.setdefault(file.header.instance, []).append(file)
    several = [family for family in families.values() if len(family) > 1]
    if not several:
        return files
    digests = _pixel_digests([file for family in several for file in family], root, store, crew)
    settled = {file.order: file for family in several for file in _resolve_shared_uid(family, digests)}
    return [settled.get(file.order, file) for file in files]


def _pixel_digests(
    files: Sequence[ParsedFile], root: Path, store: ScanCache, crew: WorkerPool
) -> dict[int, str]:
    """{order: digest of the pixels} of the files that can be used; the store keeps what is measured here for whoever reads them next."""
    looked = measure_scans([(file,) for file in files], root, store, crew)
    found = {}
    for file, made in zip(files, looked, strict=True):
        if usable := [
            draft.record.digest for draft in made if draft.record.ok
        ]:  # one for each kind of frames
            found[file.order] = digest(*usable)
    store.flush()
    return found


def _resolve_shared_uid(family: Sequence[ParsedFile], digests: dict[int, str]) -> Iterator[ParsedFile]:
    """The files of one UID, which says nothing any more: their pixels have told them apart."""
    alike: dict[str, list[ParsedFile]] = {}
    for file in family:
        if file.order in digests:
            alike.setdefault(digests[file.order], []).append(file)
    note = (_SHARED_UID_NOTE,) if len(alike) > 1 else ()
    refused = {file.order: candidate for twins in alike.values() for file, candidate in _refuse_copies(twins)}
    for file in family:
        if file.order in refused:
            yield ParsedFile(order=file.order, candidate=refused[file.order])
        elif file.header:
            header = replace(file.header, instance="", notes=(*file.header.notes, *note))
            yield replace(file, header=header)


def _refuse_copies(twins: Sequence[ParsedFile]) -> Iterator[tuple[ParsedFile, FileEntry]]:
    """Under two labels none can be trusted; in one split the first stays; across splits all stay (a leak, told later)."""
    conflict = len({file.candidate.label for file in twins}) > 1
    firsts: dict[str, ParsedFile] = {}
    for file in twins:
        first = firsts.setdefault(file.candidate.split, file)
        if conflict:
            other = next(twin for twin in twins if twin.candidate.label != file.candidate.label).candidate
            reason = (
                f"the same image (SOPInstanceUID) as {_short(other.path)}, which is labelled {other.label}"
            )
            yield file, replace(file.candidate, verdict="error:label-conflict", reason=reason)
        elif first is not file:
            reason = f"the same image (SOPInstanceUID) as {_short(first.candidate.path)}"
            again = (
                REPEATED in file.candidate.path.name
            )  # as `balance` calls a real image that it writes once more
            verdict = "skip:repeated" if again else "skip:duplicate"
            yield file, replace(file.candidate, verdict=verdict, reason=reason)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])
