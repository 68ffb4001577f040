"""Hand labelled images, of a folder or of a model, to PyTorch and MONAI.

Images of the splits that judge (val, test) are handed out by name only, so that nothing learns from them by
accident.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import DatasetError, OptionError
from medgan.base.files import resolve_inside
from medgan.commands.values import Place

if TYPE_CHECKING:
    from medgan.api.tensors import LabelledTensors
    from medgan.learners.gan.model import Model

Pixels = NDArray[np.float32]
"""(C, H, W) in [0, 1]."""
SPLITS = ("train", "val", "test", "all")
"""What may be asked for of a folder."""
TRAIN = "train"


class Folder:
    """The images of a folder that `balance`, `sample` or `prepare` wrote.

    Attributes:
        path: The folder.
        classes: Names of the classes, in the order of their numbers.
        rows: A line of manifest.csv for each image, by column.
        labels: The number of each image's class.
        weights: How much each image counts beside others of its class.
    """

    def __init__(
        self, path: Place, split: str | None = None, *, classes: Sequence[str] | None = None
    ) -> None:
        """Read manifest.csv.

        Args:
            path: The folder.
            split: "train", "val", "test", or "all" of a folder in which splits lie together. None: train, and
                a folder that holds anything else is refused.
            classes: The order in which classes are numbered, such as that of another `Folder`; None: that of
                manifest.csv.

        Raises:
            DatasetError: no such images are in the folder, or others than those of train are and no `split`
                is named.
        """
        from medgan.output.read_back import read_tables

        if split not in {None, *SPLITS}:
            raise OptionError(f"split cannot be {split!r}: choose one of {', '.join(SPLITS)}")
        self.path = Path(path)
        self._facts, rows = read_tables(self.path, repeats=True)
        splits = [self._split_of(row) for row in rows]
        _refuse_unnamed(self.path, set(splits), split)
        wanted = [split == "all" or own == (split or TRAIN) for own in splits]
        self.rows = tuple(itertools.compress(rows, wanted))
        folders = sorted(self._facts.labels, key=lambda one: one.folder)
        self.classes = tuple(classes or (one.label for one in folders))
        self.labels = _numbers([row["label"] for row in self.rows], self.classes)
        self.weights = tuple(_weight_of(self.path, row) for row in self.rows)

    def _split_of(self, row: Mapping[str, str]) -> str:
        """Return the split of an image, "" where several lie together.

        Older folders of `prepare` say it in run.json alone.
        """
        settings = self._facts.settings
        if settings.get("command") == "prepare":
            return str(settings.get("split", "all")).replace("all", "")
        return row.get("split", TRAIN)

    def __len__(self) -> int:
        """The number of images, repeated ones included."""
        return len(self.rows)

    def pixels(self, number: int) -> Pixels:
        """One image, (C, H, W) in [0, 1] over the intensities of the folder."""
        from medgan.scans.formats import read_output

        row = self.rows[number]
        if self._is_original(row):
            raise DatasetError(
                f"{self.path}: {row['path']} is a link to a scan as it is, in a size and form of its own",
                hint="Write the folder with --real prepared, or read it with monai().",
            )
        image = read_output(self._place(row), self._facts.form)
        return np.ascontiguousarray(np.moveaxis(image, -1, 0) if image.ndim > 2 else image[None])

    def _is_original(self, row: Mapping[str, str]) -> bool:
        """Whether an image is a link to a scan that medgan did not write."""
        return self._facts.real == "link" and row["origin"] == "real"

    def _place(self, row: Mapping[str, str]) -> Path:
        """Where an image lies; DatasetError where manifest.csv points out of the folder."""
        parts = PurePath(row["path"]).parts
        if self._is_original(row) and not {"..", "/"} & set(parts):
            return self.path / row["path"]
        return resolve_inside(self.path, row["path"])

    def torch(self, transform: Callable[[Any], Any] | None = None) -> LabelledTensors:
        """A torch Dataset of (tensor (C, H, W), number of the class)."""
        from medgan.api.tensors import LabelledTensors

        return LabelledTensors(self.pixels, self.labels, transform)

    def monai(self) -> list[dict[str, Any]]:
        """Return a data list for MONAI: the place and class number of each image, and facts for training."""
        return [
            {
                "image": str(self._place(row)),
                "label": label,
                "weight": weight,
                "made": int(row["origin"] == "synthetic"),
                **{name: row.get(name, "") for name in ("kind", "stage", "group")},
            }
            for row, label, weight in zip(self.rows, self.labels, self.weights, strict=True)
        ]


def _weight_of(path: Path, row: Mapping[str, str]) -> float:
    """How much an image counts; DatasetError for what is no number."""
    text = row.get("weight") or "1"
    try:
        return float(text)
    except ValueError as error:
        raise DatasetError(
            f"{path}: manifest.csv has the weight {text[:80]!r}, which is no number",
            hint="Repeat the command that wrote the folder.",
        ) from error


def _refuse_unnamed(path: Path, there: set[str], split: str | None) -> None:
    """Refuse a folder with images that must be asked for by name, or without the split that is asked for."""
    words = " and ".join(sorted(name or "several splits together" for name in there))
    others = sorted((name or "all") for name in there - {TRAIN})
    if split is None and others:
        raise DatasetError(
            f"{path} holds images of {words}, which are not to be learned from by accident",
            hint=f'Name them: Folder("{path}", split="{others[0]}").',
        )
    if split not in {None, "all"} and split not in there:
        raise DatasetError(
            f"{path} holds images of {words}, none of {split}", hint="Name another folder or split."
        )


def _numbers(labels: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """The number of each image's class; OptionError for a class that has none."""
    strange = sorted(set(labels) - set(classes))
    if strange:
        raise OptionError(f"classes has no {strange[0]!r}: it must name every class of these images")
    return tuple(classes.index(label) for label in labels)


