"""Write a class-balanced data set with the same share of synthetic images in every class."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from medgan import __version__
from medgan.base import cache, files
from medgan.base.errors import ModelError, PlanError
from medgan.base.job import Job
from medgan.base.processes import Processes, current_processes
from medgan.base.progress import OnProgress, ignore
from medgan.base.results import WriteResult
from medgan.base.run_folder import RunFolder
from medgan.commands import report
from medgan.commands.draw_into import (
    check_seed_range,
    describe_filter,
    drop_untrue_attributes,
    list_marks,
    model_settings,
    resolve_form,
    write_share,
    write_synthetic,
)
from medgan.commands.job import join_job
from medgan.commands.options import BalanceOptions
from medgan.commands.preflight import AUTO, SYNTHETIC
from medgan.commands.share import ONE_SIDED, BalancePolicy, companion_text, require_validation, settle_share
from medgan.commands.train import announce, train_on
from medgan.commands.values import as_path
from medgan.dataset.advice import small_class_warnings
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest, Record, count_images, digest_records
from medgan.dataset.quota import Quotas, synthetic_share
from medgan.dataset.source import Source
from medgan.evaluation.splits import divide
from medgan.evaluation.usefulness.share_choice import Chosen
from medgan.filtering.candidates import (
    ReferenceSet,
    SampleRequest,
    Selection,
    most_candidates,
    select_samples,
)
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
from medgan.output.real_images import NONE, PREPARED, order_digest, plan_real_images, repeat_images
from medgan.plan import Frame, Overrides, decide
from medgan.preparation.stack import Stack, prepare
from medgan.scans.scan import OutputFormat

_DEFAULT_SHARE = 0.25
"""Share of synthetic images in every class unless the user asks for another."""


_DEFAULTS = BalanceOptions()


def balance(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    options: BalanceOptions = _DEFAULTS,
    holdout: float | None = None,
    overrides: Overrides = Overrides(),  # noqa: B008  # frozen
    tensorboard: bool = False,
    on_progress: OnProgress = ignore,
) -> WriteResult:
    """Write the train split of `source` into `out` with equally large classes and synthetic images.

    Classes reach one size by repeated real images, and the same share of synthetic images joins each of
    them. Only training images are learned from, repeated and written; val and test stay where they are.
    The same command again continues where it was stopped, and changes nothing once the folder is complete.
    Under torchrun every process calls this with the same arguments; they train together, and each draws
    and writes its part of the images.

    Args:
        source: Scans and their classes.
        out: A new folder, or one that the same command began.
        options: How far to balance, by which model, and what the folder holds. Without a model, one is
            trained in `<out>.run`.
        holdout: Share of the training patients held out as val and not written; None: as in training, or by
            default.
        overrides: Settings of the training that the user decides. Its seed is also that of the first
            synthetic image of each class; the others count up from it.
        tensorboard: Write TensorBoard events of the training.
        on_progress: Called with every step of progress.
    """
    began = time.monotonic()

    # Refuse what cannot work before hours of training.
    options.refuse()
    model = as_path(options.model)
    trained = None if model is None else Model.load(model)
    files.refuse_output_inside(out, [*source.inputs, *([model] if model else [])])
    run = dataset_folder(out, "balance")
    run.read()
    job = join_job(overrides.device, on_progress)
    task = BalanceJob.of_source(source, options, holdout, trained or overrides, overrides.seed or 0, job)
    if (done := job.first(lambda: find_result(run, task.settings))) is not None:
        ensure_report(out)
        return done
    announce(task.manifest, on_progress)
    plan = (
        decide(measure(task.manifest), overrides) if trained is None else task.require_suitable(trained).plan
    )
    frame = task.frame_by(plan.frame)

    with run.lock(job.first):
        stack = task.open_stack(frame, job)

        # Train a model where none is given and synthetic images are needed.
        if trained is None and any(task.missing.values()):
            beside = _sibling_folder(out, ".run")
            train_on(task.manifest, beside, overrides, job, began=began, tensorboard=tensorboard)
            trained = Model.load(beside)

        # Choose the share on validation patients, then draw, filter and write.
        if trained is not None and task.needs_share:
            task = task.choose_share(trained, _sibling_folder(out, ".share"), stack, job)
        written = write_dataset(run, task, trained, frame.form, stack, job)
    ensure_report(out)
    return written


def ensure_report(out: Path) -> None:
    """Write the report of a complete folder if a killed command left it without one."""
    if current_processes().is_first and not (out / report.PAGE).exists():
        report.render(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceJob:
    """A data set with its final splits, and what each class of the output is made up of."""

    manifest: Manifest
    records: tuple[Record, ...]
    """The scans whose images are balanced and written: the training images, unless others are asked for."""
    options: BalanceOptions
    before: Mapping[str, int]
    """{label: images of these scans}."""
    mixture: BalancePolicy
    whole: Quotas
    """{label: images of each kind}."""
    settings: Settings
    chosen: Chosen | None = None
    """The share that validation patients chose; None if they were not asked."""
    notes: tuple[str, ...] = ()
    """Sentences on what differs from the request."""
    command: str = "balance"
    """The command that writes: "balance" or "prepare"."""
    split: str = "train"
    """The split whose real images are written; "" for every split."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        options: BalanceOptions,
        maker: Overrides | Model,
        seed: int = 0,
        records: tuple[Record, ...] | None = None,
    ) -> BalanceJob:
        """Decide how many images of each kind every class gets.

        Args:
            manifest: The data set with its final splits.
            options: How far to balance.
            maker: The model that draws, or the settings of one that is still to be trained.
            seed: Seed of the first synthetic image of each class.
            records: The scans to balance and write, sorted by content; None: the training images.

        Raises:
            PlanError: there is nothing to write, or no validation patient to choose the share.
        """
        # Count what is there and what is missing.
        records = manifest.training() if records is None else records
        before, mixture = count_images(records), _policy_of(options, seed)
        whole = mixture.of(before)
        missing = {label: quota.made for label, quota in whole.items()}
        if not any(missing.values()) and options.way == NONE:
            raise PlanError(
                "there is nothing to write: no class needs synthetic images, and --real is none",
                hint="Ask for synthetic images with --share 0.25, or for real ones with --real prepared.",
            )

        # Refuse what could only fail later.
        if mixture.share == AUTO and any(missing.values()):
            require_validation(manifest, before)
        check_seed_range(
            max(missing.values(), default=0)
            if options.no_filter
            else max(map(most_candidates, missing.values()), default=0),
            seed,
        )

        return cls(
            manifest=manifest,
            records=records,
            options=options,
            before=before,
            mixture=mixture,
            whole=whole,
            settings=_job_settings(manifest, records, options, mixture, maker),
            notes=tuple(filter(None, [mixture.limit(before)])),
        )

    @classmethod
    def of_source(
        cls,
        source: Source,
        options: BalanceOptions,
        holdout: float | None,
        maker: Overrides | Model,
        seed: int,
        job: Job,
    ) -> BalanceJob:
        """Read the data set, divide it as the training does or did, and decide the quotas."""
        found = index(source, job)
        return cls.of(divide(found, holdout, maker, same=not options.any_model), options, maker, seed)

    def frame_by(self, frame: Frame) -> Frame:
        """The frame in which images are prepared and written, by that of the plan.

        Raises:
            PlanError: the DICOM class would be untrue of the synthetic images or of the real ones.
        """
        beside_real = (
            drop_untrue_attributes(frame.form, self.records) if self.options.way == PREPARED else frame.form
        )
        form = resolve_form(beside_real, self.options.format, self.options.dicom_class)
        return replace(frame, labels=tuple(self.before), form=form)

    def open_stack(self, frame: Frame, job: Job) -> Stack | None:
        """Open the prepared images if they are written or candidates are compared with them."""
        filtered = any(self.missing.values()) and not self.options.no_filter
        if self.options.way != PREPARED and not filtered:
            return None
        return prepare(self.manifest, frame, job.each(cache.stacks_folder), job, records=self.records)

    @property
    def missing(self) -> dict[str, int]:
        """{label: synthetic images to draw}."""
        return {label: quota.made for label, quota in self.whole.items()}

    @property
    def repeats(self) -> dict[str, int]:
        """{label: repeated real images to write}."""
        alone = self.options.way == NONE
        return {label: 0 if alone else quota.repeated for label, quota in self.whole.items()}

    @property
    def share(self) -> dict[str, Any]:
        """`WriteResult.share`."""
        auto = self.chosen is not None or self.mixture.share == AUTO
        asked = "" if self.mixture.one_sided else AUTO if auto else f"{self.mixture.number:g}"
        reached = None if self.mixture.one_sided else round(synthetic_share(self.whole), 4)
        return {"asked": asked, "reached": reached, "sentence": self.chosen.sentence if self.chosen else ""}

    @property
    def remarks(self) -> tuple[str, ...]:
        """`WriteResult.notes`."""
        made = any(self.missing.values())
        caution = ""
        if self.mixture.one_sided:
            caution = ONE_SIDED
        elif self.options.way == NONE:
            caution = companion_text(self.whole)
        return (*self.notes, *([caution] if made and caution else ()))

    @property
    def needs_share(self) -> bool:
        """Whether validation patients still have to choose the share."""
        return self.mixture.share == AUTO and any(self.missing.values())

    def choose_share(self, model: Model, place: Path, stack: Stack | None, job: Job) -> BalanceJob:
        """The same job at the share that validation patients choose; their results go into `place`."""
        against = None if self.options.no_filter else partial(self.load_reference, stack, job)
        chosen = job.first(lambda: settle_share(self.manifest, model, self.mixture, place, against, job))
        mixture = replace(self.mixture, share=float(chosen.share))
        notes = tuple(filter(None, [mixture.limit(self.before)]))
        task = replace(self, mixture=mixture, whole=mixture.of(self.before), chosen=chosen, notes=notes)
        return task.require_images(chosen.sentence)

    def load_reference(self, stack: Stack | None, job: Job) -> ReferenceSet:
        """Measure the images of the stack, with which candidates are compared."""
        assert stack is not None, "opened wherever candidates are filtered"
        return ReferenceSet.of(stack, folder_names(self.before), digest_records(self.records), job)

    def fit(self, choice: Selection) -> BalanceJob:
        """The same job with only as many synthetic images as passed the filter, in equal shares."""
        whole, words = self.mixture.fit(self.whole, choice)
        task = replace(self, whole=whole, notes=(*self.notes, *filter(None, [words])))
        return task.require_images(words)

    def require_images(self, why: str) -> BalanceJob:
        """Return this job, unless nothing is left to write.

        Raises:
            PlanError: nothing is left; `why` gives the reason.
        """
        if self.options.way == NONE and not any(self.missing.values()):
            raise PlanError(
                f"there is nothing to write without real images: {why}",
                hint="Train a classifier on the real images alone, or write them with --real prepared.",
            )
        return self

    def require_suitable(self, model: Model) -> Model:
        """Return the model, if it draws every class that lacks images and learned from these ones.

        Raises:
            ModelError: it lacks a class, or was trained on other data and --any-model is not given.
        """
        unknown = sorted(
            label for label, lacking in self.missing.items() if lacking and label not in model.labels
        )
        if unknown:
            raise ModelError(
                f"the model cannot draw {', '.join(unknown)}: it knows {', '.join(model.labels)}",
                hint="Train a model on this data set, or remove --model.",
            )
        if model.data_digest != self.manifest.digest and not self.options.any_model:
            raise ModelError(
                "the model was trained on other images than the training images of this data set"
                f" (digest {model.data_digest[:12]}, here {self.manifest.digest[:12]})",
                hint="Give the source and --holdout it was trained with, remove --model to train a new one, "
                "or accept this one with --any-model.",
            )
        return model


