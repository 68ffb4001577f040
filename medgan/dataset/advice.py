"""Manifest -> warnings: what a person should know before training, each in words and with the next step."""

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
"""Verdicts of files that are no scans by themselves, or that the user asked to leave out."""
_MAX_LEFT_OUT = 0.05
"""Share of the scans that may be left out without a word."""
_CONSTANT_SCANS = 10
"""Scans of one class in one series from which on the series looks like a constant."""

_FEW_IMAGES = 50
_FEW_PATIENTS = 10
"""Below these a generator can do little but repeat what it saw."""

_MIXED_GRAY_SHARE = 0.1
"""Share of gray scans among coloured ones from which on it is worth a word."""
_UNREAD_FORMATS = frozenset({"skip:unread-format", "skip:analyze", "skip:freesurfer"})
"""Verdicts on medical images that only need another format."""

_QUIET_NOTES = {"secondary-capture", "resampled-aspect", "burned-in", "synthetic"}
"""Notes that tell how a scan came about, or that the user asked for: nothing to warn of."""

_NOTE_TEXTS = {
    "burned-in-possible": "do not say whether text is burned into the pixels, as their kind may have it: check a few, for the generator would learn the text.",
    "shared-instance-uid": "carry the SOP Instance UID of another image, as some converters leave it: their pixels told them apart.",
    "impossible-spacing": "name a pixel size that no scanner has: it was taken as unknown, so look for a slip of unit.",
    "spacing-conflict": "are NIfTI files that name two sizes of a voxel (sform and pixdim): sides of 1 mm were taken for a placeholder, and where neither "
    "are, the size counts as unknown, so correct the headers or look at a few.",
    "malformed": "hold a number that cannot be read, as one with a decimal comma: it was passed over, and what it tells counts as unknown.",
    "no-orientation": "do not say how they lie in space: their axes were taken as stored, so look at a few.",
    "repaired:no-meta": "lack the DICOM file meta group: they were read with a guessed transfer syntax, so look at a few.",
    "missing-slices": "come from a series with missing slices, which was parted there.",
    "irregular-spacing": "come from a series with uneven gaps: its slices are used, but one by one.",
    "gantry-tilt": "were taken with a tilted gantry: their slices lie aslant.",
    "excess-pixels": "hold more pixel data than their headers say: only the first image was read.",
    "no-rescale": "are CT or PET without Rescale Slope and Intercept, so the unit of their values is unknown and each is scaled by its own range: "
    "export them anew with both.",
    "incomplete-rescale": "are CT or PET with only one of Rescale Slope and Intercept: the other was taken as slope 1 or intercept 0, so look at a few.",
    "no-sop-class": "do not say what kind of DICOM object they are: look at a few.",
    "nan-filled": "held values that are no numbers: those were replaced by background.",
    "first-volume": "hold several volumes in time: the first was read.",
    "circular-pages": "are TIFF files whose list of pages leads back into itself: each page was read once, so look at a few.",
    "reduced-to-8-bit": "are 16-bit colour images: they were read with 8 bits.",
}
"""What the notes of scans mean, after "<n> scans"."""


def data_warnings(manifest: Manifest) -> tuple[str, ...]:
    """All warnings about the data set as it stands."""
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
    """What must be known before synthetic images are made, by whoever has not looked at the data set with `inspect`."""
    return (*small_class_warnings(manifest), *_left_out_warnings(manifest))


def count_duplicates(manifest: Manifest) -> int:
    """Scans whose very pixels occur earlier under the same label in the same split."""
    usable = [(record.split, record.label, record.digest) for record in manifest.usable()]
    return len(usable) - len(set(usable))


def _class_warnings(manifest: Manifest) -> Iterator[str]:
    labels = manifest.labels
    if len(labels) == 1:
        yield (
            f"There is only one class, {labels[0]}: nothing can be balanced. If the classes lie in folders further down, "
            "point medgan at the folder right above them."
        )
    images = manifest.images().get("train", {})
    empty = [label for label in labels if not images.get(label, 0)]
    if empty:
        yield f"{_classes_and_verb(empty)} no image in train, so nothing can be learnt of it: move some there."
    single = [label for label in labels if images.get(label, 0) == 1]
    if single:
        yield f"{_classes_and_verb(single)} a single image: synthetic ones would be copies of it. Add scans or leave it out."
    yield from small_class_warnings(manifest)


def small_class_warnings(manifest: Manifest) -> Iterator[str]:
    """The classes of which a generator has so few images or patients that it may repeat them."""
    images, patients = manifest.images().get("train", {}), manifest.patients().get("train", {})
    unsure = {record.label for record in manifest.usable("train") if not record.named}

    def people(label: str) -> str:
        """How many patients, at most where some scans name none; nothing where that is no news."""
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
            f"{_small_classes_text(small)} in train (advised: {_FEW_IMAGES} images of {_FEW_PATIENTS} patients each): "
            "synthetic ones may be near copies. Add scans, or check them for copies before use."
        )


