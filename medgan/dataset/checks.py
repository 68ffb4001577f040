"""Check what only the data set as a whole shows.

These are label conflicts, scans that do not belong, and which scans are of one patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medgan.base.files import digest
from medgan.dataset.manifest import Manifest, Record

_MINORITY_SHARE = 0.1
"""Largest share of a class that is left out because its values are of another kind than those of the class.
"""

REPEATED = "_repeated_"
"""Marks a file of a balanced folder whose name says that it repeats a real image."""
_SCALES = {
    "HU": "Hounsfield units",
    "stored": "gray levels of a screen",
    "raw": "arbitrary",
    "display": "arbitrary",
}
"""Kinds of values that cannot share a fixed intensity range. The arbitrary ones are scaled scan by scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredScan:
    """A record whose patient does not have a public name yet.

    The name needs the pixels of all of the patient's scans.
    """

    order: int
    record: Record
    patient: str = ""
    """Raw identifier. Private: it goes no further than this module."""
    series: str = ""
    """Digest of the DICOM series, which stands for the patient where none is named: its images are of one
    body."""
    scanner: str = ""
    """Digest of the scanner. Beyond this module it is only a number."""


def finalise_manifest(root: Path, scans: Iterable[MeasuredScan]) -> Manifest:
    """Build the manifest of all measured scans, in their order.

    Repeats, scans of another kind and label conflicts are refused, and patients get their public names.
    """
    kept, warnings = _refuse_mixed_content(_skip_repeats(sorted(scans, key=lambda scan: scan.order)))
    return Manifest(
        root=root, records=tuple(_hash_patients(_refuse_conflicts(kept))), warnings=tuple(warnings)
    )


def _skip_repeats(scans: Sequence[MeasuredScan]) -> list[MeasuredScan]:
    """Skip the repeats of real images that `balance` wrote.

    Such a file is named as a repeat, and the same image is there under its own name.
    """
    first: dict[tuple[str, str], str] = {}
    for scan in scans:
        if scan.record.ok and REPEATED not in Path(scan.record.path).name:
            first.setdefault((scan.record.label, scan.record.digest), scan.record.path)

    def judged(record: Record) -> Record:
        home = first.get((record.label, record.digest))
        if not record.ok or home is None or REPEATED not in Path(record.path).name:
            return record
        return replace(record, verdict="skip:repeated", reason=f"the same image as {home}, once more")

    return [replace(scan, record=judged(scan.record)) for scan in scans]


def _refuse_conflicts(scans: Sequence[MeasuredScan]) -> list[MeasuredScan]:
    """Refuse scans with the same pixels under two labels: neither can be trusted."""
    homes: dict[str, dict[str, str]] = {}
    for scan in scans:
        if scan.record.ok:
            homes.setdefault(scan.record.digest, {}).setdefault(scan.record.label, scan.record.path)

    def judged(record: Record) -> Record:
        others = [
            f"{path}, which is labelled {label}"
            for label, path in homes.get(record.digest, {}).items()
            if label != record.label
        ]
        if not record.ok or not others:
            return record
        reason = f"the same image as {' and '.join(others)}"
        return replace(record, verdict="error:label-conflict", reason=reason)

    return [replace(scan, record=judged(scan.record)) for scan in scans]


def _refuse_mixed_content(scans: Sequence[MeasuredScan]) -> tuple[list[MeasuredScan], list[str]]:
    """Refuse the few scans of a class whose values are of another kind.

    Among CT slices these are dose reports and screenshots, for example.
    """
    kinds: dict[str, Counter[str]] = {}
    for scan in scans:
        if scan.record.ok:
            kinds.setdefault(scan.record.label, Counter())[_SCALES[scan.record.meaning]] += 1
    usual = {label: count.most_common(1)[0][0] for label, count in kinds.items()}

    def odd(record: Record) -> bool:
        if not record.ok:
            return False
        kind, count = _SCALES[record.meaning], kinds[record.label]
        return kind != usual[record.label] and count[kind] <= _MINORITY_SHARE * count.total()

    refused = [scan for scan in scans if odd(scan.record)]
    warnings = [
        f"{n} of the scans of class {label} hold other values than the rest ({usual[label]}), as dose "
        "reports and screenshots do: they were left out as skip:mixed-content."
        for label, n in sorted(Counter(scan.record.label for scan in refused).items())
    ]
    gone = {scan.order for scan in refused}
    return [_refuse_as_mixed(scan, usual) if scan.order in gone else scan for scan in scans], warnings


def _refuse_as_mixed(scan: MeasuredScan, usual: dict[str, str]) -> MeasuredScan:
    kind, label = _SCALES[scan.record.meaning], scan.record.label
    reason = f"its values are {kind}, those of nearly all scans of class {label} {usual[label]}"
    return replace(scan, record=replace(scan.record, verdict="skip:mixed-content", reason=reason))


def _hash_patients(scans: Sequence[MeasuredScan]) -> Iterator[Record]:
    """Name each patient by a digest of their own usable images and nothing else.

    No identifier takes part, so none can be found by trial from what is written about the records. Nor does
    the name of a file, so the same scans under other names are the same patients.
    """
    labels: dict[str, set[str]] = {}
    for scan in scans:
        labels.setdefault(scan.series, set()).add(scan.record.label)
    bodies = [_patient_key(scan, labels) for scan in scans]
    images: dict[tuple[str, str], set[str]] = {}
    for scan, body in zip(scans, bodies, strict=True):
        if scan.record.ok:
            images.setdefault(body, set()).add(scan.record.digest)
    scanners = _number_scanners(scans)
    for scan, body in zip(scans, bodies, strict=True):
        name = digest("patient", *sorted(images[body]))[:16] if body in images else ""
        number = scanners.get(scan.scanner, 0)
        yield replace(scan.record, patient=name, named=bool(scan.patient), scanner=number)


def _number_scanners(scans: Sequence[MeasuredScan]) -> dict[str, int]:
    """Number the scanners from 1, in an order of their usable images alone.

    No name of a scanner can be found by trial from the numbers.
    """
    first: dict[str, str] = {}
    for scan in scans:
        if scan.record.ok and scan.scanner:
            least = first.get(scan.scanner, scan.record.digest)
            first[scan.scanner] = min(least, scan.record.digest)
    return {
        name: number for number, name in enumerate(sorted(first, key=lambda one: (first[one], one)), start=1)
    }


def _patient_key(scan: MeasuredScan, labels: Mapping[str, set[str]]) -> tuple[str, str]:
    """What identifies the patient of a scan: the patient, the series or the file.

    A series that occurs under several labels is a converter's constant and identifies nobody.
    """
    if scan.patient:
        return "patient", scan.patient
    if scan.series and len(labels[scan.series]) == 1:
        return "series", scan.series
    return "file", scan.record.path
