"""A data set (and a model, or one trained on the way) -> an output folder of equally large classes with the same share of synthetic images in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from medgan import __version__
from medgan.base import cache, files
from medgan.base.errors import ModelError, PlanError
from medgan.base.processes import Processes, current_processes
from medgan.base.progress import OnProgress, ignore
from medgan.commands import report
from medgan.commands.draw_into import (
    choose_in,
    form_of,
    marks_of,
    refuse_numbers,
    settings_of,
    synthesise,
    true_of,
    write_share,
)
from medgan.commands.folder_lock import alone_in
from medgan.commands.preflight import AUTO, REPEATED, SYNTHETIC, refuse_mixture
from medgan.commands.share import ONE_SIDED, Mixture, beside, require_validation, settle
from medgan.commands.train import Options, announce, train_on
from medgan.dataset.advice import small_class_warnings
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest
from medgan.dataset.quota import Quotas, synthetic_share
from medgan.dataset.source import Source
from medgan.evaluation.share_choice import Chosen
from medgan.evaluation.splits import divide
from medgan.filtering.candidates import ReferenceSet, SampleRequest, Selection, most_candidates
from medgan.learners.gan.model import Model
from medgan.output.finalise import RunFacts, finalise
from medgan.output.folder import (
    DatasetWriter,
    FolderResult,
    Settings,
    WrittenImage,
    abandon,
    claim_folder,
    find_result,
)
from medgan.output.folder_names import folder_names
from medgan.output.real_images import NONE, PREPARED, WAYS, order_digest, plan_real_images, repeat_images
from medgan.plan import Overrides, Plan, decide
from medgan.prepare.stack import Stack, prepare
from medgan.scans.scan import OutputFormat
from medgan.training.runtime import each, once

SHARE = 0.25
"""Of synthetic images in every class where none is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceOptions:
    """How far to balance, and what the output folder holds."""

    target: str | int = "largest"
    """What the real images of every class should reach by repeats: "largest", "median" or a number."""
    per_class: Mapping[str, int] = field(default_factory=dict)
    """{label: number of images} for classes with a target of their own."""
    fill: str = REPEATED
    """With what classes reach their target: "repeated" real images, or "synthetic" ones, which then join these classes alone."""
    share: float | str | None = None
    """Of synthetic images in every class, from 0 to below 1, or "auto"; None: `SHARE`, or none with `fill` "synthetic"."""
    max_synthetic_ratio: float | None = None
    """At most this many synthetic images per (different) real one of the same class."""
    real: str = "prepared"
    """Real training images: "prepared" and written like the synthetic ones, "link" to the original files, or "none"."""
    format: str = "auto"
    """"dicom", "nifti", "png", or "auto": that of the training data."""
    dicom_class: str = "auto"
    """"ct", "mr", "cr", "dx", "us", "sc", or "auto": that of the modality where it is true of the images."""
    seed: int = 0
    """Seed of each class's first synthetic image; the others follow it."""
    holdout: float | None = None
    """Share of the training patients held out as val: neither learned from, repeated nor written; None: as in training, by the rule."""
    any_model: bool = False
    """Accept a model that learned from other data."""
    filter: bool = True
    """Whether to choose among more candidates than are missing."""

    def __post_init__(self) -> None:
        """Refuse what no rule can follow; quotas and targets are checked against the data."""
        if self.real not in WAYS:
            raise PlanError(
                f"there is no way {self.real!r} to hand on real images", hint=f"Ways: {', '.join(WAYS)}."
            )
        refuse_mixture(self.share, self.fill)

    @property
    def goal(self) -> str | int:
        """`target`, a number where it reads as one."""
        return int(self.target) if str(self.target).isdecimal() else self.target

    def mixture(self, device: str = "auto") -> Mixture:
        """What classes are to be made up of."""
        share = SHARE if self.share is None else self.share if self.share == AUTO else float(self.share)
        return Mixture(
            target=self.goal,
            per_class=self.per_class,
            most=self.max_synthetic_ratio,
            fill=self.fill,
            share=None if self.fill == SYNTHETIC else share,
            seed=self.seed,
            device=device,
        )


NO_WISHES = BalanceOptions()