def _left_out_warnings(manifest: Manifest) -> Iterator[str]:
    """A summary where more than a few per cent of the files that look like scans are passed over."""
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
    """The classes as the subject of a sentence, with its verb."""
    return f"Class {labels[0]} has" if len(labels) == 1 else f"Classes {', '.join(labels)} have"


def _small_classes_text(classes: Mapping[str, str]) -> str:
    """The same for {label: how much it has}."""
    if len(classes) == 1:
        return "".join(f"Class {label} has only {much}" for label, much in classes.items())
    return f"Classes are small: {', '.join(f'{label} has {much}' for label, much in classes.items())}"


def _unusable_warnings(manifest: Manifest) -> Iterator[str]:
    usable, named = set(manifest.labels), {record.label for record in manifest.records if record.label}
    if named - usable:
        yield f"{_classes_and_verb(sorted(named - usable))} no usable scan: medgan inspect --files says why for each file."
    verdicts = manifest.verdicts()
    conflicts = verdicts.get("error:label-conflict", 0)
    if conflicts:
        yield f"{conflicts} files hold images that occur under two labels: keep each under the right one."
    broken = sum(n for verdict, n in verdicts.items() if verdict.startswith("error:")) - conflicts
    if broken:
        yield f"{broken} files could not be read and were left out: medgan inspect --files says why for each."


def _unread_warnings(manifest: Manifest) -> Iterator[str]:
    """Whole formats are left out: the user may take them for part of the data set."""
    left_out = [record for record in manifest.records if record.verdict in _UNREAD_FORMATS]
    if left_out:
        yield (
            f"{len(left_out)} files are of formats that medgan does not read, such as {to_valid_text(left_out[0].path)}, and were left out: convert them, "
            "volumes to NIfTI and pictures to PNG (medgan inspect --files names the format of each)."
        )


def _patient_warnings(manifest: Manifest) -> Iterator[str]:
    train = list(manifest.usable("train"))
    leaks = len(train) - len(manifest.training())
    if leaks:
        yield (
            f"{leaks} train scans were set aside, because their patient or the very image is also in val or test: "
            "the generator must not see those. Split by patient to use them."
        )
    tested = list(manifest.usable("test"))
    patients, digests = {record.patient for record in tested}, {record.digest for record in tested}
    shared = sum(record.patient in patients or record.digest in digests for record in manifest.usable("val"))
    if shared:
        yield (
            f"{shared} val scans have their patient or the very image in test too: what is chosen on val is then judged by the same. "
            "Split by patient."
        )
    yield from _unnamed_patient_warnings(list(manifest.usable()))
    yield from _constant_identifier_warnings(list(manifest.usable()))


def _unnamed_patient_warnings(usable: Sequence[Record]) -> Iterator[str]:
    """Scans of which nobody knows whose they are."""
    unnamed = [record for record in usable if not record.named]
    if unnamed:
        some = f"{len(unnamed):,} of {len(usable):,} scans name no patient and count"
        yield (
            f"{some if len(unnamed) < len(usable) else 'Scans that name no patient count'} as a patient each, "
            "so scans of one may lie on both sides of a split. "
            "Name patients in a table with the column patient (--labels)."
        )
    for label in sorted({record.label for record in unnamed}):
        own = [record for record in unnamed if record.label == label]
        if len(own) >= _CONSTANT_SCANS and len({record.patient for record in own}) == 1:
            yield (
                f"All {len(own):,} scans of class {label} that name no patient are of one DICOM series, so they count as one patient. "
                "If that is a constant of a converter, name patients in a table with the column patient (--labels)."
            )


def _constant_identifier_warnings(usable: Sequence[Record]) -> Iterator[str]:
    """Identifiers that stand for more than one person, as careless anonymisation leaves them."""
    named = [record for record in usable if record.named]
    if len(named) > 1 and len(named) == len(usable) and len({record.patient for record in named}) == 1:
        yield (
            f"All {len(usable)} scans carry the same patient identifier, as careless anonymisation leaves it. "
            "Name patients in a table with the column patient (--labels)."
        )
        return
    for label in sorted({record.label for record in named}):
        scans = Counter(record.patient for record in named if record.label == label)
        most = max(scans.values())
        if len(scans) >= _FEW_PATIENTS and most > scans.total() / 2:
            yield (
                f"{most:,} of the {scans.total():,} scans of class {label} carry the same patient identifier. If that is a constant of "
                "careless anonymisation, name patients in a table with the column patient (--labels)."
            )


def _duplicate_warnings(manifest: Manifest) -> Iterator[str]:
    again = count_duplicates(manifest)
    if again:
        yield f"Scans whose very pixels another of their class has: {again}. Remove them, or they count twice."


