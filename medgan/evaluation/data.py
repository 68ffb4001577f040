"""Load the real and synthetic images of an evaluation in one form.

They have one size, one intensity range and one order of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medgan.base import cache, files
from medgan.base.errors import DatasetError, ModelError
from medgan.base.job import Job
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import SPLITS, Holdout, Manifest
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out, holdout_of_training
from medgan.evaluation.external import read_external
from medgan.evaluation.giveaways import Circumstances
from medgan.evaluation.options import EvidenceOptions
from medgan.evaluation.splits import divide, read_split, refuse_unknown_classes, split_images
from medgan.evaluation.usefulness.image_sets import Split
from medgan.filtering.candidates import ReferenceSet, SampleRequest
from medgan.filtering.in_memory import draw_images, select_in_memory
from medgan.learners.gan.model import Model
from medgan.output import read_back
from medgan.output.folder_names import folder_names
from medgan.output.read_back import RunRecord
from medgan.plan import Frame, decide_frame
from medgan.preparation.images import LabelledImages, concatenate_images
from medgan.preparation.stack import prepare
from medgan.scans.scan import OutputFormat

_MOST = 5000
"""Images per class and set, at most; more change no score and fill the memory."""
_LONGEST = 128
"""Longest side in pixels at which images of other tools are compared."""
_CHECKED = "checked: the generator learned from exactly the train split here"
_UNKNOWN = "not known: nothing says which images the generator learned from"
_UNNAMED = (
    "scans that name no patient count as a patient each, so slices of one body may lie on both sides, and"
    " intervals are over scans"
)
_SAME_CHOSE = (
    "the share of these images was chosen on the same patients who judge them here, which flatters it: judge"
    " on patients of a test split"
)
_NONE_HELD = (
    "no patient is held out: real images that the generator may have learned from stand in their place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to evaluate: real data, and a model or a folder of synthetic images."""

    source: Source
    model: Path | None = None
    synthetic: Path | None = None
    """Folder of synthetic images, a subfolder per class.

    Without this and without a model, the source must be a folder that `balance` wrote.
    """
    external: Path | None = None
    """Folder of another hospital's scans with the same classes, for a second test."""
    per_class: int = 500
    """Synthetic images per class that a model draws, or more if the class lacks more."""
    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    """What is measured, how thoroughly, and on whom."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationData:
    """Real and synthetic images in one size, intensity range and class order."""

    train: LabelledImages
    """Real images that the generator learned from."""
    val: LabelledImages
    test: LabelledImages
    """Real images of other patients; empty if none are held out."""
    synthetic: LabelledImages
    external: LabelledImages | None = None
    """Real images of another hospital's patients; None if there are none."""
    unseen: str
    """A sentence on whether the generator is known not to have seen the held-out patients."""
    sources: Mapping[str, str]
    """Digests of data and model."""
    notes: tuple[str, ...] = ()
    filter: Mapping[str, Any] | None = None
    """Summary of the filter for a model's images; None for a folder."""
    run: Path | None = None
    """Run folder of the model, for its training curves."""
    realism: tuple[float | None, ...] = ()
    """The filter's score of each synthetic image, None if it has none; empty if scores are not known."""
    rejected: LabelledImages | None = None
    """Some of the images that the filter rejected."""
    reasons: tuple[str, ...] = ()
    """Why each of them was rejected."""
    circumstances: Mapping[str, Circumstances] = field(default_factory=dict)
    """{"train", "val", "test" or "external": facts of its files}; empty if they are not the original ones."""

    @property
    def held_out(self) -> LabelledImages:
        """Validation and test images together."""
        return concatenate_images(self.val, self.test)

    @property
    def split(self) -> Split:
        """The sets that evidence compares: training, held-out and synthetic images."""
        return Split(self.train, self.held_out, self.synthetic)

    @property
    def digest(self) -> str:
        """SHA-256 of all images, equal for equal images."""
        return files.digest_of(self.sources)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """{"train", "val", "test", "synthetic" or "external": {class: images}}."""
        told = {name: getattr(self, name).counts for name in (*SPLITS, "synthetic")}
        return told if self.external is None else {**told, "external": self.external.counts}

    @property
    def patients(self) -> dict[str, int]:
        """{"train", "val", "test" or "external": patients}, or files where patients are not known."""
        names = (*SPLITS, *(() if self.external is None else ("external",)))
        return {name: len(set(getattr(self, name).patients.tolist())) for name in names}


