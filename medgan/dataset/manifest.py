"""Record and Manifest: every file of a data set with its label, patient, split and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medgan.base.files import digest_of

SPLITS = ("train", "val", "test")

ARRAY = "npz"
"""`Record.format` of an image in a MedMNIST-style array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One scan: a single image, a multi-frame file, a series that forms a volume, a NIfTI volume, a row of an .npz."""

    path: str
    """Relative to the manifest's root, with "/" (absolute for files outside it); for an .npz "file.npz#train/12"."""
    parts: tuple[str, ...] = ()
    """All files of a series that forms a volume, in slice order; empty when `path` is the only file."""
    kind: int = 0
    """Which kind of its frames, where the file holds several (`Header.kinds`): each is a record of its own."""
    label: str = ""
    patient: str = ""
    """Digest (16 hex digits) of the patient's usable images; no identifier is in it. Empty where none of them can be used."""
    named: bool = True
    """Whether the data name the patient (PatientID, sub-XXX, a column); else the series or the file stands for one."""
    split: str = "train"
    verdict: str = "ok"
    """"ok", "skip:<code>" or "error:<code>"."""
    reason: str = ""
    """One sentence for a verdict that is not ok."""
    digest: str = ""
    """SHA-256 of the decoded pixels."""
    slices: tuple[int, ...] = ()
    """Which 2-D images (index along Z) this scan yields for training."""
    format: str = ""
    modality: str = ""
    meaning: str = ""
    body_part: str = ""
    shape: tuple[int, ...] = ()
    """(Z, Y, X)."""
    channels: int = 1
    coloured: float = 0.0
    """Share of the pixels, black ones aside, that have colour."""
    bits: int = 8
    spacing_mm: tuple[float, ...] | None = None
    photometric: str = ""
    """How its colours are stored (`Header.photometric`)."""
    scanner: int = 0
    """Which of the data set's scanners took it, from 1, in an order of their images; 0 when unknown. No name of a scanner is kept."""
    patient_orientation: str = ""
    """Where rows and columns run to in the patient ("L\\P": axial); empty when unknown."""
    levels: tuple[float, ...] = ()
    """Percentiles 0, 0.5, 50, 99.5 and 100 of the pixels, in the scan's own meaning."""
    top: float = 0.0
    """Highest value but for a few stray pixels."""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the scan can be used."""
        return self.verdict == "ok"


def sort_by_content(records: Iterable[Record]) -> tuple[Record, ...]:
    """Usable records in an order of their content alone: the same scans under other file names come in the same order.

    By class, patient and pixels; images of one array file stay together, for it is unpacked as a whole.
    """
    records = tuple(records)
    arrays: dict[str, str] = {}
    for record in records:
        place = _array_file(record)
        arrays[place] = min(arrays.get(place, record.digest), record.digest) if place else ""

    def content(record: Record) -> tuple[object, ...]:
        seen = record.digest, record.slices, record.meaning, record.bits, record.spacing_mm or ()
        return arrays[_array_file(record)], record.label, record.patient, *seen

    return tuple(sorted(records, key=content))


def _array_file(record: Record) -> str:
    return record.path.rpartition("#")[0] if record.format == ARRAY else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """By which rule train patients were moved to val."""

    share: float = 0.0
    """Share of the patients of each class; 0 where none were moved."""
    least: int = 2
    """Patients that a class must have to give one away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All records of a data set, in a stable order."""

    root: Path
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    holdout: Holdout = Holdout()

    @property
    def patients_known(self) -> bool:
        """Whether the data name the patient of every usable scan."""
        return all(record.named for record in self.usable())

    def usable(self, split: str | None = None) -> Iterator[Record]:
        """Records with verdict ok, of one split or of all."""
        return (record for record in self.records if record.ok and split in {None, record.split})

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return tuple(sorted({record.label for record in self.usable()}))

    def counts(self) -> dict[str, dict[str, int]]:
        """{split: {label: scans}}, every label in every split that exists."""
        return self._tally(lambda _: 1)

    def images(self) -> dict[str, dict[str, int]]:
        """{split: {label: 2-D images}}."""
        return self._tally(lambda record: len(record.slices))

    def patients(self) -> dict[str, dict[str, int]]:
        """{split: {label: patients}}."""
        seen: set[tuple[str, str, str]] = set()

        def first_time(record: Record) -> int:
            key = (record.split, record.label, record.patient)
            new = key not in seen
            seen.add(key)
            return int(new)

        return self._tally(first_time)

    def verdicts(self) -> dict[str, int]:
        """{verdict: files}."""
        tally: dict[str, int] = {}
        for record in self.records:
            tally[record.verdict] = tally.get(record.verdict, 0) + max(len(record.parts), 1)
        return dict(sorted(tally.items()))

    def training(self) -> tuple[Record, ...]:
        """Usable train records, less those whose patient or very image is also in val or test (leaks), `sort_by_content`."""
        kept_out = [record for split in SPLITS[1:] for record in self.usable(split)]
        patients = {record.patient for record in kept_out}
        digests = {record.digest for record in kept_out}
        return sort_by_content(
            record
            for record in self.usable("train")
            if record.patient not in patients and record.digest not in digests
        )

    def learned(self) -> dict[str, int]:
        """{label: 2-D images that the generator may learn from}."""
        images: Counter[str] = Counter()
        for record in self.training():
            images[record.label] += len(record.slices)
        return dict(sorted(images.items()))

    @property
    def digest(self) -> str:
        """SHA-256 of what the generator may learn from: pixels, labels and slices of the training records."""
        return digest_of(sorted((record.digest, record.label, record.slices) for record in self.training()))

    def _tally(self, worth: Callable[[Record], int]) -> dict[str, dict[str, int]]:
        splits = [split for split in SPLITS if any(True for _ in self.usable(split))]
        table = {split: dict.fromkeys(self.labels, 0) for split in splits}
        for record in self.usable():
            table[record.split][record.label] += worth(record)
        return table