def _colour_warnings(manifest: Manifest) -> Iterator[str]:
    """What becomes of colour, where it is not kept as it is."""
    records = manifest.training()
    colours = count_colours(records)
    stored, lost = f"{colours.stored} scans that are stored as RGB", []
    if colours.coloured:
        lost.append(f"{colours.coloured} have colour")
    if colours.marked:
        lost.append(f"{colours.marked} are gray but for coloured marks")
    plain = len(records) - colours.stored
    if colours.stored and plain:
        mixed = sorted({"1": plain, "3": colours.stored}.items(), key=lambda one: -one[1])
        table = ", ".join(f"{channels}: {n}" for channels, n in mixed)
        shown = f" Of the {stored}, {' and '.join(lost)}." if lost else ""
        yield f"The scans are of mixed numbers of colour channels ({table}): all are made gray.{shown}"
    elif lost and not colours.prevails:
        yield (
            f"Of the {stored}, {' and '.join(lost)}: all are made gray, and marks turn into gray ones, which a generator learns. "
            "Look at them (medgan inspect --files lists every file), and remove those that are not meant."
        )
    elif colours.prevails and colours.gray + colours.marked > _MIXED_GRAY_SHARE * colours.stored:
        yield (
            f"Of the {stored}, {colours.gray + colours.marked} are gray, the others have colour: where the classes differ in that, "
            "colour alone tells them apart. Make all of them gray, or keep to those that have colour."
        )


def _brightness_warnings(manifest: Manifest) -> Iterator[str]:
    """Scans beyond the range that the others share."""
    white, odd = scans_above_range(manifest.training())
    if odd:
        brightest = max(odd, key=lambda record: record.levels[-1])
        yield (
            f"{len(odd)} {'scan holds' if len(odd) == 1 else 'scans hold'} values above {white}, where nearly all pixels end: those are "
            f"clipped, for a dead pixel must not darken all other images (the highest is {brightest.levels[-1]:.0f}, in "
            f"{to_valid_text(brightest.path)}). Look at {'it' if len(odd) == 1 else 'them'}."
        )


def _scanner_warnings(manifest: Manifest) -> Iterator[str]:
    """Classes that come from scanners of their own, by which alone a classifier can tell them."""
    seen: dict[str, Counter[int]] = {}
    for record in manifest.training():
        seen.setdefault(record.label, Counter())[record.scanner] += 1
    apart = [
        label
        for label, own in sorted(seen.items())
        if len(seen) > 1
        and 0 not in own
        and own.total()
        >= _CONSTANT_SCANS * len(own)  # a name that hardly any other scan has is of no scanner
        and not any(own.keys() & other.keys() for name, other in seen.items() if name != label)
    ]
    if apart:
        yield (
            f"{'Class' if len(apart) == 1 else 'Classes'} {', '.join(apart)} {'comes' if len(apart) == 1 else 'come'} from scanners (or, of JPEG files, "
            "quantisation tables) of which no scan of another class is: a classifier may learn the scanner and not the disease. Let every class come from every scanner; "
            "medgan evaluate says what the scanner alone tells."
        )


def _spacing_warnings(manifest: Manifest) -> Iterator[str]:
    """Pixel spacing that only some scans know, or that can hardly be true of all."""
    records = manifest.training()
    unknown = [record for record in records if not has_spacing(record)]
    if 0 < len(unknown) < len(records):
        yield (
            f"{len(unknown)} of {len(records)} scans do not say how large their pixels are (of class "
            f"{', '.join(sorted({record.label for record in unknown}))}): each scan is resized to fill, whatever its millimetres. "
            "Complete PixelSpacing, or leave those scans out, to keep millimetres."
        )
    found = measure_extents(records)
    if found is None or (found.factor <= NOTABLE_FACTOR and not found.odd):
        return
    classes = "; ".join(f"{label} about {size:.0f} mm" for label, size in found.classes.items())
    words = (
        f"By their pixel spacing scans are {found.smallest:.0f} to {found.largest:.0f} mm large ({classes})"
    )
    words += f", {found.odd} of {len(records)} far off the others" if found.odd and not found.doubtful else ""
    if found.placeholders:
        words += f". {found.placeholders} of {len(records)} name pixels of exactly 1 x 1 mm, as converters do that do not know"
    became = (
        "Millimetres are not believed, and each scan is resized to fill"
        if found.doubtful
        else "Millimetres are kept, so small ones will be small on black"
    )
    yield f"{words}. {became}. Mend PixelSpacing (in NIfTI pixdim) where it is wrong, or leave those scans out."


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
            yield f"The scans are of mixed {name} ({table}): {step} if that is not meant."
    notes = Counter(note for record in usable for note in set(record.notes) - _QUIET_NOTES)
    for note, n in sorted(notes.items()):
        yield f"Scans with the note {note}: {n}." + _note_text(note)


def _note_text(note: str) -> str:
    """What a note means, as a sentence; those of malformed attributes end in the attribute's keyword."""
    words = _NOTE_TEXTS.get(note) or _NOTE_TEXTS.get(note.partition(":")[0])
    return f" They {words}" if words else ""