_Memory = Callable[[], MutableMapping[str, Any]]
"""Opens the cache of the images that the filter selects, once it is certain that they will be judged."""


def load_evaluation_data(request: Request, job: Job, memory: _Memory = dict) -> EvaluationData:
    """Load real images, and draw or read synthetic ones.

    Args:
        request: What to evaluate.
        job: Its processes read the scans; it is told of the progress.
        memory: Opens the cache of the images that the filter selects.

    Raises:
        DatasetError: there is nothing to judge, or it does not fit the data set.
        ModelError: the generator may have seen the held-out patients.
    """
    path = request.source.path
    if request.model is None and request.synthetic is None:
        if path is None or not read_back.is_written(path):
            raise DatasetError(
                "there is nothing synthetic to judge",
                hint="Add --model RUN or --synthetic FOLDER, or name a folder that `medgan balance` wrote.",
            )
        _refuse_idle_options(request)
        return _load_balanced(path, job)
    manifest = index(request.source, job)
    if request.model is not None:
        return _load_model(manifest, request, Model.load(request.model), memory, job)
    assert request.synthetic is not None, "asked above"
    if read_back.is_written(request.synthetic):
        return _load_written(manifest, request.synthetic, request, job)
    manifest = hold_out(manifest, Holdout(share=request.evidence.holdout or 0.0), request.evidence.seed)
    return _load_other_tool(manifest, request, job)


def _refuse_idle_options(request: Request) -> None:
    """Raise DatasetError for options that do not apply to a folder that medgan wrote."""
    idle = ", ".join(
        [
            *(["--holdout"] if request.evidence.holdout else []),
            *(["--external"] if request.external else []),
            *request.source.wishes,
        ]
    )
    if idle:
        raise DatasetError(
            f"{idle} does not apply to a folder that medgan wrote, which is read as it is",
            hint="Remove it, or name the data set itself: medgan evaluate scans/ --synthetic FOLDER"
            " --out evaluation/.",
        )


# --- images of a model ---


def _load_model(
    manifest: Manifest, request: Request, model: Model, memory: _Memory, job: Job
) -> EvaluationData:
    """Load the data set that a model learned from, and draw images as `sample` and `balance` would."""
    # The held-out patients must be those that the training held out.
    manifest = divide(manifest, request.evidence.holdout, model)
    if model.data_digest != manifest.digest:
        raise ModelError(
            "the model learned from other images than the train split of this data set"
            f" (digest {model.data_digest[:12]}, here {manifest.digest[:12]}), so it may have seen the"
            " patients it would be tested on",
            hint="Name the data set it was trained on, with the same --holdout.",
        )

    # Real images, then as many synthetic ones as asked for or lacking.
    external = read_external(request.external, request.source, manifest, model.plan.frame, _MOST, job)
    real, circumstances = _load_real_images(manifest, model.plan.frame, job)
    have = real["train"].counts
    wanted = {
        label: min(max(request.per_class, max(have.values()) - count), _MOST) for label, count in have.items()
    }
    wish = SampleRequest(counts=wanted, seed=request.evidence.seed)
    filtered = not request.evidence.no_filter
    beside = partial(_load_training_reference, manifest, model, job) if filtered else None
    offered = select_in_memory(model, wish, beside, memory() if filtered else {}, job)
    return EvaluationData(
        train=real["train"],
        val=real["val"],
        test=real["test"],
        circumstances={**circumstances, **external.facts},
        external=external.images,
        synthetic=draw_images(model, offered.seeds, job),
        unseen=_CHECKED,
        sources={
            "data": manifest.digest,
            "model": model.digest,
            "drawn": files.digest_of([filtered, offered.seeds]),
            **_held_out_digests(manifest),
            **external.sources,
        },
        notes=(*_data_notes(manifest), *external.notes, *offered.notes),
        filter=offered.filter,
        run=request.model,
        realism=offered.realism(model.labels),
        rejected=draw_images(model, offered.rejected, Job(device=job.device)),
        reasons=offered.reasons(model.labels),
    )


