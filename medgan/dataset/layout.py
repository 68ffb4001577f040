"""Tell which folders stand for splits and which for classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medgan.dataset.source import normalise_label, to_valid_text
from medgan.dataset.walk import is_ignored

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout", "eval", "evaluation"), "test"),
}
"""{word: split} in lower case."""
AMBIGUOUS_SPLIT_WORDS = frozenset({"dev", "development", "eval", "evaluation"})
"""Words that are as often the name of a folder in which people work. They mean a split only beside other
splits."""
_NEUTRAL_WORDS = frozenset(
    {
        "set", "sets", "subset", "data", "dataset", "datasets", "split", "splits", "part", "partition",
        "image", "images", "img", "imgs", "scan", "scans", "sample", "samples", "case", "cases",
        "file", "files", "folder", "input", "inputs", "release", "stage", "phase",
        "final", "official", "public", "private", "internal", "external", "v",
    }
)  # fmt: skip
"""Words beside the name of a split that do not change its meaning: "Test Set", "stage_2_train_images"."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+|\d+")
_MAX_SHARED_CLASSES = 12
"""Most sub-folders that all classes share and that may still be classes. More of them are probably numbers of
patients or series."""


def split_of_name(name: str) -> str:
    """The split that a folder or a cell of a table means, or "".

    The split is "train", "val" or "test". "Train", "training_set", "test-images", "ValData" and "val2017" are
    certain; "test_positive" may be a class.
    """
    split, others = _split_and_other_words(name)
    return split if all(word in _NEUTRAL_WORDS or word.isdecimal() for word in others) else ""


def _split_and_other_words(name: str) -> tuple[str, list[str]]:
    """The split that occurs in a name, or "", and all other words of the name."""
    splits, others = set(), []
    for word in map(str.lower, _WORD.findall(name)):
        bare = next(
            (word.removesuffix(end) for end in _NEUTRAL_WORDS if word.removesuffix(end) in _SPLIT_WORDS), word
        )
        if bare in _SPLIT_WORDS:
            splits.add(_SPLIT_WORDS[bare])
        else:
            others.append(word)
    return (splits.pop(), others) if len(splits) == 1 else ("", others)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLayout:
    """What the folders of a data set stand for.

    The layout is `root/split/class`, `root/class/split` or `root/class`.
    """

    root: Path
    splits: Mapping[str, str]
    """{folder directly below the root: split}."""
    below: bool = False
    """Whether every class contains its splits, as in `root/class/train` and `root/class/test`."""

    @classmethod
    def of(cls, root: Path) -> FolderLayout:
        """Inspect the folders of `root` and those in them."""
        tops = list_folders(root)
        splits = {top.name: split_of_name(top.name) for top in tops if split_of_name(top.name)}
        inner = {top: {child.name for child in list_folders(top)} for top in tops}
        if not splits:
            splits = _splits_by_hint(inner)
        found = [set(map(split_of_name, names)) for names in inner.values()]
        below = (
            not splits
            and bool(found)
            and all("train" in names and names & {"val", "test"} for names in found)
        )
        return cls(root=root, splits=splits, below=below)

    def place(self, path: Path) -> tuple[str, str]:
        """(class, split) by the folders above a file, "" where there is none."""
        above = path.relative_to(self.root).parts[:-1]
        if not above or any(map(is_ignored, above)):
            return "", ""
        if above[0] in self.splits:
            return normalise_label("".join(above[1:2])), self.splits[above[0]]
        return normalise_label(above[0]), split_of_name("".join(above[1:2])) if self.below else ""

    def classes(self) -> Iterator[Path]:
        """Yield the folders that stand for classes, once per split."""
        for top in list_folders(self.root):
            if top.name in self.splits:
                yield from list_folders(top)
            else:
                yield top

    def doubts(self) -> Iterator[str]:
        """Warn of classes that may not be classes.

        They contain the same folders, or some that are named like splits.
        """
        # Folders in each class.
        inner: dict[str, set[str]] = {}
        for folder in self.classes():
            inner.setdefault(folder.name, set()).update(child.name for child in list_folders(folder))
        if self.below:
            return
        # Classes that are named like splits, or contain such folders.
        hinted = {name: split for name in inner if (split := _split_and_other_words(name)[0])}
        if {"train"} < set(hinted.values()):
            yield (
                f"The folders {_name_some(sorted(hinted))} are called like splits and count as classes. If "
                "they are splits, sort the files in each into a folder per class, or name class and split of "
                "each file in a table (--labels)."
            )
        lost = [
            f"{name}/{child}"
            for name, names in inner.items()
            for child in sorted(names)
            if split_of_name(child)
        ]
        if lost:
            yield (
                "Folders that are called like splits lie in class folders and count as part of the class: "
                f"{_name_some(lost)}. If they are splits, put them above the classes (test/covid/), or name "
                "splits in a table (--labels)."
            )
        elif shared := _common_folders(inner):
            yield (
                f"The folders {_name_some(sorted(inner))} count as classes, and they hold the same folders "
                f"({_name_some(shared)}). If those are the classes, and what lies above them are splits, "
                "folds or patients, call the upper ones train, "
                "val and test, or name class, "
                "patient and split of each file in a table (--labels)."
            )


def _splits_by_hint(inner: Mapping[Path, set[str]]) -> dict[str, str]:
    """{folder: split} of folders such as `xray_train` and `xray_test`.

    They count as splits if the same classes lie in each of them.
    """
    hinted = {top: split for top in inner if (split := _split_and_other_words(top.name)[0])}
    shared = set.intersection(*(inner[top] for top in hinted)) if hinted else set()
    alike = {tuple(_split_and_other_words(top.name)[1]) for top in hinted}
    sure = shared and len(alike) == 1 and {"train"} < set(hinted.values())
    return {top.name: split for top, split in hinted.items()} if sure else {}


def _common_folders(inner: Mapping[str, set[str]]) -> list[str]:
    """Names of folders that may be classes one level too deep.

    They occur in several classes, there is nothing else in any class, and they are few.
    """
    times = Counter(name for names in inner.values() for name in names)
    # Numbers of patients or series, which start again in each class.
    numbers = len({re.sub(r"\d+", "", name) for name in times}) == 1
    if (
        len(inner) < 2
        or not all(inner.values())
        or not 2 <= len(times) <= _MAX_SHARED_CLASSES
        or min(times.values()) < 2
    ):
        return []
    return [] if numbers and len(times) >= len(inner) else sorted(times)


def list_folders(path: Path) -> list[Path]:
    """The folders in `path`, sorted, without hidden ones and those of the system."""
    try:
        return sorted(child for child in path.iterdir() if child.is_dir() and not is_ignored(child.name))
    except OSError:
        # `walk` gives an unreadable folder its verdict; it has no sub-folders that anyone could see.
        return []


def _name_some(names: list[str]) -> str:
    return to_valid_text(", ".join(names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