def write_dataset(
    run: RunFolder, task: BalanceJob, model: Model | None, form: OutputFormat, stack: Stack | None, job: Job
) -> WriteResult:
    """Write real, repeated and synthetic images into the locked folder `run`, then finalise it.

    Args:
        run: The locked folder.
        task: What it is made up of.
        model: Draws the synthetic images; None where there are none.
        form: In which form images are written.
        stack: The images that `task.open_stack` gave.
        job: Its processes share the work.
    """
    # Claim the folder, or return what an earlier command completed there.
    digest = model.digest if model else ""
    settings = {**task.settings, "model": digest}
    if (done := job.first(lambda: claim_folder(run, settings))) is not None:
        return done
    folder = DatasetWriter(path=run.path, form=form, folders=folder_names(task.before))

    # Select the synthetic images, one seed each.
    choice = None
    if model and not task.options.no_filter:
        task, choice = job.first(lambda: _select_samples(folder, task, model, stack, job))
    wish = SampleRequest(counts=task.missing if model else {}, seed=task.mixture.seed)
    marks = list_marks(wish, choice, digest)

    # Write real and synthetic images, each process its part.
    root, way = task.manifest.root, task.options.way
    count, real = job.each(lambda: plan_real_images(folder, task.records, root, way, stack))

    def images_of(part: Processes) -> tuple[int, Iterator[WrittenImage]]:
        mine = marks[part.share(len(marks))]
        drawn = write_synthetic(folder, model, mine, job.device) if model else iter(())
        return len(range(count)[part.share(count)]) + len(mine), chain(real(part), drawn)

    images = write_share(images_of, job)

    # Repeat real images, then write manifest, data card and checksums.
    def close() -> WriteResult:
        again = repeat_images(folder, images, task.whole, task.mixture.seed, job.tell) if count else []
        account = _run_record(task, model, settings, choice)
        return finalise(folder, [*images, *again], account, job.tell)

    return job.first(close)


