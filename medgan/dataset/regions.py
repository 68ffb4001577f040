"""Pair scans with masks or boxes, and count the regions that they show."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.base.errors import DatasetError
from medgan.base.job import Job
from medgan.base.progress import Progress
from medgan.dataset.boxes import find_boxes
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.masks import RegionSource, ScanRegions, find_masks
from medgan.dataset.source import to_valid_text
from medgan.scans.masks import RegionSize

_LEAST_PIXELS = 12
"""Pixels below which a region is hardly seen."""
_EXAMPLES = 3
"""Files that a warning names at most."""
_REPORT_EVERY = 25
"""Scans between two reports of progress."""

PixelArea = Callable[[Record], float | None]
"""How many pixels of a training image show one pixel of a scan; None where the size is not decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskReport:
    """What a folder of masks says about a data set."""

    pairs: Mapping[str, Any]
    """How many scans have a mask that fits, and how many have none."""
    regions: Mapping[str, Mapping[str, Any]]
    """{region: how often and how large it is in train}."""
    warnings: tuple[str, ...]


def find_regions(place: Path) -> RegionSource:
    """Find out what a file or folder holds: boxes in COCO, Pascal VOC or YOLO files, else masks.

    Raises:
        DatasetError: it is missing, holds neither, or cannot be read.
    """
    if not place.exists():
        raise DatasetError(f"{place} does not exist", hint="Give --masks the file or folder of the masks.")
    return find_boxes(place) or find_masks(place)


def inspect_regions(manifest: Manifest, place: Path, frame: PixelArea, job: Job) -> MaskReport:
    """Pair every usable scan with its mask, and count the regions of train.

    Args:
        manifest: The data set.
        place: The masks, or a file or folder of boxes.
        frame: How many pixels of a training image show one pixel of a scan, where that is decided.
        job: It is told of the progress.

    Raises:
        DatasetError: it is missing, holds neither masks nor boxes, or cannot be read.
    """
    masks = find_regions(place)
    pairs, regions = _Pairs(masks), _Regions()
    records = list(manifest.usable())
    train = {record.path for record in manifest.training()}
    for number, record in enumerate(records, start=1):
        found = pairs.read(manifest.root, record)
        if found is not None and record.path in train:
            regions.add(found, frame(record))
        if number % _REPORT_EVERY == 0 or number == len(records):
            job.tell(Progress("reading", number, len(records), "masks"))
    sizes = regions.describe(masks)
    return MaskReport(pairs=pairs.count(), regions=sizes, warnings=(*pairs.warnings(), *_vanishing(sizes)))


class _Pairs:
    """Which scans have a mask that fits."""

    def __init__(self, masks: RegionSource) -> None:
        self.masks = masks
        self.used: set[object] = set()
        self.found: dict[str, list[str]] = {"ok": [], "no_mask": [], "misaligned": [], "unreadable": []}
        """{outcome: scans, or sentences that name them}."""
        self.empty = 0
        """Masks that fit and show nothing, as those of healthy patients do."""

    def read(self, root: Path, record: Record) -> ScanRegions | None:
        """What the mask of a scan shows where there is one that fits; otherwise note what is wrong."""
        name = to_valid_text(record.path)
        item = None if record.format == ARRAY else self.masks.find(record.path)
        if item is None:
            self.found["no_mask"].append(name)
            return None
        self.used.add(item)
        found = self.masks.look(item, root, record)
        words = {"ok": name, "misaligned": f"{name}: {found.words}", "unreadable": to_valid_text(found.words)}
        self.found[found.outcome].append(words[found.outcome])
        self.empty += found.empty
        return found if found.outcome == "ok" else None

    def count(self) -> dict[str, Any]:
        """How many scans and masks there are of each kind, and the form of the folder."""
        counts = {name: len(names) for name, names in self.found.items()}
        return {
            "form": self.masks.form,
            **counts,
            "empty": self.empty,
            "no_image": len(self.masks.list_unused(self.used)),
        }

    def warnings(self) -> Iterator[str]:
        """Sentences on scans without a mask, masks without a scan, and pairs that do not fit."""
        without, alone = self.found["no_mask"], list(map(to_valid_text, self.masks.list_unused(self.used)))
        if without:
            yield (
                f"{_number(without, 'scan')} without a mask of the same name, such as {_examples(without)}:"
                " give them one, an empty one where there is nothing to mark, or leave them out"
            )
        if alone:
            yield (
                f"{_number(alone, 'mask')} without a scan of the same name, such as {_examples(alone)}: name"
                " masks as their scans are named"
            )
        if wrong := self.found["misaligned"]:
            yield f"{_number(wrong, 'mask')} not on the grid of the scan: {_examples(wrong, '; ')}"
        if damaged := self.found["unreadable"]:
            yield f"{_number(damaged, 'mask')} not readable: {_examples(damaged, ' ')}"


class _Regions:
    """How often and how large regions are in training images."""

    def __init__(self) -> None:
        self.sizes: dict[Any, list[RegionSize]] = {}
        self.trained: dict[Any, list[float]] = {}
        """{label: its pixels in each image, at the size of training images}."""
        self.scans: Counter[Any] = Counter()
        self.images: Counter[Any] = Counter()

    def add(self, found: ScanRegions, share: float | None) -> None:
        """Count the regions of one scan, of which `share` pixels of a training image show one pixel."""
        self.images.update(found.images)
        for label, sizes in found.sizes.items():
            self.scans[label] += 1
            self.sizes.setdefault(label, []).extend(sizes)
            if share is not None:
                self.trained.setdefault(label, []).extend(size.pixels * share for size in sizes)

    def describe(self, masks: RegionSource) -> dict[str, dict[str, Any]]:
        """{region: its figures}; regions that the data set names and no mask shows have zeros."""
        return {name: self._describe(label) for label, name in masks.name_regions(self.sizes).items()}

    def _describe(self, label: Any) -> dict[str, Any]:
        sizes, trained = self.sizes.get(label, []), self.trained.get(label)
        return {
            "label": label,
            "scans": self.scans[label],
            "images": self.images[label],
            "pixels": sum(size.pixels for size in sizes),
            "objects": sum(size.objects for size in sizes),
            "median_px": statistics.median(size.pixels for size in sizes) if sizes else None,
            "median_px_trained": round(statistics.median(trained), 1) if trained else None,
        }


def _vanishing(regions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Warn of regions that no mask shows, and of those too small to be seen at the size of training."""
    for name, facts in regions.items():
        size = facts["median_px_trained"]
        if not facts["images"]:
            yield f"no mask in train shows {name}"
        elif size is not None and size < _LEAST_PIXELS:
            factor = math.ceil(math.sqrt(_LEAST_PIXELS / max(size, 0.1)) * 10) / 10
            yield (
                f"half of the images that show {name} show it with {size:.0f} pixels or fewer at the size of"
                f" training images: choose a --size at least {factor:g} times as large"
            )


def _number(some: Sequence[object], word: str) -> str:
    return f"{len(some)} {word}{'s' * (len(some) != 1)} {'are' if len(some) != 1 else 'is'}"


def _examples(names: Iterable[str], between: str = ", ") -> str:
    names = list(names)
    rest = len(names) - _EXAMPLES
    return between.join(names[:_EXAMPLES]) + (f" and {rest} more" if rest > 0 else "")
