"""Read the boxes of objects in COCO, Pascal VOC and YOLO files, by the names of their scans."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from medgan.base.errors import DatasetError
from medgan.base.files import read_json
from medgan.dataset.manifest import Record
from medgan.dataset.masks import ScanRegions, case_name, closest
from medgan.dataset.source import to_valid_text
from medgan.dataset.walk import list_data
from medgan.scans.masks import RegionSize

COCO, VOC, YOLO = "COCO", "Pascal VOC", "YOLO"
"""Forms of boxes."""
_NAME_FILES = ("classes.txt", "obj.names", "labels.txt")
"""Files in which YOLO data sets name their classes, one per line."""
_MOST_BYTES = 16 << 20
"""Bytes of an annotation file of one image at most; a longer one is none."""
_YOLO_NUMBERS = 5
"""Class, middle and sides of a box in a line of YOLO; a sixth number is a confidence."""
_SLACK = 1.5
"""Pixels by which a box may reach beyond its image, as rounding takes it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An object in an image."""

    region: str
    left: float
    """Distance of its left edge from that of the image in pixels; in YOLO files in widths of the image."""
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a file says of one scan."""

    scan: str
    """Path or name of the scan as the file gives it."""
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None
    """(H, W) of the scan in pixels; None where the file does not say."""
    relative: bool = False
    """Whether boxes are given in shares of the image's sides."""
    wrong: str = ""
    """What is wrong with the file; its boxes then do not count."""

    def boxes_in(self, size: Sequence[int]) -> tuple[Box, ...]:
        """The boxes in pixels of an image of `size` (H, W)."""
        if not self.relative:
            return self.boxes
        height, width = size
        return tuple(
            Box(
                region=box.region,
                left=box.left * width,
                top=box.top * height,
                width=box.width * width,
                height=box.height * height,
            )
            for box in self.boxes
        )

    def misfit(self, size: Sequence[int]) -> str:
        """Say in what the boxes do not fit an image of `size` (H, W), or ""."""
        if self.size is not None and tuple(self.size) != tuple(size):
            told, own = (f"{height} x {width}" for height, width in (self.size, size))
            return f"the boxes are of an image of {told} pixels, the scan has {own}"
        height, width = size
        for box in self.boxes_in(size):
            right, bottom = box.left + box.width - width, box.top + box.height - height
            if max(-box.left, -box.top, right, bottom) > _SLACK:
                return f"a box of {box.region} reaches beyond the image"
        return ""


def find_boxes(place: Path) -> BoxTable | None:
    """The boxes in a COCO file, or in a folder of COCO, Pascal VOC or YOLO files; None where there are none.

    Raises:
        DatasetError: a COCO file cannot be read, or a folder holds boxes of several forms.
    """
    if place.is_file():
        return _to_table(COCO, _read_coco(place, required=True))
    files = list_data(place)
    found = {
        COCO: [one for path in files if path.suffix == ".json" for one in _read_coco(path)],
        VOC: [_read_voc(path) for path in files if path.suffix == ".xml" and _is_voc(path)],
        YOLO: list(_read_yolo(files)),
    }
    forms = [form for form, annotations in found.items() if annotations]
    if len(forms) > 1:
        raise DatasetError(
            f"{to_valid_text(str(place))} holds boxes of several forms: {', '.join(forms)}",
            hint="Give --masks the file or folder of one of them.",
        )
    return _to_table(forms[0], found[forms[0]]) if forms else None


