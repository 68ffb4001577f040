"""Find the mask of every scan, check that the two fit together, and count regions."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgan.base.errors import DatasetError, ScanError
from medgan.base.files import read_json
from medgan.base.job import Job
from medgan.base.progress import Progress
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.source import to_valid_text
from medgan.scans import nifti
from medgan.scans.masks import (
    NIFTI_ENDINGS,
    PICTURE_ENDINGS,
    Mask,
    RegionSize,
    measure_regions,
    read_mask,
)

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
LEAST_PIXELS = 12
"""Pixels below which a region is hardly seen."""
_EXAMPLES = 3
"""Files that a warning names at most."""
_REPORT_EVERY = 25
"""Scans between two reports of progress."""

PixelArea = Callable[[Record], float | None]
"""How many pixels of a training image show one pixel of a scan; None where the size is not decided."""


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
        folders = Path(path).parts[:-1][::-1]

        def shared(mask: Path) -> int:
            own = mask.relative_to(self.root).parts[:-1][::-1]
            return sum(1 for a, b in zip(folders, own, strict=False) if a == b)

        ranked = sorted(several, key=shared, reverse=True)
        if len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1]):
            return None
        return ranked[0] if ranked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskReport:
    """What a folder of masks says about a data set."""

    pairs: Mapping[str, Any]
    """How many scans have a mask that fits, and how many have none."""
    regions: Mapping[str, Mapping[str, Any]]
    """{region: how often and how large it is in train}."""
    warnings: tuple[str, ...]


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
    for path in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
        images = form != EQUAL_NAMES and path.parent.name.startswith("images")
        if path.name.lower().endswith(NIFTI_ENDINGS + PICTURE_ENDINGS) and not hidden and not images:
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


def inspect_masks(manifest: Manifest, folder: Path, frame: PixelArea, job: Job) -> MaskReport:
    """Pair every usable scan with its mask, and count the regions of train.

    Args:
        manifest: The data set.
        folder: The masks.
        frame: How many pixels of a training image show one pixel of a scan, where that is decided.
        job: It is told of the progress.

    Raises:
        DatasetError: the folder is missing, or holds no mask.
    """
    masks = find_masks(folder)
    pairs, regions = _Pairs(masks), _Regions()
    records = list(manifest.usable())
    train = {record.path for record in manifest.training()}
    for number, record in enumerate(records, start=1):
        mask = pairs.read(manifest.root, record)
        if mask is not None and record.path in train:
            regions.add(measure_regions(mask, record.slices), frame(record))
        if number % _REPORT_EVERY == 0 or number == len(records):
            job.tell(Progress("reading", number, len(records), "masks"))
    sizes = regions.describe(masks.names)
    return MaskReport(pairs=pairs.count(), regions=sizes, warnings=(*pairs.warnings(), *_vanishing(sizes)))


class _Pairs:
    """Which scans have a mask that fits."""

    def __init__(self, masks: MaskFolder) -> None:
        self.masks = masks
        self.used: set[Path] = set()
        self.found: dict[str, list[str]] = {"ok": [], "no_mask": [], "misaligned": [], "unreadable": []}
        """{outcome: scans, or sentences that name them}."""
        self.empty = 0
        """Masks that fit and show nothing, as those of healthy patients do."""

    def read(self, root: Path, record: Record) -> Mask | None:
        """The mask of a scan where there is one that fits; otherwise note what is wrong with it."""
        name = to_valid_text(record.path)
        place = None if record.format == ARRAY else self.masks.find(record.path)
        if place is None:
            self.found["no_mask"].append(name)
            return None
        self.used.add(place)
        try:
            mask = read_mask(place)
        except ScanError as error:
            self.found["unreadable"].append(to_valid_text(f"{error.message}. {error.hint}".rstrip()))
            return None
        if reason := _misfit(root, record, mask):
            self.found["misaligned"].append(f"{name}: {reason}")
            return None
        self.found["ok"].append(name)
        self.empty += not mask.values.any()
        return mask

    def count(self) -> dict[str, Any]:
        """How many scans and masks there are of each kind, and the form of the folder."""
        counts = {name: len(names) for name, names in self.found.items()}
        return {"form": self.masks.form, **counts, "empty": self.empty, "no_image": len(self._without_scan())}

    def warnings(self) -> Iterator[str]:
        """Sentences on scans without a mask, masks without a scan, and pairs that do not fit."""
        without, alone = self.found["no_mask"], self._without_scan()
        if without:
            yield (
                f"{_number(without, 'scan')} without a mask of the same name, such as {_examples(without)}:"
                " give them one, an empty one where there is nothing to mark, or leave them out"
            )
        if alone:
            names = [to_valid_text(path.relative_to(self.masks.root).as_posix()) for path in alone]
            yield (
                f"{_number(alone, 'mask')} without a scan of the same name, such as {_examples(names)}: name"
                " masks as their scans are named"
            )
        if wrong := self.found["misaligned"]:
            yield f"{_number(wrong, 'mask')} not on the grid of the scan: {_examples(wrong, '; ')}"
        if damaged := self.found["unreadable"]:
            yield f"{_number(damaged, 'mask')} not readable: {_examples(damaged, ' ')}"

    def _without_scan(self) -> list[Path]:
        every = [path for paths in self.masks.files.values() for path in paths]
        return [path for path in every if path not in self.used]


class _Regions:
    """How often and how large regions are in training images."""

    def __init__(self) -> None:
        self.sizes: dict[int, list[RegionSize]] = {}
        self.trained: dict[int, list[float]] = {}
        """{label: its pixels in each image, at the size of training images}."""
        self.scans: Counter[int] = Counter()

    def add(self, found: Mapping[int, Sequence[RegionSize]], share: float | None) -> None:
        """Count the regions of one scan, of which `share` pixels of a training image show one pixel."""
        for label, sizes in found.items():
            self.scans[label] += 1
            self.sizes.setdefault(label, []).extend(sizes)
            if share is not None:
                self.trained.setdefault(label, []).extend(size.pixels * share for size in sizes)

    def describe(self, names: Mapping[int, str]) -> dict[str, dict[str, Any]]:
        """{region: its figures}; regions that the data set names and no mask shows have zeros."""
        labels = sorted({*self.sizes, *names})
        return {_region_name(label, labels, names): self._describe(label) for label in labels}

    def _describe(self, label: int) -> dict[str, Any]:
        sizes, trained = self.sizes.get(label, []), self.trained.get(label)
        return {
            "label": label,
            "scans": self.scans[label],
            "images": len(sizes),
            "pixels": sum(size.pixels for size in sizes),
            "objects": sum(size.objects for size in sizes),
            "median_px": statistics.median(size.pixels for size in sizes) if sizes else None,
            "median_px_trained": round(statistics.median(trained), 1) if trained else None,
        }


def _region_name(label: int, labels: Sequence[int], names: Mapping[int, str]) -> str:
    """The name that the data set gives to a region; else its number, or "mask" where it is the only one."""
    return names.get(label) or ("mask" if len(labels) == 1 else str(label))


def _vanishing(regions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Warn of regions that no mask shows, and of those too small to be seen at the size of training."""
    for name, facts in regions.items():
        size = facts["median_px_trained"]
        if not facts["images"]:
            yield f"no mask in train shows {name}"
        elif size is not None and size < LEAST_PIXELS:
            factor = math.ceil(math.sqrt(LEAST_PIXELS / max(size, 0.1)) * 10) / 10
            yield (
                f"half of the images that show {name} show it with {size:.0f} pixels or fewer at the size of"
                f" training images: choose a --size at least {factor:g} times as large"
            )


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
    facts = read_json(path)
    labels = facts.get("labels") if isinstance(facts, dict) else None
    if not isinstance(labels, dict):
        return EQUAL_NAMES, {}
    turned = all(str(key).isdecimal() for key in labels)
    named = {str(name): key for key, name in labels.items()} if turned else labels
    numbers = {name: int(value) for name, value in named.items() if str(value).isdecimal()}
    return (DECATHLON if turned else NNUNET), {
        value: to_valid_text(name) for name, value in numbers.items() if value
    }


def _number(some: Sequence[object], word: str) -> str:
    return f"{len(some)} {word}{'s' * (len(some) != 1)} {'are' if len(some) != 1 else 'is'}"


def _examples(names: Iterable[str], between: str = ", ") -> str:
    names = list(names)
    rest = len(names) - _EXAMPLES
    return between.join(names[:_EXAMPLES]) + (f" and {rest} more" if rest > 0 else "")


def _sides(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides)
