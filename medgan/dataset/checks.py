"""Drafts -> Manifest: what only the data set as a whole can tell (odd ones out, conflicts, who the patients are)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medgan.base.files import digest
from medgan.dataset.manifest import Manifest, Record

_MINORITY_SHARE = 0.1
"""Largest share of a class that is left out because its values mean something else than those of the class."""

REPEATED = "_repeated_"
"""In the names of files of a balanced folder that are real images once more."""
_SCALES = {
    "HU": "Hounsfield units",
    "stored": "gray levels of a screen",
    "raw": "arbitrary",
    "display": "arbitrary",
}
"""Kinds of values that cannot share a fixed intensity range; the arbitrary ones are scaled scan by scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredScan:
    """A record before its patient has a name that may be told: that needs the pixels of all of his scans."""

    order: int
    record: Record
    patient: str = ""
    """Raw identifier. Private: it ends here."""
    series: str = ""
    """Digest of the DICOM series, which stands for the patient where none is named: its images are of one body."""
    scanner: str = ""
    """Digest of what took it. It ends here, as a number."""


def finalise_manifest(root: Path, drafts: Iterable[MeasuredScan]) -> Manifest:
    """The manifest of all drafts, in their order."""
    kept, warnings = _refuse_mixed_content(_skip_repeats(sorted(drafts, key=lambda draft: draft.order)))
    return Manifest(
        root=root, records=tuple(_hash_patients(_refuse_conflicts(kept))), warnings=tuple(warnings)
    )


def _skip_repeats(drafts: Sequence[MeasuredScan]) -> list[MeasuredScan]:
    """Leave out what `balance` wrote once more of a real image: it is called so, and the very same image is there under its own name."""
    first: dict[tuple[str, str], str] = {}
    for draft in drafts:
        if draft.record.ok and REPEATED not in Path(draft.record.path).name:
            first.setdefault((draft.record.label, draft.record.digest), draft.record.path)

    def judged(record: Record) -> Record:
        home = first.get((record.label, record.digest))
        if not record.ok or home is None or REPEATED not in Path(record.path).name:
            return record
        return replace(record, verdict="skip:repeated", reason=f"the same image as {home}, once more")

    return [replace(draft, record=judged(draft.record)) for draft in drafts]


def _refuse_conflicts(drafts: Sequence[MeasuredScan]) -> list[MeasuredScan]:
    """The very same pixels under two labels: none of the scans can be trusted."""
    homes: dict[str, dict[str, str]] = {}
    for draft in drafts:
        if draft.record.ok:
            homes.setdefault(draft.record.digest, {}).setdefault(draft.record.label, draft.record.path)

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

    return [replace(draft, record=judged(draft.record)) for draft in drafts]


def _refuse_mixed_content(drafts: Sequence[MeasuredScan]) -> tuple[list[MeasuredScan], list[str]]:
    """Dose reports and screen shots among CT slices: few scans of a class whose values mean something else."""
    kinds: dict[str, Counter[str]] = {}
    for draft in drafts:
        if draft.record.ok:
            kinds.setdefault(draft.record.label, Counter())[_SCALES[draft.record.meaning]] += 1
    usual = {label: count.most_common(1)[0][0] for label, count in kinds.items()}

    def odd(record: Record) -> bool:
        if not record.ok:
            return False
        kind, count = _SCALES[record.meaning], kinds[record.label]
        return kind != usual[record.label] and count[kind] <= _MINORITY_SHARE * count.total()

    refused = [draft for draft in drafts if odd(draft.record)]
    warnings = [
        f"{n} of the scans of class {label} hold other values than the rest ({usual[label]}), as dose reports and "
        f"screen shots do: left out as skip:mixed-content."
        for label, n in sorted(Counter(draft.record.label for draft in refused).items())
    ]
    gone = {draft.order for draft in refused}
    return [_refuse_as_mixed(draft, usual) if draft.order in gone else draft for draft in drafts], warnings


def _refuse_as_mixed(draft: MeasuredScan, usual: dict[str, str]) -> MeasuredScan:
    kind, label = _SCALES[draft.record.meaning], draft.record.label
    reason = f"its values are {kind}, those of nearly all scans of class {label} {usual[label]}"
    return replace(draft, record=replace(draft.record, verdict="skip:mixed-content", reason=reason))


def _hash_patients(drafts: Sequence[MeasuredScan]) -> Iterator[Record]:
    """Each patient by a digest of his own usable images, and of nothing else.

    No identifier takes part, so none can be found by trial from what is written of the records; nor does the name of a file, so
    the same scans under other names are the same patients.
    """
    labels: dict[str, set[str]] = {}
    for draft in drafts:
        labels.setdefault(draft.series, set()).add(draft.record.label)
    bodies = [_patient_key(draft, labels) for draft in drafts]
    images: dict[tuple[str, str], set[str]] = {}
    for draft, body in zip(drafts, bodies, strict=True):
        if draft.record.ok:
            images.setdefault(body, set()).add(draft.record.digest)
    scanners = _number_scanners(drafts)
    for draft, body in zip(drafts, bodies, strict=True):
        name = digest("patient", *sorted(images[body]))[:16] if body in images else ""
        number = scanners.get(draft.scanner, 0)
        yield replace(draft.record, patient=name, named=bool(draft.patient), scanner=number)


def _number_scanners(drafts: Sequence[MeasuredScan]) -> dict[str, int]:
    """{scanner: number from 1}, in an order of their usable images alone, so that no name can be found by trial."""
    first: dict[str, str] = {}
    for draft in drafts:
        if draft.record.ok and draft.scanner:
            least = first.get(draft.scanner, draft.record.digest)
            first[draft.scanner] = min(least, draft.record.digest)
    return {
        name: number for number, name in enumerate(sorted(first, key=lambda one: (first[one], one)), start=1)
    }


def _patient_key(draft: MeasuredScan, labels: Mapping[str, set[str]]) -> tuple[str, str]:
    """What tells whose scan it is: the patient, else the series, else the file. A series under several labels is a converter's constant."""
    if draft.patient:
        return "patient", draft.patient
    if draft.series and len(labels[draft.series]) == 1:
        return "series", draft.series
    return "file", draft.record.path
