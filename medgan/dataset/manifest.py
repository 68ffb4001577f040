"""Every file of a data set with its label, patient, split and verdict."""

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
    """One scan of the data set.

    It is a single image, a multi-frame file, a series that forms a volume, a NIfTI volume, or a row of an
    .npz array.
    """

    path: str
    """Path relative to the manifest's root, with "/" (absolute for files outside it). A row of an .npz array
    is "file.npz#train/12"."""
    parts: tuple[str, ...] = ()
    """All files of a series that forms a volume, in slice order; empty where `path` is the only file."""
    kind: int = 0
    """Number of the series of frames in its file, where the file holds several (`Header.kinds`). Each is a
    record of its own."""
    label: str = ""
    patient: str = ""
    """Digest (16 hex digits) of the patient's usable images, without any identifier. Empty where none of the
    images can be used."""
    named: bool = True
    """Whether the data set names the patient (PatientID, sub-XXX, a column). Otherwise the series or the file
    stands for one."""
    split: str = "train"
    verdict: str = "ok"
    """"ok", "skip:<code>" or "error:<code>"."""
    reason: str = ""
    """A sentence that explains a verdict other than ok."""
    digest: str = ""
    """SHA-256 of the decoded pixels."""
    slices: tuple[int, ...] = ()
    """Indices along Z of the 2-D images that the scan gives for training."""
    format: str = ""
    modality: str = ""
    meaning: str = ""
    body_part: str = ""
    shape: tuple[int, ...] = ()
    """(Z, Y, X)."""
    channels: int = 1
    coloured: float = 0.0
    """Share of the pixels, black ones aside, that are coloured."""
    bits: int = 8
    spacing_mm: tuple[float, ...] | None = None
    photometric: str = ""
    """How the colours are stored (`Header.photometric`)."""
    scanner: int = 0
    """Number of the scanner in the data set, from 1 in an order of their images; 0 when unknown. No name of a
    scanner is kept."""
    patient_orientation: str = ""
    r"""Where rows and columns run to in the patient ("L\\P": axial); empty when unknown."""
    levels: tuple[float, ...] = ()
    """Percentiles 0, 0.5, 50, 99.5 and 100 of the pixels, in the scan's own unit."""
    top: float = 0.0
    """Highest value without a few stray pixels."""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the scan can be used."""
        return self.verdict == "ok"


def sort_by_content(records: Iterable[Record]) -> tuple[Record, ...]:
    """Sort usable records by content alone: class, patient and pixels.

    The same scans under other file names come in the same order. Images of one array file stay together,
    because it is unpacked as a whole.
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


def count_images(records: Iterable[Record]) -> dict[str, int]:
    """{label: 2-D images} of these records."""
    images: Counter[str] = Counter()
    for record in records:
        images[record.label] += len(record.slices)
    return dict(sorted(images.items()))


def digest_records(records: Iterable[Record]) -> str:
    """SHA-256 of the pixels, labels and slices of these records, whatever their order."""
    return digest_of(sorted((record.digest, record.label, record.slices) for record in records))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The rule by which train patients were moved to val."""

    share: float = 0.0
    """Share of the patients of each class; 0 where none were moved."""
    least: int = 2
    """Fewest patients that a class must have to give one away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All records of a data set, in a stable order."""

    root: Path
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    holdout: Holdout = Holdout()

    @property
    def patients_known(self) -> bool:
        """Whether the data set names the patient of every usable scan."""
        return all(record.named for record in self.usable())

    def usable(self, split: str | None = None) -> Iterator[Record]:
        """Yield the records with verdict ok, of one split or of all."""
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
        """Usable train records without leaks, sorted by content.

        A leak is a record whose patient or pixels are also in val or test.
        """
        kept_out = [record for split in SPLITS[1:] for record in self.usable(split)]
        patients = {record.patient for record in kept_out}
        digests = {record.digest for record in kept_out}
        return sort_by_content(
            record
            for record in self.usable("train")
            if record.patient not in patients and record.digest not in digests
        )

    def training_counts(self) -> dict[str, int]:
        """{label: 2-D images that the generator may learn from}."""
        return count_images(self.training())

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels, labels and slices that the generator may learn from."""
        return digest_records(self.training())

    def _tally(self, worth: Callable[[Record], int]) -> dict[str, dict[str, int]]:
        splits = [split for split in SPLITS if any(True for _ in self.usable(split))]
        table = {split: dict.fromkeys(self.labels, 0) for split in splits}
        for record in self.usable():
            table[record.split][record.label] += worth(record)
        return table
