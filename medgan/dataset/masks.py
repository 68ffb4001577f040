"""Find the mask of a scan, and check that the two fit together."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from medgan.base.errors import DatasetError, ScanError
from medgan.base.files import read_json
from medgan.dataset.manifest import Record
from medgan.dataset.source import to_valid_text
from medgan.dataset.walk import list_data
from medgan.scans import nifti
from medgan.scans.masks import (
    NIFTI_ENDINGS,
    PICTURE_ENDINGS,
    Mask,
    RegionSize,
    measure_regions,
    read_mask,
)

_Item = TypeVar("_Item")

EQUAL_NAMES, NNUNET, DECATHLON = "equal names", "nnU-Net", "Decathlon"
"""Forms of a folder of masks."""
_DESCRIPTION = "dataset.json"
"""The file in which nnU-Net and the Decathlon name their regions."""
_CHANNEL = re.compile(r"_\d{4}$")
"""What nnU-Net adds to the name of a case for each of its images."""
_MASK_WORD = re.compile(r"[-_. ](mask|masks|seg|segmentation|label|labels)$", re.IGNORECASE)
"""What other tools add to the name of a scan for its mask."""
_SPACING_TOLERANCE = 0.01
"""Relative difference of two spacings up to which they are equal, written with other digits."""
_EXTENT_TOLERANCE = 0.1
"""Distance of two corners, in voxel sides, up to which they are the same place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRegions:
    """What a mask, or boxes, show of one scan."""

    outcome: str
    """"ok", "misaligned" or "unreadable"."""
    words: str = ""
    """What is wrong where it is not ok."""
    sizes: Mapping[Any, Sequence[RegionSize]] = field(default_factory=dict)
    """{region: its size in each image that shows it; of boxes, the size of each}."""
    images: Mapping[Any, int] = field(default_factory=dict)
    """{region: 2-D images that show it}."""
    empty: bool = False
    """Whether it fits and shows nothing."""


class RegionSource(Protocol):
    """Where masks or boxes come from. An item is what it holds for one scan."""

    @property
    def form(self) -> str:
        """Which form of masks or boxes it is."""

    def find(self, path: str) -> Any | None:
        """The item of the scan at `path`, or None."""

    def look(self, item: Any, root: Path, record: Record) -> ScanRegions:
        """What an item shows of its scan, a record of the data set at `root`."""

    def list_unused(self, used: Collection[object]) -> list[str]:
        """Names of the items that are not among the `used` ones."""

    def name_regions(self, shown: Collection[Any]) -> dict[Any, str]:
        """{label: name of its region}, of those that are `shown` and others that it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder:
    """The masks in a folder, by the names of their scans."""

    root: Path
    form: str
    """EQUAL_NAMES, NNUNET or DECATHLON."""
    files: Mapping[str, tuple[Path, ...]]
    """{name of a scan without folder and ending: masks of this name}."""
    names: Mapping[int, str] = field(default_factory=dict)
    """{label: name of its region}; empty where no file names them."""

    def find(self, path: str) -> Path | None:
        """The mask of the scan at `path`, or None.

        Where several masks have its name, it is the one in the folders that end most alike.
        """
        name = case_name(path)
        several = self.files.get(name) or self.files.get(_CHANNEL.sub("", name)) or ()
        return closest(path, {mask: mask.relative_to(self.root).as_posix() for mask in several})

    def look(self, item: Path, root: Path, record: Record) -> ScanRegions:
        """What a mask shows of its scan."""
        try:
            mask = read_mask(item)
        except ScanError as error:
            return ScanRegions(outcome="unreadable", words=f"{error.message}. {error.hint}".rstrip())
        if reason := _misfit(root, record, mask):
            return ScanRegions(outcome="misaligned", words=reason)
        sizes = measure_regions(mask, record.slices)
        images = {label: len(of) for label, of in sizes.items()}
        return ScanRegions(outcome="ok", sizes=sizes, images=images, empty=not mask.values.any())

    def list_unused(self, used: Collection[object]) -> list[str]:
        """Paths of the masks that no scan has."""
        every = (path for paths in self.files.values() for path in paths)
        return [path.relative_to(self.root).as_posix() for path in every if path not in used]

    def name_regions(self, shown: Collection[Any]) -> dict[Any, str]:
        """{label: name of its region}, of those that masks show and those that the data set names.

        A region without a name is called by its number, or "mask" if it is the only one.
        """
        labels = sorted({*shown, *self.names})
        usual = "mask" if len(labels) == 1 else ""
        return {label: self.names.get(label) or usual or str(label) for label in labels}


def case_name(path: str | Path) -> str:
    """The name of a file without its ending; .nii.gz is one ending."""
    name = Path(path).name
    ending = next((end for end in NIFTI_ENDINGS if name.lower().endswith(end)), Path(name).suffix)
    return name[: len(name) - len(ending)]


def find_masks(folder: Path) -> MaskFolder:
    """List the masks in a folder: files named as their scans, or a data set of nnU-Net or the Decathlon.

    Raises:
        DatasetError: the folder is missing, or holds no mask.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder", hint="Give --masks the folder that holds the masks.")
    form, place = EQUAL_NAMES, folder
    names: dict[int, str] = {}
    for home in (folder, folder.parent):
        if (home / _DESCRIPTION).is_file() and (home == folder or folder.name.startswith("labels")):
            form, names = _read_description(home / _DESCRIPTION)
            break
    if form != EQUAL_NAMES and (folder / "labelsTr").is_dir():
        place = folder
    files: dict[str, list[Path]] = {}
    for path in list_data(place):
        images = form != EQUAL_NAMES and path.parent.name.startswith("images")
        if path.name.lower().endswith(NIFTI_ENDINGS + PICTURE_ENDINGS) and not images:
            files.setdefault(_MASK_WORD.sub("", case_name(path)), []).append(path)
    if not files:
        raise DatasetError(
            f"{to_valid_text(str(folder))} holds no mask",
            hint="medgan reads masks as PNG, TIFF or NIfTI with the names of their scans, and data sets of "
            "nnU-Net and the Medical Segmentation Decathlon.",
        )
    return MaskFolder(
        root=place, form=form, files={name: tuple(paths) for name, paths in files.items()}, names=names
    )