def _load_training_reference(manifest: Manifest, model: Model, job: Job) -> ReferenceSet:
    """Load the training images of a model, with which candidates are compared."""
    stack = prepare(manifest, model.plan.frame, cache.stacks_folder(), job)
    return ReferenceSet.of(stack, folder_names(model.labels), manifest.digest, job)


# --- folders ---


def _load_balanced(folder: Path, job: Job) -> EvaluationData:
    """Load a folder that `balance` wrote, whose real images are prepared like its synthetic ones."""
    facts, rows = read_back.read_tables(folder)
    real = np.array([row["origin"] == "real" for row in rows])
    if facts.real != "prepared" or not real.any():
        raise DatasetError(
            f"{folder} holds no real images prepared like its synthetic ones",
            hint=f"Name the data set itself: medgan evaluate scans/ --synthetic {folder} --out evaluation/.",
        )
    images = read_back.read_images(folder, facts, rows, job.tell)
    train = images.take(real)
    return EvaluationData(
        train=train,
        val=train.take([]),
        test=train.take([]),
        synthetic=images.take(~real),
        unseen=_NONE_HELD,
        sources=read_back.content_digests(facts, rows),
        notes=(_NONE_HELD,),
        run=_find_run(folder),
        realism=read_back.realism_scores([row for row in rows if row["origin"] != "real"]),
    )


def _load_written(manifest: Manifest, folder: Path, request: Request, job: Job) -> EvaluationData:
    """Load a data set, and the synthetic images of a folder that medgan wrote from it."""
    # Hold out whom the training of its generator held out.
    facts, rows = read_back.read_tables(folder)
    seed = facts.training_seed
    how = holdout_of_training(facts.holdout, request.evidence.holdout)
    manifest = hold_out(manifest, how, request.evidence.seed if seed is None else seed)
    rows = [row for row in rows if row["origin"] == "synthetic"]
    if not rows:
        raise DatasetError(f"{folder} holds no synthetic image", hint="Name another --synthetic.")
    if facts.data != manifest.digest and any(any(manifest.usable(split)) for split in SPLITS[1:]):
        raise DatasetError(
            f"the generator behind {folder} learned from other images than the train split of this data set"
            f" (digest {facts.data[:12]}, here {manifest.digest[:12]}), so it may have seen the patients it"
            " would be tested on",
            hint="Name the data set it was trained on, with the same --holdout.",
        )

    # Prepare real images like the synthetic ones.
    images = read_back.read_images(folder, facts, rows, job.tell)
    frame = _frame_like(manifest, facts.form, images.pixels.shape[1:])
    external = read_external(request.external, request.source, manifest, frame, _MOST, job)
    real, circumstances = _load_real_images(manifest, frame, job)
    images = _renumber(images, frame.labels, folder)
    return EvaluationData(
        train=real["train"],
        val=real["val"],
        test=real["test"],
        circumstances={**circumstances, **external.facts},
        external=external.images,
        synthetic=images,
        unseen=_CHECKED if facts.data == manifest.digest else _UNKNOWN,
        sources={
            "data": manifest.digest,
            **read_back.content_digests(facts, rows),
            **_held_out_digests(manifest),
            **external.sources,
        },
        notes=(
            *_data_notes(manifest),
            *external.notes,
            *((_SAME_CHOSE,) if _chose_own_share(facts, manifest) else ()),
        ),
        run=_find_run(folder),
        realism=read_back.realism_scores(rows),
    )