def _select_samples(
    folder: DatasetWriter, task: BalanceJob, model: Model, stack: Stack | None, job: Job
) -> tuple[BalanceJob, Selection]:
    """Select images with the filter, and reduce the job to the share that every class can reach."""
    wish = SampleRequest(counts=task.missing, seed=task.mixture.seed, doubtful=False)
    choice = select_samples(folder.selection, model, wish, partial(task.load_reference, stack, job), job)
    task = task.fit(choice)
    return task, choice.hold(task.missing)


def _run_record(
    task: BalanceJob, model: Model | None, settings: Settings, choice: Selection | None
) -> RunFacts:
    """What run.json and the data card say of the folder."""
    return RunFacts(
        command=task.command,
        split=task.split,
        settings=settings,
        before=task.before,
        model=model.digest if model else "",
        data=model.data_digest if model else "",
        training_seed=model.plan.budget.seed if model else None,
        holdout=model.holdout if model else None,
        cautions=tuple(small_class_warnings(task.manifest)) if any(task.missing.values()) else (),
        real=task.options.way,
        verdicts=task.manifest.verdicts(),
        repeated=task.repeats,
        share=task.share,
        notes=task.remarks,
        filter=describe_filter(choice, model.data_digest if model else ""),
    )


def _policy_of(options: BalanceOptions, seed: int) -> BalancePolicy:
    """The policy by which each class is composed."""
    share = _DEFAULT_SHARE if options.share is None else options.share
    share = share if share == AUTO else float(share)
    return BalancePolicy(
        target=options.target,
        per_class=options.class_ or {},
        most=options.max_synthetic_ratio,
        fill=options.fill,
        share=None if options.fill == SYNTHETIC else share,
        seed=seed,
    )


