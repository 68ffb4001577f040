"""Refuse repeated images: one SOPInstanceUID and the same pixels (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medgan.base.files import digest
from medgan.base.workers import Crew
from medgan.dataset.checks import REPEATED
from medgan.dataset.headers import Opened
from medgan.dataset.measure import drafts
from medgan.dataset.scan_cache import Store
from medgan.dataset.source import Candidate

CONSTANT = "shared-instance-uid"
"""Note of a file whose SOPInstanceUID another file has, with other pixels: a converter's constant, which names no image."""


def without_twins(files: Iterable[Opened], root: Path, store: Store, crew: Crew) -> list[Opened]:
    """Refuse repeated images. The pixels of files that share a UID decide, and those that cannot be used claim nothing."""
    files = list(files)
    families: dict[str, list[Opened]] = {}
    for file in files:
        if file.header and file.header.instance:
            families.setdefault(file.header.instance, []).append(file)
    several = [family for family in families.values() if len(family) > 1]
    if not several:
        return files
    digests = _digests([file for family in several for file in family], root, store, crew)
    settled = {file.order: file for family in several for file in _settle(family, digests)}
    return [settled.get(file.order, file) for file in files]


def _digests(files: Sequence[Opened], root: Path, store: Store, crew: Crew) -> dict[int, str]:
    """{order: digest of the pixels} of the files that can be used; the store keeps what is measured here for whoever reads them next."""
    looked = drafts([(file,) for file in files], root, store, crew)
    found = {}
    for file, made in zip(files, looked, strict=True):
        if usable := [
            draft.record.digest for draft in made if draft.record.ok
        ]:  # one for each kind of frames
            found[file.order] = digest(*usable)
    store.flush()
    return found


def _settle(family: Sequence[Opened], digests: dict[int, str]) -> Iterator[Opened]:
    """The files of one UID, which says nothing any more: their pixels have told them apart."""
    alike: dict[str, list[Opened]] = {}
    for file in family:
        if file.order in digests:
            alike.setdefault(digests[file.order], []).append(file)
    note = (CONSTANT,) if len(alike) > 1 else ()
    refused = {file.order: candidate for twins in alike.values() for file, candidate in _judge(twins)}
    for file in family:
        if file.order in refused:
            yield Opened(order=file.order, candidate=refused[file.order])
        elif file.header:
            header = replace(file.header, instance="", notes=(*file.header.notes, *note))
            yield replace(file, header=header)


def _judge(twins: Sequence[Opened]) -> Iterator[tuple[Opened, Candidate]]:
    """Under two labels none can be trusted; in one split the first stays; across splits all stay (a leak, told later)."""
    conflict = len({file.candidate.label for file in twins}) > 1
    firsts: dict[str, Opened] = {}
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
