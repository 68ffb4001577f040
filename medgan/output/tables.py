"""The files that describe an output folder, as text: tables, data list, data card."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medgan.base.escape import escape_cell, escape_markdown, unescape_cell
from medgan.output.roles import MADE_WEIGHT, REPEATED, Role, role_of
from medgan.scans.raster import sample_range
from medgan.scans.scan import OutputFormat

CONTACT_SHEET = "contact-sheet.png"
_REJECTED_COLUMNS = ("label", "seed", "reason", "nearest_real", "nearest_distance", "class_odds", "realism")
"""Columns of rejected.csv."""
_PICTURES = {"png", "jpeg", "tiff"}
"""Formats that the image folder of Hugging Face reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One image file: a line of manifest.csv, with the columns of its role appended.

    It holds no source path and no raw patient identifier.
    """

    path: str
    """Relative to the output folder, with "/"."""
    label: str
    label_id: int
    """Position of the class folder in sorted order, as torchvision's ImageFolder numbers classes."""
    origin: str
    """"real" or "synthetic"."""
    is_synthetic: str
    """"true" or "false"."""
    split: str = "train"
    """"train"; "val" or "test" where `prepare` wrote that one; empty where it wrote all together."""
    format: str
    sop_instance_uid: str = ""
    """DICOM only."""
    seed: int | str = ""
    """Of a synthetic image: `sample --label <label> --seed <seed> --count 1 --no-filter` draws it again."""
    index: int
    """Number in the file's name; of a synthetic image seed + 1."""
    model_digest: str = ""
    """SHA-256 of the generator's weights."""
    patient: str = ""
    """Of a real image: a digest of all images of its patient, the same for each of them."""
    repeats: str = ""
    """Of a real image that is repeated: the path of the file that it is once more."""
    rows: int
    columns: int
    spacing_mm: str = ""
    """"row spacing x column spacing" in millimetres; empty when unknown."""
    unit: str = ""
    low: float | str = ""
    """What black stands for, in `unit`."""
    high: float | str = ""
    """What white stands for, in `unit`."""
    pixel_sha256: str = ""
    """SHA-256 of the decoded pixels: equal digests are equal images, whatever the header says."""
    filter: str = ""
    """Of a synthetic image: "kept", "in-doubt" (it shows its class less surely than real images, but too few
    others were left) or "off"."""
    nearest_real: str = ""
    """The training image nearest to a synthetic one, by the name that `--real prepared` gives it."""
    nearest_distance: float | str = ""
    """1 - correlation with it."""
    class_odds: float | str = ""
    """Log-odds of its own class, to the judge of classes."""
    realism: float | str = ""
    """From 1 on: as near to a real image as that one's own neighbours are."""
    tool_version: str

    @property
    def counts_as(self) -> str:
        """What tables count it as: "real", "repeated" or "synthetic"."""
        return REPEATED if self.repeats else self.origin

    @property
    def role(self) -> Role:
        """What a trainer should do with it."""
        name = (self.repeats or self.path).rpartition("/")[2]
        return role_of(name, self.patient, made=self.origin == "synthetic", repeated=bool(self.repeats))