class Synthetic:
    """Images drawn from a model, all in memory; each depends on model, class and seed only.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
        labels: The number of each image's class.
        seeds: The seed of each image.
    """

    def __init__(
        self,
        model: Model | Place,
        counts: Mapping[str, int],
        *,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        device: str = "auto",
    ) -> None:
        """Draw.

        Args:
            model: A model, or the folder of one.
            counts: {class: number of images}.
            seed: Of the first image of every class; the next ones follow.
            classes: The order in which classes are numbered, such as that of a `Folder`; None: that of the
                model.
            device: Where to draw.

        Raises:
            ModelError: the model cannot be read, or knows no such class.
        """
        from medgan.learners.gan.model import Model

        drawing = model if isinstance(model, Model) else Model.load(model)
        self.classes = tuple(classes or drawing.labels)
        parts = [drawing.sample(label, count, seed, device=device) for label, count in counts.items()]
        self._images = np.concatenate([part.pixels for part in parts])
        self.labels = _numbers([part.label for part in parts for _ in part.seeds], self.classes)
        self.seeds = tuple(seed for part in parts for seed in part.seeds)
        self._digest = drawing.digest

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def pixels(self, number: int) -> Pixels:
        """One image, (C, H, W) in [0, 1] over the intensities of the model."""
        return np.asarray(self._images[number])

    def torch(self, transform: Callable[[Any], Any] | None = None) -> LabelledTensors:
        """A torch Dataset of (tensor (C, H, W), number of the class)."""
        from medgan.api.tensors import LabelledTensors

        return LabelledTensors(self.pixels, self.labels, transform)

    def monai(self) -> list[dict[str, Any]]:
        """A data list for MONAI, with the pixels themselves in the place of files."""
        return list(self._items())

    def _items(self) -> Iterator[dict[str, Any]]:
        from medgan.output.roles import role_of

        role = role_of("", "", made=True)
        for number, (label, seed) in enumerate(zip(self.labels, self.seeds, strict=True)):
            yield {
                "image": self.pixels(number),
                "label": label,
                "seed": seed,
                "model_digest": self._digest,
                "made": role.made,
                "kind": role.kind,
                "weight": role.weight,
                "stage": role.stage,
            }
