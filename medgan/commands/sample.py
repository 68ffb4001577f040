"""A trained model and seeds -> a folder of synthetic images with manifest, data card and contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

from medgan import __version__
from medgan.base import cache, files
from medgan.base.errors import PlanError
from medgan.base.processes import Processes
from medgan.base.progress import OnProgress, ignore
from medgan.commands.draw_into import (
    choose_in,
    form_of,
    marks_of,
    refuse_numbers,
    settings_of,
    synthesise,
    write_share,
)
from medgan.commands.folder_lock import alone_in
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout
from medgan.dataset.quota import unknown_class_error
from medgan.dataset.source import Source, normalise_label
from medgan.dataset.split import hold_out, holdout_of_training
from medgan.filtering.candidates import ReferenceSet, SampleRequest, most_candidates
from medgan.learners.gan.model import Model
from medgan.output.finalise import RunFacts, finalise
from medgan.output.folder import (
    DatasetWriter,
    FolderResult,
    Settings,
    WrittenImage,
    claim_folder,
    find_result,
)
from medgan.output.folder_names import folder_names
from medgan.prepare.stack import find_stack, prepare
from medgan.training.runtime import once


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """Which images are drawn, and how they are chosen and written."""

    labels: Sequence[str] = ()
    """Classes; empty for all that the model knows."""
    count: int = 16
    """Images of each class."""
    seed: int = 0
    """Of the first image; an image's number is its seed + 1."""
    format: str = "auto"
    """"dicom", "nifti", "png", or "auto": that of the training data."""
    dicom_class: str = "auto"
    """"ct", "mr", "cr", "dx", "us", "sc", or "auto": that of the modality where it is true of the images."""
    filtered: bool = True
    """Whether the best of several times as many seeds are chosen; else the first ones are taken."""
    against: Source | None = None
    """The scans to look for copies of, less what training held out; None: those in the cache."""
    holdout: float | None = None
    """Share of the patients of `against` that training held out; None: what the model says."""
    device: str = "auto"


USUAL = SampleOptions()


def sample(
    model: Path, out: Path, *, options: SampleOptions = USUAL, on_progress: OnProgress = ignore
) -> FolderResult:
    """Draw images of every class that is asked for into the folder `out`.

    Under torchrun every process calls this alike, and draws its share.
    """
    started = perf_counter()
    refuse(options)
    against, device = options.against, options.device
    trained = Model.load(model)
    files.refuse_output_inside(out, [model, *(against.inputs if against else ())])
    how = holdout_of_training(trained.holdout, options.holdout) if against else Holdout()
    form = form_of(trained.plan.form, options.format, options.dicom_class)
    chosen = labels_to_draw(options.labels, trained.labels)
    settings = {
        "command": "sample",
        "medgan": __version__,
        **settings_of(trained),
        "labels": chosen,
        "count": options.count,
        "seed": options.seed,
        "format": form.format,
        "dicom_class": form.dicom_class,
        "filter": options.filtered,
        "against": against is not None,
        "holdout": how.share,
    }
    done = once(lambda: find_result(out, settings), device)
    if done is not None:
        return done
    folder = DatasetWriter(path=out, form=form, folders=folder_names(trained.labels))
    wish = SampleRequest(counts=dict.fromkeys(chosen, options.count), seed=options.seed, device=device)
    beside = (
        partial(at_hand, trained, against, how, folder.folders, on_progress) if options.filtered else None
    )
    with alone_in(out, device):
        if (done := once(lambda: claim_folder(out, settings), device)) is not None:
            return done
        written = fill(folder, trained, wish, beside, settings, on_progress)
    return replace(written, seconds=perf_counter() - started)


def fill(  # what a folder is filled with and from is no noun
    folder: DatasetWriter,
    model: Model,
    wish: SampleRequest,
    beside: Callable[[], ReferenceSet | None] | None,
    settings: Settings,
    on_progress: OnProgress,
) -> FolderResult:
    """Choose, draw and seal what is wished for in a claimed folder; unfiltered without the images to look at `beside`."""
    device = wish.device
    choice = once(lambda: choose_in(folder, model, wish, beside, on_progress), device) if beside else None
    marks = marks_of(wish, choice, model.digest)

    def drawn(part: Processes) -> tuple[int, Iterator[WrittenImage]]:
        mine = marks[part.share(len(marks))]
        return len(mine), synthesise(folder, model, mine, device)

    images = write_share(drawn, on_progress, device)
    account = RunFacts(
        command="medgan sample",
        settings=settings,
        before=dict.fromkeys(model.labels, 0),
        model=model.digest,
        data=model.data_digest,
        training_seed=model.plan.seed,
        holdout=model.holdout,
        choice=choice,
    )
    return once(lambda: finalise(folder, images, account, on_progress), device)


def refuse(options: SampleOptions) -> None:
    """PlanError for what cannot be drawn."""
    count, against = options.count, options.against
    if count < 1:
        raise PlanError(f"{count} images per label are none", hint="Give --count 1 or more.")
    if against is not None and not options.filtered:
        raise PlanError("Nothing is compared without the filter", hint="Leave --against or --no-filter away.")
    if options.holdout and against is None:
        raise PlanError(
            "Nothing is held out of scans that are not named",
            hint="Add --against SOURCE, or leave --holdout away.",
        )
    refuse_numbers(most_candidates(count) if options.filtered else count, options.seed)


def labels_to_draw(wanted: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The labels asked for, each once, in the model's order; all of them when none is asked for."""
    wanted = tuple(map(normalise_label, wanted))
    for label in wanted:
        if label not in labels:
            raise unknown_class_error(label, tuple(labels))
    return tuple(label for label in labels if not wanted or label in wanted)


def at_hand(
    model: Model, source: Source | None, how: Holdout, folders: Mapping[str, str], on_progress: OnProgress
) -> ReferenceSet | None:
    """The training images to compare with: those of `source`, less what training held out, else those of the model that lie in the cache, else none."""
    if source is None:
        stack, data = (
            find_stack(model.data_digest, model.plan, cache.cache_location() / cache.STACKS),
            model.data_digest,
        )
    else:
        found = index(source, on_progress=on_progress)
        manifest = hold_out(found, how, model.plan.seed)
        stack, data = (
            prepare(manifest, model.plan, cache.stacks_folder(), on_progress=on_progress),
            manifest.digest,
        )
    return None if stack is None else ReferenceSet.of(stack, folders, data, on_progress=on_progress)
