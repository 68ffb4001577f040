"""Refuse repeated images: the same SOPInstanceUID and the same pixels.

PS3.3 C.12.1.1.2 makes the UID unique to an image, but some converters write a constant.
"""

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
"""Note on a file that shares its SOPInstanceUID with a file of other pixels: the UID is a converter's
constant."""


def refuse_duplicates(
    files: Iterable[ParsedFile], root: Path, cache: ScanCache, pool: WorkerPool
) -> list[ParsedFile]:
    """Refuse repeated images among files that share a SOPInstanceUID.

    Their pixels decide. A file that cannot be used does not count as the original of another.
    """
    files = list(files)
    families: dict[str, list[ParsedFile]] = {}
    for file in files:
        if file.header and file.header.instance:
            families.setdefault(file.header.instance, []).append(file)
    several = [family for family in families.values() if len(family) > 1]
    if not several:
        return files
    digests = _pixel_digests([file for family in several for file in family], root, cache, pool)
    settled = {file.order: file for family in several for file in _resolve_shared_uid(family, digests)}
    return [settled.get(file.order, file) for file in files]


def _pixel_digests(
    files: Sequence[ParsedFile], root: Path, cache: ScanCache, pool: WorkerPool
) -> dict[int, str]:
    """{order: digest of the pixels} of the files that can be used.

    What is measured here is kept in the cache for the later pass over all pixels.
    """
    looked = measure_scans([(file,) for file in files], root, cache, pool)
    found = {}
    for file, made in zip(files, looked, strict=True):
        if usable := [
            draft.record.digest for draft in made if draft.record.ok
        ]:  # one for each kind of frames
            found[file.order] = digest(*usable)
    cache.flush()
    return found


def _resolve_shared_uid(family: Sequence[ParsedFile], digests: dict[int, str]) -> Iterator[ParsedFile]:
    """Drop the UID that several files share, and refuse those with equal pixels."""
    alike: dict[str, list[ParsedFile]] = {}
    for file in family:
        if file.order in digests:
            alike.setdefault(digests[file.order], []).append(file)
    note = (_SHARED_UID_NOTE,) if len(alike) > 1 else ()
    refused = {file.order: entry for copies in alike.values() for file, entry in _refuse_copies(copies)}
    for file in family:
        if file.order in refused:
            yield ParsedFile(order=file.order, entry=refused[file.order])
        elif file.header:
            header = replace(file.header, instance="", notes=(*file.header.notes, *note))
            yield replace(file, header=header)


def _refuse_copies(twins: Sequence[ParsedFile]) -> Iterator[tuple[ParsedFile, FileEntry]]:
    """Refuse files with the same pixels, except where they leak across splits.

    Under two labels neither can be trusted. Within a split the first one stays. Across splits all stay, and a
    later check reports the leak.
    """
    conflict = len({file.entry.label for file in twins}) > 1
    firsts: dict[str, ParsedFile] = {}
    for file in twins:
        first = firsts.setdefault(file.entry.split, file)
        if conflict:
            other = next(twin for twin in twins if twin.entry.label != file.entry.label).entry
            reason = (
                f"the same image (SOPInstanceUID) as {_short(other.path)}, which is labelled {other.label}"
            )
            yield file, replace(file.entry, verdict="error:label-conflict", reason=reason)
        elif first is not file:
            reason = f"the same image (SOPInstanceUID) as {_short(first.entry.path)}"
            again = REPEATED in file.entry.path.name  # a real image that `balance` wrote again
            verdict = "skip:repeated" if again else "skip:duplicate"
            yield file, replace(file.entry, verdict=verdict, reason=reason)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])