def balance(  # noqa: PLR0913  # what the command takes
    source: Source,
    out: Path,
    *,
    model: Path | None = None,
    options: BalanceOptions = NO_WISHES,
    overrides: Overrides = Overrides(),  # noqa: B008  # frozen
    tensorboard: bool = False,
    on_progress: OnProgress = ignore,
) -> FolderResult:
    """Write the train split of `source` into `out`, its classes equally large by repeats, and synthetic images in the same share of each.

    Without `model` one is trained in `<out>.run`. Only training images are learned from, repeated and written: val and test are left where they are. The same command again goes
    on where it was stopped, and changes nothing once all is done. Under torchrun every process calls this alike; they train together,
    and each draws and writes its share.
    """
    started = perf_counter()
    trained = None if model is None else Model.load(model)
    files.refuse_output_inside(out, [*source.inputs, *([model] if model else [])])
    find_result(
        out, {"command": "balance"}
    )  # somebody else's folder is refused before hours of work, not after
    task = Task.of_source(source, options, trained or overrides, overrides.device, on_progress)
    done = once(lambda: find_result(out, task.settings), overrides.device)
    if done is not None:
        report_on(out)
        return done
    announce(task.manifest, on_progress)
    plan = decide(measure(task.manifest), overrides) if trained is None else task.suited(trained).plan
    form = task.form_by(plan)  # refused before hours of work, too
    with alone_in(out, overrides.device):
        if trained is None and any(task.missing.values()):
            run = folder_beside(out, ".run")
            train_on(
                task.manifest,
                run,
                overrides,
                Options(tensorboard=tensorboard),
                on_progress=on_progress,
                began=started,
            )
            trained = Model.load(run)
        room = Room(plan=plan, form=form, device=overrides.device)
        if trained is not None and task.unsettled:
            task = task.settled(trained, folder_beside(out, ".share"), room, on_progress)
        written = fill(out, task, trained, room, on_progress)
    report_on(out)
    return replace(written, seconds=perf_counter() - started)


