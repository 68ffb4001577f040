"""The tables and lists of an output folder, as text.

They are the manifest, metadata, the data list and checksums.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medgan.base.escape import escape_cell, unescape_cell
from medgan.output.roles import REPEATED, Role, role_of
from medgan.scans.scan import OutputFormat

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