def closest(path: str, several: Mapping[_Item, str]) -> _Item | None:
    """Of several items with their paths, the one whose folders are called most like those of `path`."""
    folders = Path(path).parts[:-1][::-1]

    def shared(item: _Item) -> int:
        own = Path(several[item]).parts[:-1][::-1]
        return sum(1 for a, b in zip(folders, own, strict=False) if a == b)

    ranked = sorted(several, key=shared, reverse=True)
    if len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1]):
        return None
    return ranked[0] if ranked else None


def _misfit(root: Path, record: Record, mask: Mask) -> str:
    """Say in what a mask differs from the grid of its scan, or ""."""
    shape = mask.values.shape
    if shape != record.shape:
        return f"the mask has {_sides(shape)} pixels, the scan {_sides(record.shape)}"
    if mask.spacing_mm and record.spacing_mm and record.format == "nifti":
        pairs = zip(mask.spacing_mm, record.spacing_mm, strict=True)
        if any(abs(a - b) > _SPACING_TOLERANCE * max(a, b) for a, b in pairs):
            sides = _sides(mask.spacing_mm), _sides(record.spacing_mm)
            return f"pixels of the mask are {sides[0]} mm large, those of the scan {sides[1]}"
        extent = nifti.extent_mm(root / record.path)
        if extent and mask.extent_mm:
            away = max(abs(a - b) for a, b in zip(extent, mask.extent_mm, strict=True))
            if away > _EXTENT_TOLERANCE * min(record.spacing_mm):
                return f"the mask lies elsewhere in space, up to {away:.1f} mm away"
    return ""


def _read_description(path: Path) -> tuple[str, dict[int, str]]:
    """The form of a data set and {label: region}, from the dataset.json of nnU-Net or the Decathlon.

    nnU-Net writes {"tumour": 1}, the Decathlon {"1": "tumour"}; regions made up of several labels are left
    out, because their parts are named, too.
    """
    try:
        facts = read_json(path)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{to_valid_text(str(path))} cannot be read ({error})",
            hint="Correct it, or remove it: without it regions are called by their numbers.",
        ) from error
    labels = facts.get("labels") if isinstance(facts, dict) else None
    if not isinstance(labels, dict):
        return EQUAL_NAMES, {}
    turned = all(str(key).isdecimal() for key in labels)
    named = {str(name): key for key, name in labels.items()} if turned else labels
    numbers = {name: int(value) for name, value in named.items() if str(value).isdecimal()}
    return (DECATHLON if turned else NNUNET), {
        value: to_valid_text(name) for name, value in numbers.items() if value
    }


def _sides(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides)
