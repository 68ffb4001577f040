"""Warnings about a data set: what a person should know before training.

Each warning is a sentence or two with the next step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from medgan.dataset.colour import count_colours
from medgan.dataset.extents import NOTABLE_FACTOR, has_spacing, measure_extents
from medgan.dataset.manifest import Manifest, Record
from medgan.dataset.outliers import scans_above_range
from medgan.dataset.source import to_valid_text

_HARMLESS = {
    "skip:not-medical",
    "skip:document",
    "skip:special-file",
    "skip:system-file",
    "skip:linked-folder",
    "skip:repeated",
    "skip:dicomdir",
    "skip:pair-member",
    "skip:other-modality",
}
"""Verdicts on files that are not scans by themselves, or that the user asked to leave out."""
_MAX_LEFT_OUT = 0.05
"""Largest share of the scans that may be left out without a warning."""
_CONSTANT_SCANS = 10
"""Number of scans of one class in one series from which the series looks like a constant."""

_FEW_IMAGES = 50
"""Images of a class below which a generator can do little but repeat what it saw."""
_FEW_PATIENTS = 10
"""Patients of a class below which the same holds."""

_MIXED_GRAY_SHARE = 0.1
"""Share of gray scans among coloured ones from which there is a warning."""
_UNREAD_FORMATS = frozenset({"skip:unread-format", "skip:analyze", "skip:freesurfer"})
"""Verdicts on medical images that only need another file format."""

_QUIET_NOTES = {"secondary-capture", "resampled-aspect", "burned-in", "synthetic"}
"""Notes that say how a scan came about, or that the user asked for. They need no warning."""

_NOTE_TEXTS = {
    "burned-in-possible": "do not say whether text is burned into the pixels, which is common for their "
    "kind: "
    "check a few of them, because the generator would learn the text.",
    "shared-instance-uid": "share their SOP Instance UID with a different image, which some converters "
    "cause: "
    "they were told apart by their pixels.",
    "impossible-spacing": "give a pixel size that no scanner has: it was treated as unknown. "
    "Check whether a wrong unit was used.",
    "spacing-conflict": "are NIfTI files with two voxel sizes (sform and pixdim): sides of 1 mm were taken "
    "for a "
    "placeholder, and where neither size is one, the size was treated as unknown. Correct the headers, "
    "or check a few of them.",
    "malformed": "hold a number that cannot be read, such as one with a decimal comma: it was ignored, "
    "and what it describes was treated as unknown.",
    "no-orientation": "do not give their orientation in space: their axes were used as stored. "
    "Check a few of them.",
    "repaired:no-meta": "lack the DICOM file meta group: they were read with a guessed transfer syntax. "
    "Check a few of them.",
    "missing-slices": "come from a series with missing slices, which was split there.",
    "irregular-spacing": "come from a series with uneven gaps: its slices are used as single images.",
    "gantry-tilt": "were taken with a tilted gantry: their slices are sheared.",
    "excess-pixels": "hold more pixel data than their headers say: only the first image was read.",
    "no-rescale": "are CT or PET without Rescale Slope and Intercept, so the unit of their values is unknown "
    "and "
    "each is scaled by its own range. Export them again with both.",
    "incomplete-rescale": "are CT or PET with only one of Rescale Slope and Intercept: slope 1 or intercept "
    "0 was "
    "used for the other. Check a few of them.",
    "no-sop-class": "do not say what kind of DICOM object they are. Check a few of them.",
    "nan-filled": "held NaN or infinite values, which were replaced by background.",
    "first-volume": "hold several volumes in time: the first was read.",
    "circular-pages": "are TIFF files whose list of pages runs in a circle: each page was read once. "
    "Check a few of them.",
    "reduced-to-8-bit": "are 16-bit colour images: they were read with 8 bits.",
}
"""What the notes of scans mean, as the continuation of "They ..."."""


def data_warnings(manifest: Manifest) -> tuple[str, ...]:
    """All warnings about the data set."""
    return (
        *_class_warnings(manifest),
        *_left_out_warnings(manifest),
        *_unusable_warnings(manifest),
        *_unread_warnings(manifest),
        *_patient_warnings(manifest),
        *_duplicate_warnings(manifest),
        *_colour_warnings(manifest),
        *_brightness_warnings(manifest),
        *_scanner_warnings(manifest),
        *_spacing_warnings(manifest),
        *_content_warnings(manifest),
    )


def serious_warnings(manifest: Manifest) -> tuple[str, ...]:
    """The warnings to repeat before synthetic images are made.

    They are for users who have not run `inspect` on the data set.
    """
    return (*small_class_warnings(manifest), *_left_out_warnings(manifest))


def count_duplicates(manifest: Manifest) -> int:
    """Count the scans whose pixels occur earlier in the same class and split."""
    usable = [(record.split, record.label, record.digest) for record in manifest.usable()]
    return len(usable) - len(set(usable))


def _class_warnings(manifest: Manifest) -> Iterator[str]:
    labels = manifest.labels
    if len(labels) == 1:
        yield (
            f"There is only one class, {labels[0]}: nothing can be balanced. "
            "If the classes are folders further down, point medgan at the folder right above them."
        )
    images = manifest.images().get("train", {})
    empty = [label for label in labels if not images.get(label, 0)]
    if empty:
        yield (
            f"{_classes_and_verb(empty)} no image in train, so the generator cannot learn it: move some "
            "there."
        )
    single = [label for label in labels if images.get(label, 0) == 1]
    if single:
        yield (
            f"{_classes_and_verb(single)} a single image: synthetic images would be copies of it. "
            "Add scans, or leave the class out."
        )
    yield from small_class_warnings(manifest)


def small_class_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn of classes so small that a generator may repeat their images."""
    images, patients = manifest.images().get("train", {}), manifest.patients().get("train", {})
    unsure = {record.label for record in manifest.usable("train") if not record.named}

    def people(label: str) -> str:
        """Number of patients as text, or "" where it is not known and not small."""
        count = patients[label]
        if label in unsure and count >= _FEW_PATIENTS:
            return ""
        return f" of {'at most ' * (label in unsure)}{count} patient{'s' * (count != 1)}"

    small = {
        label: f"{count} images{people(label)}"
        for label, count in images.items()
        if count > 1 and (count < _FEW_IMAGES or patients[label] < _FEW_PATIENTS)
    }
    if small:
        yield (
            f"{_small_classes_text(small)} in train (advised: {_FEW_IMAGES} images of {_FEW_PATIENTS} "
            "patients each): synthetic images may be near copies. Add scans, or check for copies before use."
        )


