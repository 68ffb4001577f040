"""The data card of an output folder: what it holds, how it was made, its uses and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medgan.base.escape import escape_markdown
from medgan.output.roles import MADE_WEIGHT, REPEATED
from medgan.output.tables import FolderContents, is_image_folder, spacing_text
from medgan.scans.raster import sample_range

CONTACT_SHEET = "contact-sheet.png"
_SPLIT_TEXTS = {
    "train": "Every image belongs to the train split: synthetic images must never be in a validation or test "
    "set.",
    "val": "Every image belongs to the validation split: choose by them, and learn nothing from them.",
    "test": "Every image belongs to the test split: judge by them once, at the end, and learn nothing from "
    "them.",
    "": "Images of every split lie here together: divide them by patient (column `group`) before anything "
    "learns from them.",
}


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
