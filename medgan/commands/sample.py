"""Draw synthetic images into a folder with manifest, data card and contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from medgan import __version__
from medgan.base import cache, files
from medgan.base.errors import PlanError
from medgan.base.job import Job
from medgan.base.processes import Processes
from medgan.base.progress import OnProgress, ignore
from medgan.base.results import WriteResult
from medgan.commands.draw_into import (
    check_seed_range,
    describe_filter,
    list_marks,
    model_settings,
    resolve_form,
    write_share,
    write_synthetic,
)
from medgan.commands.films import film_notes, write_films
from medgan.commands.job import join_job
from medgan.commands.options import DrawOptions
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout
from medgan.dataset.quota import unknown_class_error
from medgan.dataset.source import Source, normalise_label
from medgan.dataset.split import hold_out, holdout_of_training
from medgan.filtering.candidates import ReferenceSet, SampleRequest, most_candidates, select_samples
from medgan.learners.gan.model import Model
from medgan.output.finalise import RunFacts, finalise
from medgan.output.folder import (
    DatasetWriter,
    Settings,
    WrittenImage,
    claim_folder,
    dataset_folder,
    find_result,
)
from medgan.output.folder_names import folder_names
from medgan.preparation.stack import find_stack, prepare

_DEFAULTS = DrawOptions()


def sample(
    model: Path, out: Path, *, options: DrawOptions = _DEFAULTS, on_progress: OnProgress = ignore
) -> WriteResult:
    """Draw images of every requested class into the folder `out`.

    Under torchrun every process calls this with the same arguments, and draws its part.

    Args:
        model: The folder of a trained model.
        out: A new folder, or one that the same command began.
        options: Which images to draw, and how to write them.
        on_progress: Called with every step of progress.

    Raises:
        PlanError: the options contradict each other or the model.
        OutputError: `out` holds something else, or another command is writing into it.
    """
    # Check the options against each other and the model.
    _check_options(options)
    against = options.scans
    trained = Model.load(model)
    files.refuse_output_inside(out, [model, *(against.inputs if against else ())])
    how = holdout_of_training(trained.holdout, options.holdout) if against else Holdout()
    form = resolve_form(trained.plan.frame.form, options.format, options.dicom_class)
    chosen = _labels_to_draw(options.labels, trained.labels)

    # Return the folder as it is if the same command completed it before.
    settings = {
        "command": "sample",
        "medgan": __version__,
        **model_settings(trained),
        "labels": chosen,
        "count": options.count,
        "seed": options.seed,
        "format": form.format,
        "dicom_class": form.dicom_class,
        "filter": not options.no_filter,
        "against": against is not None,
        "holdout": how.share,
        **({"film": True} if options.film else {}),
    }
    run = dataset_folder(out, "sample")
    job = join_job(options.device, on_progress)
    done = job.first(lambda: find_result(run, settings))
    if done is not None:
        return done

    # Select, draw and write.
    folder = DatasetWriter(path=out, form=form, folders=folder_names(trained.labels))
    wish = SampleRequest(counts=dict.fromkeys(chosen, options.count), seed=options.seed)
    beside = partial(_load_reference, trained, against, how, folder.folders, job)
    with run.lock(job.first):
        if (done := job.first(lambda: claim_folder(run, settings))) is not None:
            return done
        return _write_images(folder, trained, wish, None if options.no_filter else beside, settings, job)


def _write_images(
    folder: DatasetWriter,
    model: Model,
    wish: SampleRequest,
    beside: Callable[[], ReferenceSet | None] | None,
    settings: Settings,
    job: Job,
) -> WriteResult:
    """Select, draw and write the requested images, then finalise the folder.

    Args:
        folder: The claimed output folder.
        model: Draws the images.
        wish: How many images of each class, and from which seed on.
        beside: Loads the training images to compare with, if there are any; None draws unfiltered.
        settings: What run.json records of the command.
        job: Its processes share the work.
    """
    choice = None
    if beside is not None:
        choice = job.first(lambda: select_samples(folder.selection, model, wish, beside, job))
    marks = list_marks(wish, choice, model.digest)

    def drawn(part: Processes) -> tuple[int, Iterator[WrittenImage]]:
        mine = marks[part.share(len(marks))]
        return len(mine), write_synthetic(folder, model, mine, job.device)

    images = write_share(drawn, job)
    films = _draw_films(folder, model, wish, job) if settings.get("film") else ()
    account = RunFacts(
        command="sample",
        settings=settings,
        before=dict.fromkeys(model.labels, 0),
        model=model.digest,
        data=model.data_digest,
        training_seed=model.plan.budget.seed,
        holdout=model.holdout,
        filter=describe_filter(choice, model.data_digest),
        films=films,
        notes=film_notes(tuple(wish.counts)) if films else (),
    )
    return job.first(lambda: finalise(folder, images, account, job.tell))


def _draw_films(folder: DatasetWriter, model: Model, wish: SampleRequest, job: Job) -> tuple[str, ...]:
    """Write the films of the classes that are drawn, in the first process alone."""
    return job.first(
        lambda: write_films(folder.path, model, tuple(wish.counts), folder.folders, wish.seed, job)
    )


def _check_options(options: DrawOptions) -> None:
    """Raise PlanError for options that cannot be met or that contradict each other."""
    count, against = options.count, options.scans
    if count < 1:
        raise PlanError(f"--count must be at least 1, not {count}", hint="Give for example --count 16.")
    if against is not None and options.no_filter:
        raise PlanError(
            "--against needs the filter, which --no-filter turns off",
            hint="Remove --against or --no-filter.",
        )
    if options.holdout and against is None:
        raise PlanError("--holdout needs --against", hint="Add --against SOURCE, or remove --holdout.")
    check_seed_range(count if options.no_filter else most_candidates(count), options.seed)


def _labels_to_draw(wanted: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The requested labels, each once and in the model's order; all of the model's if none is named."""
    wanted = tuple(map(normalise_label, wanted))
    for label in wanted:
        if label not in labels:
            raise unknown_class_error(label, tuple(labels))
    return tuple(label for label in labels if not wanted or label in wanted)


def _load_reference(
    model: Model, source: Source | None, how: Holdout, folders: Mapping[str, str], job: Job
) -> ReferenceSet | None:
    """Load the training images to compare with.

    Args:
        model: The model that draws.
        source: Scans to prepare; None looks into the cache, which may not hold them.
        how: What training held out of `source`.
        folders: {label: folder name}.
        job: It is told of the progress.
    """
    if source is None:
        stack, data = (
            find_stack(model.data_digest, model.plan.frame, cache.cache_location() / cache.STACKS),
            model.data_digest,
        )
    else:
        found = index(source, job)
        manifest = hold_out(found, how, model.plan.budget.seed)
        stack, data = (
            prepare(manifest, model.plan.frame, cache.stacks_folder(), job),
            manifest.digest,
        )
    return None if stack is None else ReferenceSet.of(stack, folders, data, job)