def _left_out_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn where more than a few per cent of the likely scans were left out."""
    verdicts = {verdict: n for verdict, n in manifest.verdicts().items() if verdict not in _HARMLESS}
    skipped = {verdict: n for verdict, n in verdicts.items() if verdict.startswith("skip:")}
    lost, total = sum(skipped.values()), sum(verdicts.values())
    if lost > _MAX_LEFT_OUT * total:
        table = ", ".join(
            f"{verdict} {n:,}" for verdict, n in sorted(skipped.items(), key=lambda one: -one[1])
        )
        yield (
            f"{lost:,} of {total:,} files that look like scans are left out ({table}): "
            "medgan inspect --files says why for each, in case they are meant to be used."
        )


def _classes_and_verb(labels: Sequence[str]) -> str:
    """The classes as the subject of a sentence, followed by "has" or "have"."""
    return f"Class {labels[0]} has" if len(labels) == 1 else f"Classes {', '.join(labels)} have"


def _small_classes_text(classes: Mapping[str, str]) -> str:
    """The beginning of a sentence that says how few images each class has."""
    if len(classes) == 1:
        return "".join(f"Class {label} has only {much}" for label, much in classes.items())
    return f"Classes are small: {', '.join(f'{label} has {much}' for label, much in classes.items())}"


def _unusable_warnings(manifest: Manifest) -> Iterator[str]:
    usable, named = set(manifest.labels), {record.label for record in manifest.records if record.label}
    if named - usable:
        yield (
            f"{_classes_and_verb(sorted(named - usable))} no usable scan: "
            "medgan inspect --files says why for each file."
        )
    verdicts = manifest.verdicts()
    conflicts = verdicts.get("error:label-conflict", 0)
    if conflicts:
        yield (
            f"{conflicts} files hold images that occur under two labels: keep each image under its right "
            "label."
        )
    broken = sum(n for verdict, n in verdicts.items() if verdict.startswith("error:")) - conflicts
    if broken:
        yield f"{broken} files could not be read and were left out: medgan inspect --files says why for each."


def _unread_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn of whole formats that were left out, which the user may expect to be read."""
    left_out = [record for record in manifest.records if record.verdict in _UNREAD_FORMATS]
    if left_out:
        yield (
            f"{len(left_out)} files are of formats that medgan does not read, such as "
            f"{to_valid_text(left_out[0].path)}, and were left out: convert volumes to NIfTI and pictures to "
            "PNG (medgan inspect --files names the format of each)."
        )