def _to_table(form: str, annotations: Iterable[Annotation]) -> BoxTable:
    by_name: dict[str, list[Annotation]] = {}
    for one in annotations:
        by_name.setdefault(case_name(one.scan), []).append(one)
    return BoxTable(form=form, annotations={name: tuple(several) for name, several in by_name.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTable:
    """The boxes of a data set, by the names of their scans."""

    form: str
    """COCO, Pascal VOC or YOLO."""
    annotations: Mapping[str, tuple[Annotation, ...]]
    """{name of a scan without folder and ending: what files say of it}."""

    def find(self, path: str) -> Annotation | None:
        """What is said of the scan at `path`, or None."""
        several = self.annotations.get(case_name(path), ())
        return closest(path, {one: one.scan for one in several})

    def look(self, item: Annotation, root: Path, record: Record) -> ScanRegions:  # noqa: ARG002  # as masks do
        """What the boxes show of their scan."""
        if item.wrong:
            return ScanRegions(outcome="unreadable", words=item.wrong)
        if record.shape[0] != 1:
            words = f"boxes are of a flat image, the scan has {record.shape[0]} slices"
            return ScanRegions(outcome="misaligned", words=words)
        if reason := item.misfit(record.shape[1:]):
            return ScanRegions(outcome="misaligned", words=reason)
        sizes: dict[str, list[RegionSize]] = {}
        for box in item.boxes_in(record.shape[1:]):
            area = max(round(box.width * box.height), 1)
            sizes.setdefault(box.region, []).append(RegionSize(pixels=area, objects=1))
        return ScanRegions(outcome="ok", sizes=sizes, images=dict.fromkeys(sizes, 1), empty=not sizes)

    def list_unused(self, used: Collection[object]) -> list[str]:
        """Names of the scans that are described and not there."""
        every = (one for several in self.annotations.values() for one in several)
        return [one.scan for one in every if one not in used]

    def name_regions(self, shown: Collection[Any]) -> dict[Any, str]:
        """The names that boxes give to their regions."""
        return {name: name for name in sorted(shown)}


# --- COCO --------------------------------------------------------------------------------------------


def _read_coco(path: Path, *, required: bool = False) -> Iterator[Annotation]:
    """Read a COCO file: boxes are (x, y, width, height) in pixels from 0, from the top left corner.

    Groups (`iscrowd`) are no single objects and do not count. A .json file of another kind gives nothing,
    unless it is `required` to be COCO.
    """
    try:
        facts = read_json(path)
    except (OSError, ValueError) as error:
        if required:
            raise _coco_error(path, error) from error
        return
    if required or _is_coco(facts):
        try:
            yield from _coco_annotations(path, facts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _coco_error(path, error) from error


def _is_coco(facts: object) -> bool:
    return isinstance(facts, dict) and {"images", "annotations", "categories"} <= facts.keys()


def _coco_error(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"{to_valid_text(path.name)} cannot be read as COCO ({type(error).__name__}: {error})",
        hint="It needs images, annotations with bbox, and categories.",
    )


def _coco_annotations(path: Path, facts: Any) -> Iterator[Annotation]:
    """What a COCO file says of each of its images; an annotation that makes no box spoils its image alone."""
    names = {one["id"]: to_valid_text(str(one["name"])) for one in facts["categories"]}
    images = {one["id"]: one for one in facts["images"]}
    boxes: dict[Any, list[Box]] = {}
    wrong: dict[Any, str] = {}
    for one in facts["annotations"]:
        number = one["image_id"]
        try:
            boxes.setdefault(number, []).extend([] if one.get("iscrowd") else [_coco_box(one, names)])
        except (KeyError, TypeError, ValueError) as error:
            wrong[number] = f"{path.name}: annotation {one.get('id')} makes no box ({error})"
    for number, image in images.items():
        yield Annotation(
            scan=str(image["file_name"]),
            boxes=tuple(boxes.get(number, ())),
            size=(int(image["height"]), int(image["width"])),
            wrong=to_valid_text(wrong.get(number, "")),
        )


def _coco_box(one: Mapping[str, Any], names: Mapping[Any, str]) -> Box:
    left, top, width, height = map(float, one["bbox"])
    return _box(names[one["category_id"]], left, top, width, height)


# --- Pascal VOC --------------------------------------------------------------------------------------


def _is_voc(path: Path) -> bool:
    """Whether a file begins as an annotation of Pascal VOC does; one that cannot be opened does not."""
    try:
        with path.open("rb") as stream:
            return b"<annotation" in stream.read(4096)
    except OSError:
        return False


def _read_voc(path: Path) -> Annotation:
    """Read a Pascal VOC file: corners are pixels counted from 1, and both belong to the box."""
    name = path.with_suffix("").name
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            return Annotation(scan=name, boxes=(), wrong=f"{path.name} is no plain annotation file")
        root = ElementTree.fromstring(data)  # without entities, as checked above
        height, width = (int(root.findtext(f"size/{side}") or 0) for side in ("height", "width"))
        boxes = tuple(_voc_box(one) for one in root.iter("object"))
    except (ElementTree.ParseError, ValueError, TypeError, OSError) as error:
        words = f"{path.name} cannot be read ({type(error).__name__}: {error})"
        return Annotation(scan=name, boxes=(), wrong=to_valid_text(words))
    return Annotation(scan=name, boxes=boxes, size=(height, width) if height and width else None)


def _voc_box(one: ElementTree.Element) -> Box:
    left, top, right, bottom = (
        float(one.findtext(f"bndbox/{name}") or "nan") for name in ("xmin", "ymin", "xmax", "ymax")
    )
    region = to_valid_text((one.findtext("name") or "").strip())
    return _box(region, left - 1, top - 1, right - left + 1, bottom - top + 1)


# --- YOLO --------------------------------------------------------------------------------------------


def _read_yolo(files: Sequence[Path]) -> Iterator[Annotation]:
    """Read the .txt files of a YOLO data set: class, middle and sides in shares of the image's sides."""
    texts = [path for path in files if path.suffix == ".txt" and path.name not in _NAME_FILES]
    lines = {path: _number_lines(path) for path in texts}
    if not any(lines.values()):
        return
    named = next((path for name in _NAME_FILES for path in files if path.name == name), None)
    names = named.read_text(encoding="utf-8", errors="replace").splitlines() if named else []
    for path, found in lines.items():
        if found is not None:
            yield _yolo_annotation(path, found, names)


def _yolo_annotation(path: Path, lines: Sequence[Sequence[float]], names: Sequence[str]) -> Annotation:
    name = path.with_suffix("").name
    try:
        boxes = tuple(_yolo_box(numbers, names) for numbers in lines)
    except ValueError as error:
        return Annotation(scan=name, boxes=(), wrong=to_valid_text(f"{path.name}: {error}"))
    return Annotation(scan=name, boxes=boxes, relative=True)


def _number_lines(path: Path) -> list[list[float]] | None:
    """The lines of a file of boxes as numbers; None for a file of another kind. An empty file has no box."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        rows = [
            list(map(float, line.split())) for line in path.read_text("utf-8").splitlines() if line.strip()
        ]
    except (ValueError, OSError):
        return None
    fits = all(
        _YOLO_NUMBERS <= len(row) <= _YOLO_NUMBERS + 1
        and row[0] == int(row[0]) >= 0
        and all(0 <= share <= 1 for share in row[1:])
        for row in rows
    )
    return rows if fits else None


def _yolo_box(numbers: Sequence[float], names: Sequence[str]) -> Box:
    number, middle, centre, width, height = numbers[:_YOLO_NUMBERS]
    place = int(number)
    region = to_valid_text(names[place].strip()) if place < len(names) else str(place)
    return _box(region, middle - width / 2, centre - height / 2, width, height)


def _box(region: str, left: float, top: float, width: float, height: float) -> Box:
    """A box; raise ValueError where its numbers make none."""
    if not all(map(math.isfinite, (left, top, width, height))) or width <= 0 or height <= 0:
        raise ValueError(f"a box of {region} has sides of {width:g} and {height:g}")
    return Box(region=region, left=left, top=top, width=width, height=height)