_LIST_KEYS = {"train": "training", "val": "validation", "test": "test", "": "training"}
"""{split: the key of MONAI's data lists for it}."""
_SPLIT_TEXTS = {
    "train": "Every image belongs to the train split: synthetic images must never be in a validation or test "
    "set.",
    "val": "Every image belongs to the validation split: choose by them, and learn nothing from them.",
    "test": "Every image belongs to the test split: judge by them once, at the end, and learn nothing from "
    "them.",
    "": "Images of every split lie here together: divide them by patient (column `group`) before anything "
    "learns from them.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContents:
    """All that the data card and datalist.json tell."""

    command: str
    folders: Mapping[str, str]
    """{label: class folder}."""
    rows: Sequence[ManifestRow]
    form: OutputFormat
    real: str = "none"
    """"prepared", "link" or "none"."""
    tool: str
    model: str = ""
    data: str = ""
    """SHA-256 of the data the model learned from."""
    share: Mapping[str, Any] = field(default_factory=dict)
    """`Written.share`; empty where none was asked for."""
    notes: Sequence[str] = ()
    """`Written.notes`."""
    checks: str = ""
    """Text on what the filter checked and found."""
    cautions: Sequence[str] = ()
    """Sentences on classes of which there is little to learn."""
    split: str = "train"
    """Whose images these are: "train"; "val" or "test", from which nothing may learn; or "", all together."""

    @property
    def list_key(self) -> str:
        """The key of a MONAI data list under which these images stand."""
        return _LIST_KEYS[self.split]

    @property
    def ids(self) -> dict[str, int]:
        """{label: number}, numbered like torchvision's ImageFolder, by sorted folder name."""
        return label_ids(self.folders)

    def tally(self, kind: str) -> dict[str, int]:
        """{label: files that count as "real", "repeated" or "synthetic"}."""
        counts = dict.fromkeys(self.folders, 0)
        for row in self.rows:
            counts[row.label] += row.counts_as == kind
        return counts


def label_ids(folders: Mapping[str, str]) -> dict[str, int]:
    """{label: number} by sorted folder name."""
    return {label: number for number, label in enumerate(sorted(folders, key=folders.__getitem__))}


def spacing_text(spacing_mm: tuple[float, ...] | None) -> str:
    """(Z, Y, X) as "Y x X" without spaces, or nothing."""
    return "x".join(repr(float(side)) for side in spacing_mm[-2:]) if spacing_mm else ""


def manifest_csv(rows: Sequence[ManifestRow]) -> str:
    """RFC 4180 text of manifest.csv, one line per file, with texts of others escaped."""
    names = [field.name for noun in (ManifestRow, Role) for field in dataclasses.fields(noun)]
    return _csv(names, ((*dataclasses.astuple(row), *dataclasses.astuple(row.role)) for row in rows))


def is_image_folder(rows: Sequence[ManifestRow]) -> bool:
    """Whether the image folder of Hugging Face can read every image."""
    return {row.format for row in rows} <= _PICTURES


def metadata_csv(rows: Sequence[ManifestRow]) -> str:
    """The same in short for `datasets.load_dataset("imagefolder", data_dir=...)`."""
    names = ("file_name", "label", "label_id", *(field.name for field in dataclasses.fields(Role)))
    return _csv(names, ((row.path, row.label, row.label_id, *dataclasses.astuple(row.role)) for row in rows))


def _csv(names: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows(_cells(line) for line in lines)
    return text.getvalue()


def _cells(values: Iterable[object]) -> Iterator[object]:
    return (escape_cell(value) if isinstance(value, str) else value for value in values)


def unescape_row(line: Mapping[str, str]) -> dict[str, str]:
    """A line of manifest.csv from csv.DictReader, with its texts unescaped."""
    return {name: unescape_cell(text) for name, text in line.items()}


def datalist_json(contents: FolderContents) -> str:
    """A MONAI data list.

    Load it with `load_decathlon_datalist("datalist.json", False, "training")`. Images of a split that is not
    for training stand under a key of their own.
    """
    labels = {str(number): label for label, number in contents.ids.items()}
    items = [_item(row) for row in contents.rows]
    return json.dumps({"labels": labels, contents.list_key: items}, indent=1, ensure_ascii=False) + "\n"


def _item(row: ManifestRow) -> dict[str, str | float]:
    role = row.role
    return {
        "image": row.path,
        "label": row.label_id,
        "made": role.made,
        "kind": role.kind,
        "weight": role.weight,
        "stage": role.stage,
        "group": role.group,
    }


def rejected_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """RFC 4180 text of rejected.csv, one line per rejected candidate."""
    return _csv(_REJECTED_COLUMNS, ([row[name] for name in _REJECTED_COLUMNS] for row in rows))


def checksums(digests: Mapping[str, str]) -> str:
    """{relative path: SHA-256} as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))


def data_card(contents: FolderContents) -> str:
    """The data card: contents, origin, checks, intended use and limits."""
    sections = [
        "# Data card",
        _opening(contents),
        f"![Some images of every class]({CONTACT_SHEET})",
        "## Contents",
        _table(contents),
        *(f"**{escape_markdown(sentence)}**" for sentence in (*contents.notes, *contents.cautions)),
        _SPLIT_TEXTS[contents.split],
        "## Form",
        _form(contents),
        "## How it was made",
        _making(contents),
        "## What was checked",
        _checks(contents),
        "## Loading",
        _loading(contents),
        *(() if contents.split in {"val", "test"} else ("## Training a classifier", _TRAINING)),
        "## Intended use and limits",
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


_TRAINING = f"""\
The last columns of `manifest.csv` say what to do with each image:

- `made`: 1 for a synthetic image, 0 for a real one.
- `kind`: real, repeated (a real image once more), or from-noise (drawn from random numbers alone).
- `weight`: how much it counts beside others of its class; {MADE_WEIGHT:g} for made images, 1 for real ones.
  A choice to begin with, not a measurement.
- `stage`: pretrain (learn from it at first only) or finish (also at the end).
- `parents`: the real images it is made of; empty for images from random numbers.
- `group`: keep a group together when you split again; the patient of a real image, a group of its own for a
  made one.

Two recipes, with code for PyTorch, torchvision and MONAI, are in medgan's documentation:
docs/how-to/train-a-classifier.md.
When you add or remove images, keep the share of synthetic ones the same in every class: in one class alone
they become the sign of that class. Judge on real scans."""
_LIMITS = """\
For research and development: to train a classifier on classes of equal size, to test pipelines, to teach.
Not for clinical use, and not for any decision about a patient.

- A synthetic image shows what the generator learned from its training scans, with their biases and gaps.
  It adds no new patients: judge every gain on real validation and test scans only.
- A generator can reproduce training images, most of all when a class has few of them. "What was checked",
  above, says how far this folder was searched for copies; such a search is a screen, not a proof.
- "Synthetic" does not mean "anonymous". Treat the folder with the care the training scans need."""


def _opening(contents: FolderContents) -> str:
    real, again, synthetic = (sum(contents.tally(kind).values()) for kind in ("real", REPEATED, "synthetic"))
    kinds = f"**{synthetic} synthetic** images" + (f" and {real} real ones" if real else "")
    kinds += f", repeated {again} times in all" if again else ""
    return (
        f"{kinds}, written by `{contents.command}` of {contents.tool}. SYNTHETIC DATA - NOT FOR CLINICAL USE."
    )


def _table(contents: FolderContents) -> str:
    kinds = [contents.tally(kind) for kind in ("real", REPEATED, "synthetic")]
    lines = [
        "| label | number | folder | real | repeated | synthetic | synthetic of all |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, number in contents.ids.items():
        counts = [tally[label] for tally in kinds]
        cells = (
            escape_markdown(label),
            number,
            f"`images/{contents.folders[label]}`",
            *counts,
            _percent(counts),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _percent(counts: Sequence[int]) -> str:
    """The last of the counts as a percentage of all, or a dash where there are none."""
    return f"{counts[-1] / sum(counts):.0%}" if sum(counts) else "-"


def _form(contents: FolderContents) -> str:
    form = contents.form
    shape = next((f"{row.rows} x {row.columns}" for row in contents.rows if row.origin == "synthetic"), "")
    spacing = spacing_text(form.spacing_mm)
    facts = [
        f"- Format: {form.format}{f' of class {form.dicom_class}' if form.format == 'dicom' else ''}, "
        f"{form.bits} bits, {'RGB' if form.channels > 1 else 'gray'}"
        + (f", {shape} pixels (rows x columns)" if shape else ""),
        f"- Pixel spacing (rows x columns): {spacing} mm" if spacing else "- Pixel spacing: unknown",
        f"- Intensity: black is {form.low:g}, white is {form.high:g} ({_UNITS.get(form.unit, form.unit)})",
    ]
    white = sample_range(form)[1]
    if form.format == "png" and white != form.high:  # PNG has no sign, no units and no depth of 12 bits
        name = "HU" if form.unit == "HU" else "intensity"
        facts.append(
            f"- Stored values are scaled: {name} = low + value / {white:g} * (high - low), "
            "both in `manifest.csv`"
        )
    return "\n".join([*facts, *_REAL_TEXTS.get(contents.real, ())])


_UNITS = {
    "HU": "Hounsfield units",
    "stored": "stored values of the training images",
    "relative": "stored values; each training scan was scaled by its own percentiles",
}
_REAL_TEXTS = {
    "prepared": (
        "- Real images went through the same preparation and writer as the synthetic ones: alike in form.",
    ),
    "link": (
        "- Real images are links to the original files: **they differ from the synthetic ones in size,",
        "  format and header**, and a classifier may learn that difference. Their headers still hold what",
        "  the originals hold, patients included.",
    ),
}


def _making(contents: FolderContents) -> str:
    facts = [f"- Model (SHA-256 of its weights): `{contents.model}`"] if contents.model else []
    facts += [f"- Learned from data: `{contents.data}`"] if contents.data else []
    facts += (
        [f"- Share of synthetic images: {escape_markdown(told)}"]
        if (told := _share_text(contents.share))
        else []
    )
    facts += [_REPEATED_TEXT] if any(contents.tally(REPEATED).values()) else []
    return "\n".join(
        [
            *facts,
            "- `run.json` holds every setting; the same command on the same data gives the same bytes.",
            "- `manifest.csv` has one line per file: label, origin, seed, model, patient, intensity range, "
            "digest.",
            "- `sha256sum --check SHA256SUMS` tells whether a file has changed since.",
        ]
    )


_REPEATED_TEXT = (
    "- Real images are repeated until every class has as many as it should: each as often as every other of "
    "its class, give or take one. A repeat is a further name of the same file (a hard link) where the disk "
    "allows it; archives and copies may hold it in full."
)


def _share_text(share: Mapping[str, Any]) -> str:
    """The share asked for and reached, and what validation patients said about it."""
    if not share.get("asked"):
        return ""
    said = f" ({share['sentence']})" if share["sentence"] else ""
    return f"{share['asked']} asked for, {share['reached']:g} reached, the same in every class{said}"


def _checks(contents: FolderContents) -> str:
    made = sum(contents.tally("synthetic").values())
    return contents.checks if made else "Nothing here is synthetic."


def _loading(contents: FolderContents) -> str:
    form, lines = contents.form, ["```python"]
    if (
        form.format == "png"
    ):  # ImageFolder's own loader makes 8-bit RGB: gray levels above 255 would all be white
        deep = form.bits > 8 and form.channels == 1
        loader = ", loader=skimage.io.imread" if deep else ""
        lines.append(f'torchvision.datasets.ImageFolder("images"{loader})')
    lines += [
        'monai.data.load_decathlon_datalist("datalist.json", is_segmentation=False, '
        f'data_list_key="{contents.list_key}")',
        *(['datasets.load_dataset("imagefolder", data_dir=".")'] if is_image_folder(contents.rows) else []),
        'pandas.read_csv("manifest.csv")',
        "```",
    ]
    return "\n".join(lines)