def _patient_warnings(manifest: Manifest) -> Iterator[str]:
    train = list(manifest.usable("train"))
    leaks = len(train) - len(manifest.training())
    if leaks:
        yield (
            f"{leaks} train scans were set aside because their patient or the same image is also in val or "
            "test, which the generator must not see. Split the data by patient to use them."
        )
    tested = list(manifest.usable("test"))
    patients, digests = {record.patient for record in tested}, {record.digest for record in tested}
    shared = sum(record.patient in patients or record.digest in digests for record in manifest.usable("val"))
    if shared:
        yield (
            f"{shared} val scans have their patient or the same image in test too, so what is chosen on val "
            "is then judged on the same patients. Split the data by patient."
        )
    yield from _unnamed_patient_warnings(list(manifest.usable()))
    yield from _constant_identifier_warnings(list(manifest.usable()))


def _unnamed_patient_warnings(usable: Sequence[Record]) -> Iterator[str]:
    """Warn of scans whose patient is unknown."""
    unnamed = [record for record in usable if not record.named]
    if unnamed:
        some = f"{len(unnamed):,} of {len(usable):,} scans name no patient and count"
        yield (
            f"{some if len(unnamed) < len(usable) else 'Scans that name no patient count'} as a patient "
            "each, so scans of the same person may be on both sides of a split. "
            "Name patients in a table with the column patient (--labels)."
        )
    for label in sorted({record.label for record in unnamed}):
        own = [record for record in unnamed if record.label == label]
        if len(own) >= _CONSTANT_SCANS and len({record.patient for record in own}) == 1:
            yield (
                f"All {len(own):,} scans of class {label} that name no patient are of one DICOM series, so "
                "they count as one patient. If a converter wrote that series as a constant, name patients in "
                "a table with the column patient (--labels)."
            )


def _constant_identifier_warnings(usable: Sequence[Record]) -> Iterator[str]:
    """Warn of identifiers that stand for several people.

    Careless anonymisation leaves such constants.
    """
    named = [record for record in usable if record.named]
    if len(named) > 1 and len(named) == len(usable) and len({record.patient for record in named}) == 1:
        yield (
            f"All {len(usable)} scans carry the same patient identifier, as careless anonymisation leaves "
            "it. Name patients in a table with the column patient (--labels)."
        )
        return
    for label in sorted({record.label for record in named}):
        scans = Counter(record.patient for record in named if record.label == label)
        most = max(scans.values())
        if len(scans) >= _FEW_PATIENTS and most > scans.total() / 2:
            yield (
                f"{most:,} of the {scans.total():,} scans of class {label} carry the same patient "
                "identifier. If careless anonymisation wrote it, name patients in a table with the column "
                "patient (--labels)."
            )


def _duplicate_warnings(manifest: Manifest) -> Iterator[str]:
    again = count_duplicates(manifest)
    if again:
        yield (
            f"Scans with exactly the pixels of another scan of their class: {again}. Remove them, or they "
            "count twice."
        )


def _colour_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn where the colour of scans is not used as it is."""
    # What is lost where colour images are made gray.
    records = manifest.training()
    colours = count_colours(records)
    stored, lost = f"{colours.stored} scans that are stored as RGB", []
    if colours.coloured:
        lost.append(f"{colours.coloured} have colour")
    if colours.marked:
        lost.append(f"{colours.marked} are gray but for coloured marks")
    # The warning, by what happens to colour.
    plain = len(records) - colours.stored
    if colours.stored and plain:
        mixed = sorted({"1": plain, "3": colours.stored}.items(), key=lambda one: -one[1])
        table = ", ".join(f"{channels}: {n}" for channels, n in mixed)
        shown = f" Of the {stored}, {' and '.join(lost)}." if lost else ""
        yield f"The scans are of mixed numbers of colour channels ({table}): all are made gray.{shown}"
    elif lost and not colours.prevails:
        yield (
            f"Of the {stored}, {' and '.join(lost)}: all are made gray, and marks turn into gray ones, which "
            "a generator learns. Check them (medgan inspect --files lists every file) and remove those that "
            "do not belong."
        )
    elif colours.prevails and colours.gray + colours.marked > _MIXED_GRAY_SHARE * colours.stored:
        yield (
            f"Of the {stored}, {colours.gray + colours.marked} are gray and the others have colour: where "
            "the classes differ in that, colour alone tells them apart. Make all of them gray, or use only "
            "those that have colour."
        )


def _brightness_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn of scans with values beyond the range that the others share."""
    white, odd = scans_above_range(manifest.training())
    if odd:
        brightest = max(odd, key=lambda record: record.levels[-1])
        yield (
            f"{len(odd)} {'scan holds' if len(odd) == 1 else 'scans hold'} values above {white}, beyond "
            "which hardly any pixel goes: those are clipped, because a dead pixel must not darken all other "
            f"images (the highest is {brightest.levels[-1]:.0f}, in {to_valid_text(brightest.path)}). "
            f"Check {'it' if len(odd) == 1 else 'them'}."
        )


