"""The parts of the evidence: gathered images -> what each measures, with an effort of its own; unfinished work is kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medgan import files
from medgan.commands.gather import Gathered
from medgan.errors import DatasetError
from medgan.progress import OnProgress
from medgan.quality import contest
from medgan.quality.fidelity import measure_fidelity
from medgan.quality.privacy import screen_privacy
from medgan.quality.shortcut import measure_shortcut
from medgan.quality.utility import measure_usefulness


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is drawn, compared and drawn again."""

    per_class: int
    """Synthetic images drawn from a model per class."""
    most: int
    """Images per class and set that scores compare."""
    resamples: int


EFFORTS = {
    "quick": Effort(per_class=200, most=200, resamples=200),
    "standard": Effort(per_class=500, most=500, resamples=500),
    "thorough": Effort(per_class=2000, most=2000, resamples=1000),
}


class Runs(MutableMapping[str, Any]):
    """Finished runs of a part by name, kept in one JSON file, so that a stopped part goes on behind the last of them."""

    def __init__(self, path: Path, key: str) -> None:
        """Take up the runs in `path` that were made under the same `key`; a damaged file counts as none."""
        self.path, self.key = path, key
        try:
            known = files.read_json(path)
            self.runs: dict[str, Any] = known["runs"] if known["key"] == key else {}
        except (OSError, ValueError, KeyError, TypeError):
            self.runs = {}

    def __getitem__(self, name: str) -> Any:
        """A finished run."""
        return self.runs[name]

    def __setitem__(self, name: str, run: Any) -> None:
        """Keep a run, on disk at once."""
        self.runs[name] = run
        files.write_json(self.path, {"key": self.key, "runs": self.runs})

    def __delitem__(self, name: str) -> None:
        """Forget a run."""
        del self.runs[name]

    def __iter__(self) -> Iterator[str]:
        """Names of finished runs."""
        return iter(self.runs)

    def __len__(self) -> int:
        """How many runs are finished."""
        return len(self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a part is given."""

    images: Gathered
    effort: str
    seed: int
    runs: MutableMapping[str, Any]
    on_progress: OnProgress


def fidelity(job: Job) -> Any:
    """The scores of closeness and variety."""
    effort = EFFORTS[job.effort]
    return measure_fidelity(
        job.images.train, job.images.held_out, job.images.synthetic,
        seed=job.seed, resamples=effort.resamples, most=effort.most, on_progress=job.on_progress,
    )  # fmt: skip


def usefulness(job: Job) -> Any:
    """Whether classifiers gain."""
    refuse_without_patients(job.images)
    return measure_usefulness(
        job.images.train, job.images.val, job.images.test, job.images.synthetic,
        settings=settings_of(job), seed=job.seed, runs=job.runs, on_progress=job.on_progress,
    )  # fmt: skip


def shortcut(job: Job) -> Any:
    """Whether a classifier can tell that an image is synthetic, and uses it."""
    refuse_without_patients(job.images)
    return measure_shortcut(
        job.images.train, job.images.held_out, job.images.synthetic,  # nothing is chosen here, so all may be asked
        settings=settings_of(job), seed=job.seed, runs=job.runs, on_progress=job.on_progress,
    )  # fmt: skip


def privacy(job: Job) -> Any:
    """Whether training images were copied or remembered."""
    images = job.images
    return screen_privacy(
        images.train, images.held_out, images.synthetic, seed=job.seed, on_progress=job.on_progress
    )


def settings_of(job: Job) -> contest.Settings:
    """How thoroughly classifiers are compared, with the judges that can be had here."""
    settings = contest.EFFORTS[job.effort]
    return replace(settings, judges=contest.judges_here(settings.judges))


def refuse_without_patients(images: Gathered) -> None:
    """DatasetError where no real patient is left to judge by."""
    if not len(images.held_out):
        raise DatasetError(
            "no real patients are held out to judge by",
            hint="Name the data set with its test split, or train and evaluate with --holdout 0.3.",
        )


PARTS: dict[str, Callable[[Job], Any]] = {
    "fidelity": fidelity,
    "usefulness": usefulness,
    "shortcut": shortcut,
    "privacy": privacy,
}
"""{part: how it is measured}: a noun or a tuple of nouns; MedganError where these images do not allow it."""