def _load_other_tool(manifest: Manifest, request: Request, job: Job) -> EvaluationData:
    """Load a data set, and images that another tool made, whose training data are unknown."""
    # One size for both, and one intensity range if both are in Hounsfield units.
    folder = request.synthetic
    assert folder is not None, "the caller asks"
    made_by = index(Source(path=folder, allow_synthetic=True), job)
    # Synthetic images are for training, whichever split the folder they lie in is named after.
    made_by = replace(made_by, records=tuple(replace(record, split="train") for record in made_by.records))
    facts = measure(made_by)
    ours, theirs = decide_frame(measure(manifest)), decide_frame(facts)
    height, width = facts.rows[1], facts.columns[1]
    scale = min(_LONGEST / max(height, width), 1.0)
    ours = replace(
        ours,
        size=(max(round(height * scale), 1), max(round(width * scale), 1)),
        channels=max(ours.channels, theirs.channels),  # a tint that only the other tool's images have counts
        geometry="stretch",
        mm_per_pixel=None,
    )
    same = ours.form.unit == theirs.form.unit == "HU"
    theirs = replace(ours, form=ours.form if same else theirs.form)
    notes = [_UNKNOWN[0].upper() + _UNKNOWN[1:], *_data_notes(manifest)]
    if any(getattr(ours.form, name) != getattr(theirs.form, name) for name in ("unit", "low", "high")):
        notes.append(
            "real and synthetic images have different intensity scales, so each was scaled to its own range"
        )

    # Prepare real and synthetic images.
    external = read_external(request.external, request.source, manifest, ours, _MOST, job)
    real, circumstances = _load_real_images(manifest, ours, job)
    refuse_unknown_classes(made_by.labels, ours.labels, folder)
    synthetic = split_images(made_by, "train", theirs, job, _MOST)
    own = np.array([f"synthetic {row}" for row in range(len(synthetic))])
    return EvaluationData(
        train=real["train"],
        val=real["val"],
        test=real["test"],
        circumstances={**circumstances, **external.facts},
        external=external.images,
        synthetic=replace(synthetic, patients=own),
        unseen=_UNKNOWN,
        sources={
            "data": manifest.digest,
            "synthetic": made_by.digest,
            **_held_out_digests(manifest),
            **external.sources,
        },
        notes=(*notes, *external.notes),
    )


# --- one size, intensity range and class order for all ---


def _frame_like(manifest: Manifest, form: OutputFormat, shape: tuple[int, ...]) -> Frame:
    """The frame of real scans prepared like images of `shape` (C, H, W) that were written in `form`."""
    spacing = form.spacing_mm[1] if form.spacing_mm else None
    return Frame(
        labels=tuple(manifest.training_counts()),
        size=shape[1:],
        channels=shape[0],
        form=form,
        geometry="stretch" if spacing is None else "physical",
        mm_per_pixel=spacing,
    )


def _renumber(images: LabelledImages, names: tuple[str, ...], folder: Path) -> LabelledImages:
    """Renumber the classes of images in the order of `names`."""
    there = [label for label, count in images.counts.items() if count]
    refuse_unknown_classes(there, names, folder)
    numbers = np.array([names.index(label) if label in names else -1 for label in images.names])
    return replace(images, labels=numbers[images.labels], names=names)


def _data_notes(manifest: Manifest) -> tuple[str, ...]:
    """Notes on what the data themselves cannot show."""
    held = any(True for split in SPLITS[1:] for _ in manifest.usable(split))
    return (*(() if held else (_NONE_HELD,)), *(() if manifest.patients_known else (_UNNAMED,)))


def _chose_own_share(facts: RunRecord, manifest: Manifest) -> bool:
    """Whether the patients who judge a folder also chose its share, as they do without a test split."""
    return facts.settings.get("share") == "auto" and not any(True for _ in manifest.usable("test"))


def _load_real_images(
    manifest: Manifest, frame: Frame, job: Job
) -> tuple[dict[str, LabelledImages], dict[str, Circumstances]]:
    """Load the images of each split, and the facts of their files; a lone val split is used as test."""
    read = {split: read_split(manifest, split, frame, job, _MOST) for split in SPLITS}
    if not len(read["test"][0]):
        read |= {"val": read["test"], "test": read["val"]}
    return {split: one for split, (one, _) in read.items()}, {split: one for split, (_, one) in read.items()}


def _held_out_digests(manifest: Manifest) -> dict[str, str]:
    """Digest of the held-out images."""
    return {
        "held_out": files.digest_of(
            sorted((r.digest, r.label, r.split, r.slices) for s in SPLITS[1:] for r in manifest.usable(s))
        )
    }


def _find_run(folder: Path) -> Path | None:
    """The run folder that `balance` trained for this folder, if it still exists."""
    run = folder.resolve().with_name(folder.resolve().name + ".run")
    return run if run.is_dir() else None