def _scanner_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn of classes that come from scanners of their own.

    A classifier can tell such classes by the scanner alone.
    """
    seen: dict[str, Counter[int]] = {}
    for record in manifest.training():
        seen.setdefault(record.label, Counter())[record.scanner] += 1
    apart = [
        label
        for label, own in sorted(seen.items())
        if len(seen) > 1
        and 0 not in own
        and own.total() >= _CONSTANT_SCANS * len(own)  # a name that few scans share is not a scanner's
        and not any(own.keys() & other.keys() for name, other in seen.items() if name != label)
    ]
    if apart:
        yield (
            f"{'Class' if len(apart) == 1 else 'Classes'} {', '.join(apart)} "
            f"{'comes' if len(apart) == 1 else 'come'} from scanners (or, for JPEG files, quantisation "
            "tables) that no other class shares: a classifier may learn the scanner and not the disease. "
            "Use scans of every scanner for every class; medgan evaluate measures what the scanner alone "
            "tells."
        )


def _spacing_warnings(manifest: Manifest) -> Iterator[str]:
    """Warn of pixel spacing that only some scans have, or that is implausible."""
    # Scans without a pixel spacing.
    records = manifest.training()
    unknown = [record for record in records if not has_spacing(record)]
    if 0 < len(unknown) < len(records):
        yield (
            f"{len(unknown)} of {len(records)} scans do not give their pixel spacing (of class "
            f"{', '.join(sorted({record.label for record in unknown}))}): each scan is resized to fill the "
            "image, whatever its size in millimetres. To keep millimetres, add PixelSpacing or leave those "
            "scans out."
        )
    # Sizes in millimetres that hardly go together.
    found = measure_extents(records)
    if found is None or (found.factor <= NOTABLE_FACTOR and not found.odd):
        return
    classes = "; ".join(f"{label} about {size:.0f} mm" for label, size in found.classes.items())
    words = (
        f"By their pixel spacing scans are {found.smallest:.0f} to {found.largest:.0f} mm large ({classes})"
    )
    words += f", {found.odd} of {len(records)} far off the others" if found.odd and not found.doubtful else ""
    if found.placeholders:
        words += f". {found.placeholders} of {len(records)} give pixels of exactly 1 x 1 mm, "
        words += "which converters write when they do not know the size"
    became = (
        "Millimetres are not used, and each scan is resized to fill the image"
        if found.doubtful
        else "Millimetres are kept, so small ones will be small on black"
    )
    yield (
        f"{words}. {became}. Correct PixelSpacing (in NIfTI pixdim) where it is wrong, or leave those scans "
        "out."
    )


def _content_warnings(manifest: Manifest) -> Iterator[str]:
    usable = list(manifest.usable())
    modalities = Counter(record.modality or "unknown" for record in usable)
    step = "choose one with --modality" if len(modalities) > 1 else "move the others out of the folder"
    facts = {
        "modalities": modalities,
        "kinds of values": Counter(record.meaning for record in usable),
    }
    for name, count in facts.items():
        if len(count) > 1:
            table = ", ".join(f"{value}: {n}" for value, n in count.most_common())
            yield f"The scans are of mixed {name} ({table}): {step} if that is not intended."
    notes = Counter(note for record in usable for note in set(record.notes) - _QUIET_NOTES)
    for note, n in sorted(notes.items()):
        yield f"Scans with the note {note}: {n}." + _note_text(note)


def _note_text(note: str) -> str:
    """What a note means, as a sentence.

    A note on a malformed attribute ends in the attribute's keyword.
    """
    words = _NOTE_TEXTS.get(note) or _NOTE_TEXTS.get(note.partition(":")[0])
    return f" They {words}" if words else ""