def _job_settings(
    manifest: Manifest,
    records: Sequence[Record],
    options: BalanceOptions,
    mixture: BalancePolicy,
    maker: Overrides | Model,
) -> dict[str, Any]:
    """Everything that tells the folder of a job from another one, for run.json."""
    return {
        "command": "balance",
        "medgan": __version__,
        "data": digest_records(records),
        **({} if options.way == NONE else {"order of the real images": order_digest(records)}),
        "target": options.target,
        "per_class": dict(options.class_ or {}),
        "fill": options.fill,
        "share": mixture.share,
        "max_synthetic_ratio": options.max_synthetic_ratio,
        "real": options.way,
        "format": options.format,
        "dicom_class": options.dicom_class,
        "seed": mixture.seed,
        "holdout": manifest.holdout.share,
        "any_model": options.any_model,
        "filter": not options.no_filter,
        **(model_settings(maker) if isinstance(maker, Model) else _training_settings(maker)),
    }


def _training_settings(overrides: Overrides) -> dict[str, Any]:
    """Training settings that the user gave, without those that only say how a machine computes."""
    wishes = files.to_json(overrides)
    return {f"training {name}": wishes[name] for name in wishes if name not in {"device", "cuda_graphs"}}


def _sibling_folder(out: Path, suffix: str) -> Path:
    """A folder beside the output folder: `balanced.run` beside `balanced`."""
    place = out.resolve()
    return place.with_name(place.name + suffix)