def report_on(out: Path) -> None:
    """The page of a sealed folder, unless it has one: the command may have been killed between the two."""
    if current_processes().is_first and not (out / report.PAGE).exists():
        report.render(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done: a data set whose splits stand, its training images, and what each class is to be made up of."""

    manifest: Manifest
    options: BalanceOptions
    before: Mapping[str, int]
    """{label: training images}."""
    mixture: Mixture
    whole: Quotas
    """{label: what the class is made up of}."""
    settings: Settings
    chosen: Chosen | None = None
    """The share that validation patients chose; None where it was not theirs to choose."""
    notes: tuple[str, ...] = ()
    """Sentences on what comes out otherwise than asked for."""
    command: str = "balance"
    """Which command does it: "balance", or "prepare"."""
    split: str = "train"
    """Whose real images are written; "" those of every split."""

    @classmethod
    def of(cls, manifest: Manifest, options: BalanceOptions, maker: Overrides | Model) -> Task:
        """Count and settle the quotas; `maker` is the model, or the wishes for one that is yet to be trained."""
        before, mixture = manifest.learned(), options.mixture()
        whole = mixture.of(before)
        missing = {label: quota.made for label, quota in whole.items()}
        if not any(missing.values()) and options.real == NONE:
            raise PlanError(
                "no class wants synthetic images, and no real ones are asked for, so there is nothing to write",
                hint="Ask for some with --share 0.25, or have the real images written with --real prepared.",
            )
        if mixture.share == AUTO and any(missing.values()):
            require_validation(manifest, before)
        refuse_numbers(
            max(map(most_candidates, missing.values()), default=0)
            if options.filter
            else max(missing.values(), default=0),
            options.seed,
        )
        settings = {
            "command": "balance",
            "medgan": __version__,
            "data": manifest.digest,
            **({} if options.real == NONE else {"order of the real images": order_digest(manifest)}),
            **files.to_json(options),
            "share": mixture.share,
            **(settings_of(maker) if isinstance(maker, Model) else wishes_of(maker)),
        }
        return cls(
            manifest=manifest,
            options=options,
            before=before,
            mixture=mixture,
            whole=whole,
            settings=settings,
            notes=tuple(filter(None, [mixture.limit(before)])),
        )

    @classmethod
    def of_source(
        cls,
        source: Source,
        options: BalanceOptions,
        maker: Overrides | Model,
        device: str,
        on_progress: OnProgress,
    ) -> Task:
        """Read the data set, divide it as the training does or did, and settle the quotas."""
        found = once(lambda: index(source, on_progress=on_progress), device)
        manifest = divide(found, options.holdout, maker, same=not options.any_model)
        return cls.of(manifest, replace(options, holdout=manifest.holdout.share), maker)

    def form_by(self, plan: Plan) -> OutputFormat:
        """How images are written; PlanError for a form that would say what is not true of them, or of the real ones beside them."""
        beside_real = (
            true_of(plan.form, self.manifest.training()) if self.options.real == PREPARED else plan.form
        )
        return form_of(beside_real, self.options.format, self.options.dicom_class)

    @property
    def missing(self) -> dict[str, int]:
        """{label: synthetic images to draw}."""
        return {label: quota.made for label, quota in self.whole.items()}

    @property
    def repeats(self) -> dict[str, int]:
        """{label: real images to be written once more}."""
        alone = self.options.real == NONE
        return {label: 0 if alone else quota.repeated for label, quota in self.whole.items()}

    @property
    def share(self) -> dict[str, Any]:
        """`FolderResult.share`."""
        auto = self.chosen is not None or self.mixture.share == AUTO
        asked = "" if self.mixture.one_sided else AUTO if auto else f"{self.mixture.number:g}"
        reached = None if self.mixture.one_sided else round(synthetic_share(self.whole), 4)
        return {"asked": asked, "reached": reached, "sentence": self.chosen.sentence if self.chosen else ""}

    @property
    def remarks(self) -> tuple[str, ...]:
        """`FolderResult.notes`."""
        made = any(self.missing.values())
        known = (
            ONE_SIDED if self.mixture.one_sided else beside(self.whole) if self.options.real == NONE else ""
        )
        return (*self.notes, *([known] if made and known else ()))

    @property
    def unsettled(self) -> bool:
        """Whether it is still to be asked how many synthetic images do good."""
        return self.mixture.share == AUTO and any(self.missing.values())

    def settled(self, model: Model, place: Path, room: Room, on_progress: OnProgress) -> Task:
        """The same task at the share that validation patients choose among images of `model`; kept in the folder `place`."""
        mixture = replace(self.mixture, device=room.device)
        images = partial(load_reference, self, room, folder_names(self.before), on_progress)
        against = images if self.options.filter else None
        chosen = once(lambda: settle(self.manifest, model, mixture, place, against, on_progress), room.device)
        mixture = replace(mixture, share=float(chosen.share))
        notes = tuple(filter(None, [mixture.limit(self.before)]))
        task = replace(self, mixture=mixture, whole=mixture.of(self.before), chosen=chosen, notes=notes)
        return task.worth_writing(chosen.sentence)

    def fit(self, choice: Selection) -> Task:
        """The same task with as many synthetic images as passed the filter, in every class alike."""
        whole, words = self.mixture.fit(self.whole, choice)
        task = replace(self, whole=whole, notes=(*self.notes, *filter(None, [words])))
        return task.worth_writing(words)

    def worth_writing(self, why: str) -> Task:
        """This task; PlanError where nothing is left of it, for which `why` is the reason."""
        if self.options.real == NONE and not any(self.missing.values()):
            raise PlanError(
                f"there is nothing to write without real images: {why}",
                hint="Train on the real images alone, or have them written with --real prepared.",
            )
        return self

    def suited(self, model: Model) -> Model:
        """`model`, if it can draw what is missing and learned from this very data."""
        unknown = sorted(
            label for label, lacking in self.missing.items() if lacking and label not in model.labels
        )
        if unknown:
            raise ModelError(
                f"the model cannot draw {', '.join(unknown)}: it knows {', '.join(model.labels)}",
                hint="Train a model on this data set, or leave --model away.",
            )
        if model.data_digest != self.manifest.digest and not self.options.any_model:
            raise ModelError(
                "the model learned from other data than the training images here"
                f" ({model.data_digest[:12]} there, {self.manifest.digest[:12]} here)",
                hint="Give the source and --holdout it was trained with, leave --model away to train one, "
                "or accept it with --any-model.",
            )
        return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How images are prepared, written and drawn."""

    plan: Plan
    form: OutputFormat
    device: str


def fill(out: Path, task: Task, model: Model | None, room: Room, on_progress: OnProgress) -> FolderResult:
    """Write real, repeated and synthetic images into the claimed folder `out` and seal it."""
    digest = model.digest if model else ""
    settings = {**task.settings, "model": digest}
    if (done := once(lambda: claim_folder(out, settings), room.device)) is not None:
        return done
    folder = DatasetWriter(path=out, form=room.form, folders=folder_names(task.before))
    choice = None
    if model and task.options.filter:
        task, choice = once(lambda: select_in(folder, task, model, room, on_progress), room.device)
    wish = SampleRequest(counts=task.missing if model else {}, seed=task.options.seed, device=room.device)
    stack = partial(stack_of, task, room, on_progress)
    count, real = each(lambda: plan_real_images(folder, task.manifest, task.options.real, stack), room.device)
    marks = marks_of(wish, choice, digest)

    def made(part: Processes) -> tuple[int, Iterator[WrittenImage]]:
        mine = marks[part.share(len(marks))]
        drawn = synthesise(folder, model, mine, room.device) if model else iter(())
        return len(range(count)[part.share(count)]) + len(mine), chain(real(part), drawn)

    images = write_share(made, on_progress, room.device)

    def close() -> FolderResult:
        again = repeat_images(folder, images, task.whole, task.options.seed, on_progress) if count else []
        account = account_of(task, model, settings, choice)
        return finalise(folder, [*images, *again], account, on_progress)

    return once(close, room.device)


def select_in(
    folder: DatasetWriter, task: Task, model: Model, room: Room, on_progress: OnProgress
) -> tuple[Task, Selection]:
    """The images that the filter keeps, and the task with no more of them than the share allows in every class."""
    wish = SampleRequest(counts=task.missing, seed=task.options.seed, device=room.device, doubtful=False)
    images = partial(load_reference, task, room, folder.folders, on_progress)
    choice = choose_in(folder, model, wish, images, on_progress)
    try:
        task = task.fit(choice)
    except PlanError:
        abandon(folder.path)
        raise
    return task, choice.hold(task.missing)


def account_of(task: Task, model: Model | None, settings: Settings, choice: Selection | None) -> RunFacts:
    """What is told of the folder."""
    return RunFacts(
        command=f"medgan {task.command}",
        split=task.split,
        settings=settings,
        before=task.before,
        model=model.digest if model else "",
        data=model.data_digest if model else "",
        training_seed=model.plan.seed if model else None,
        holdout=model.holdout if model else None,
        cautions=tuple(small_class_warnings(task.manifest)) if any(task.missing.values()) else (),
        real=task.options.real,
        verdicts=task.manifest.verdicts(),
        repeated=task.repeats,
        share=task.share,
        notes=task.remarks,
        choice=choice,
    )


def load_reference(
    task: Task, room: Room, folders: Mapping[str, str], on_progress: OnProgress
) -> ReferenceSet:
    """The training images, to compare with."""
    return ReferenceSet.of(
        stack_of(task, room, on_progress), folders, task.manifest.digest, on_progress=on_progress
    )


def stack_of(task: Task, room: Room, on_progress: OnProgress) -> Stack:
    """The training images, prepared; the plan of any model will do, for only pixels are prepared."""
    plan = replace(room.plan, labels=tuple(task.before))
    return prepare(task.manifest, plan, cache.stacks_folder(), on_progress=on_progress)


def wishes_of(overrides: Overrides) -> dict[str, Any]:
    """Wishes for a training by name, less how a machine computes: that does not change what is asked for."""
    wishes = files.to_json(overrides)
    return {f"training {name}": wishes[name] for name in wishes if name not in {"device", "graphed"}}


def folder_beside(out: Path, suffix: str) -> Path:
    """A folder next to the output folder: `balanced` -> `balanced.run`."""
    place = out.resolve()
    return place.with_name(place.name + suffix)
