"""A data set (and a model, or one trained on the way) -> an output folder in which every class has as many images as asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from medgan import __version__, cache, files
from medgan.commands import report
from medgan.commands.alone import alone_in
from medgan.commands.drawing import (
    carried_out,
    choose_in,
    form_of,
    marks_of,
    refuse_numbers,
    settings_of,
    synthesise,
    true_of,
)
from medgan.commands.outfolder import OutFolder, Placed, Settings, Written, claim, earlier
from medgan.commands.preflight import AUTO, checked
from medgan.commands.ratio import TopUp, refuse_unvalidated, settle
from medgan.commands.seal import Account, seal
from medgan.commands.sifting import Against, Wish, reach
from medgan.commands.slugs import slugs
from medgan.commands.splits import divide
from medgan.commands.train import Options, announce, train_on
from medgan.dataset.advice import few
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import ARRAY, Manifest, Record
from medgan.dataset.source import Source
from medgan.errors import ModelError, PlanError
from medgan.gan.model import Model
from medgan.learn.runtime import each, once
from medgan.plan import Overrides, Plan, decide
from medgan.prepare import Stack, prepare
from medgan.progress import OnProgress, ignore
from medgan.quality.arms import PARITY
from medgan.quality.ratios import Chosen
from medgan.scans import nifti
from medgan.scans.scan import Form, Mark
from medgan.world import World, world

REAL = ("prepared", "link", "none")
LINKED = (
    "--real link hands on your files themselves: whoever edits one of them in the output edits the original. They keep their own size "
    "and form, which may differ from those of the synthetic images, and a classifier can learn that difference."
)
"""What one should know before originals lie beside synthetic images."""
ORIGINAL_SUFFIXES = {"dicom": ".dcm", "png": ".png", "jpeg": ".jpg", "tiff": ".tif"}
"""Links are named by what they are: the name of an original may say whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceOptions:
    """How far to balance, and what the output folder holds."""

    target: str | int = "largest"
    """What every class should reach: "largest", "median" or a number of training images."""
    per_class: Mapping[str, int] = field(default_factory=dict)
    """{label: number of training images} for classes with a target of their own."""
    max_synthetic_ratio: float | None = None
    """At most this many synthetic images per real one of the same class."""
    ratio: str = PARITY
    """Synthetic images per real one of a class: a number, "parity" (as many as the target asks for), or "auto"."""
    everywhere: bool = False
    """Every class gets as many synthetic images as the one that lacks most, and no more than `max_synthetic_ratio` allows in any."""
    real: str = "prepared"
    """Real training images: "prepared" and written like the synthetic ones, "link" to the original files, or "none"."""
    format: str = "auto"
    """"dicom", "nifti", "png", or "auto": that of the training data."""
    dicom_class: str = "auto"
    """"ct", "mr", "cr", "dx", "us", "sc", or "auto": that of the modality where it is true of the images."""
    seed: int = 0
    """Seed of each class's first synthetic image; the others follow it."""
    holdout: float | None = None
    """Share of the training patients held out as val: neither learned from, topped up nor written; None: as in training, by the rule."""
    any_model: bool = False
    """Accept a model that learned from other data."""
    filter: bool = True
    """Whether to choose among more candidates than are missing."""

    def __post_init__(self) -> None:
        """Refuse what no rule can follow; quotas and targets are checked against the data."""
        if self.real not in REAL:
            raise PlanError(
                f"there is no way {self.real!r} to hand on real images", hint=f"Ways: {', '.join(REAL)}."
            )
        checked(self.ratio)

    @property
    def goal(self) -> str | int:
        """`target`, a number where it reads as one."""
        return int(self.target) if str(self.target).isdecimal() else self.target

    def top_up(self, device: str = "auto") -> TopUp:
        """How many synthetic images each class gets."""
        return TopUp(
            target=self.goal,
            per_class=self.per_class,
            most=self.max_synthetic_ratio,
            ratio=self.ratio,
            everywhere=self.everywhere,
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
) -> Written:
    """Top up the train split of `source` with synthetic images into `out`; without `model`, train one in `<out>.run`.

    Only training images are topped up and written: val and test are left where they are. The same command again goes
    on where it was stopped, and changes nothing once all is done. Under torchrun every process calls this alike; they train together,
    and each draws and writes its share.
    """
    started = perf_counter()
    trained = None if model is None else Model.load(model)
    files.refuse_output_inside(out, [*source.inputs, *([model] if model else [])])
    earlier(out, {"command": "balance"})  # somebody else's folder is refused before hours of work, not after
    task = Task.of_source(source, options, trained or overrides, overrides.device, on_progress)
    done = once(lambda: earlier(out, task.settings), overrides.device)
    if done is not None:
        report_on(out)
        return done
    announce(task.manifest, on_progress)
    plan = decide(measure(task.manifest), overrides) if trained is None else task.suited(trained).plan
    form = task.form_by(plan)  # refused before hours of work, too
    with alone_in(out, overrides.device):
        if trained is None and any(task.missing.values()):
            run = beside(out, ".run")
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
            task = task.settled(trained, beside(out, ".ratio"), room, on_progress)
        written = fill(out, task, trained, room, on_progress)
    report_on(out)
    return replace(written, seconds=perf_counter() - started)


def report_on(out: Path) -> None:
    """The page of a sealed folder, unless it has one: the command may have been killed between the two."""
    if world().is_first and not (out / report.PAGE).exists():
        report.render(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done: a data set whose splits stand, its training images, and how many each class lacks."""

    manifest: Manifest
    options: BalanceOptions
    before: Mapping[str, int]
    """{label: training images}."""
    missing: Mapping[str, int]
    """{label: synthetic images to draw}."""
    settings: Settings
    chosen: Chosen | None = None
    """The ratio that validation patients chose; None where it was not theirs to choose."""
    command: str = "balance"
    """Which command does it: "balance", or "prepare"."""
    split: str = "train"
    """Whose real images are written."""

    @classmethod
    def of(cls, manifest: Manifest, options: BalanceOptions, maker: Overrides | Model) -> Task:
        """Count and settle the quotas; `maker` is the model, or the wishes for one that is yet to be trained."""
        before = manifest.learned()
        missing = options.top_up().missing(before)
        if not any(missing.values()) and options.real == "none":
            raise PlanError(
                "every class has what it should, so there is nothing to write",
                hint="Ask for more with --target N, or have the real images written with --real prepared.",
            )
        if options.ratio == AUTO and any(missing.values()):
            refuse_unvalidated(manifest, before)
        refuse_numbers(
            max(map(reach, missing.values()), default=0)
            if options.filter
            else max(missing.values(), default=0),
            options.seed,
        )
        settings = {
            "command": "balance",
            "medgan": __version__,
            "data": manifest.digest,
            **({} if options.real == "none" else {"order of the real images": order_of(manifest)}),
            **files.plain(options),
            **(settings_of(maker) if isinstance(maker, Model) else wishes_of(maker)),
        }
        return cls(manifest=manifest, options=options, before=before, missing=missing, settings=settings)

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

    def form_by(self, plan: Plan) -> Form:
        """How images are written; PlanError for a form that would say what is not true of them, or of the real ones beside them."""
        beside_real = (
            true_of(plan.form, self.manifest.training()) if self.options.real == "prepared" else plan.form
        )
        return form_of(beside_real, self.options.format, self.options.dicom_class)

    @property
    def unsettled(self) -> bool:
        """Whether it is still to be asked how many synthetic images do good."""
        return self.options.ratio == AUTO and any(self.missing.values())

    def settled(self, model: Model, place: Path, room: Room, on_progress: OnProgress) -> Task:
        """The same task at the ratio that validation patients choose among images of `model`; kept in the folder `place`."""
        top_up = self.options.top_up(room.device)
        beside = partial(trained_on, self, room, slugs(self.before), on_progress)
        against = beside if self.options.filter else None
        chosen = once(lambda: settle(self.manifest, model, top_up, place, against, on_progress), room.device)
        missing = replace(top_up, ratio=chosen.ratio).missing(self.before)
        if not any(missing.values()) and self.options.real == "none":
            raise PlanError(
                f"there is nothing to write without real images: {chosen.sentence}",
                hint="Train on the real images alone, or have them written with --real prepared.",
            )
        return replace(self, missing=missing, chosen=chosen)

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
    form: Form
    device: str


def fill(out: Path, task: Task, model: Model | None, room: Room, on_progress: OnProgress) -> Written:
    """Write real and synthetic images into the claimed folder `out` and seal it."""
    digest = model.digest if model else ""
    account = Account(
        command=f"medgan {task.command}",
        split=task.split,
        settings={**task.settings, "model": digest},
        before=task.before,
        model=digest,
        data=model.data_digest if model else "",
        training_seed=model.plan.seed if model else None,
        holdout=model.holdout if model else None,
        cautions=tuple(few(task.manifest)) if any(task.missing.values()) else (),
        real=task.options.real,
        verdicts=task.manifest.verdicts(),
        chosen=task.chosen,
    )
    if (done := once(lambda: claim(out, account.settings), room.device)) is not None:
        return done
    folder = OutFolder(path=out, form=room.form, folders=slugs(task.before))
    wish = Wish(counts=task.missing if model else {}, seed=task.options.seed, device=room.device)
    choice = None
    if model and task.options.filter:
        beside = partial(trained_on, task, room, folder.folders, on_progress)
        choice = once(lambda: choose_in(folder, model, wish, beside, on_progress), room.device)
    count, real = each(lambda: real_images(folder, task, room, on_progress), room.device)
    marks = marks_of(wish, choice, digest)

    def made(part: World) -> tuple[int, Iterator[Placed]]:
        mine = marks[part.share(len(marks))]
        drawn = synthesise(folder, model, mine, room.device) if model else iter(())
        return len(range(count)[part.share(count)]) + len(mine), chain(real(part), drawn)

    images = carried_out(made, on_progress, room.device)
    return once(lambda: seal(folder, images, replace(account, choice=choice), on_progress), room.device)


def trained_on(task: Task, room: Room, folders: Mapping[str, str], on_progress: OnProgress) -> Against:
    """The training images, to compare with."""
    return Against.of(
        stack_of(task, room, on_progress), folders, task.manifest.digest, on_progress=on_progress
    )


def stack_of(task: Task, room: Room, on_progress: OnProgress) -> Stack:
    """The training images, prepared; the plan of any model will do, for only pixels are prepared."""
    plan = replace(room.plan, labels=tuple(task.before))
    return prepare(task.manifest, plan, cache.stacks(), on_progress=on_progress)


def real_images(
    folder: OutFolder, task: Task, room: Room, on_progress: OnProgress
) -> tuple[int, Callable[[World], Iterator[Placed]]]:
    """How many real images there will be, and the lazy writing of a process's share of them."""
    if task.options.real == "none":
        return 0, lambda _: iter(())
    if task.options.real == "link":
        originals = list(originals_of(task.manifest))
        return len(originals), partial(linked, folder, originals)
    stack = stack_of(task, room, on_progress)
    return len(stack), partial(prepared, folder, stack, task.manifest.training())


def prepared(folder: OutFolder, stack: Stack, records: Sequence[Record], part: World) -> Iterator[Placed]:
    """Real images as the generator saw them, written as the synthetic ones are: those that are `part`'s share."""
    marks = real_marks(records[position] for position in stack.records.tolist())
    for row, mark in list(enumerate(marks))[part.share(len(stack))]:
        place = folder.place(mark)
        if place.exists():
            yield Placed(mark=mark, path=place)
        else:
            yield folder.put(mark, stack.images([row])[0])


def linked(
    folder: OutFolder, originals: Sequence[tuple[Record, Mapping[str, Path]]], part: World
) -> Iterator[Placed]:
    """Real images as links to the files they are in, named by class and number alone: those that are `part`'s share."""
    marks = real_marks(record for record, _ in originals)
    for (record, paths), mark in list(zip(originals, marks, strict=True))[part.share(len(originals))]:
        links = [folder.link(mark, record, path, suffix) for suffix, path in paths.items()]
        yield links[0]


def real_marks(records: Iterable[Record]) -> Iterator[Mark]:
    """The marks of real images, numbered within their classes."""
    numbers: Counter[str] = Counter()
    for record in records:
        numbers[record.label] += 1
        yield Mark(synthetic=False, label=record.label, index=numbers[record.label], patient=record.patient)


def originals_of(manifest: Manifest) -> Iterator[tuple[Record, Mapping[str, Path]]]:
    """Every image file of the training records once, as {suffix of its format: path}."""
    seen: set[str] = set()
    for record in manifest.training():
        if record.format == ARRAY:
            raise PlanError(
                f"the images in {record.path.partition('#')[0]} are no files of their own and cannot be linked",
                hint="Use --real prepared or --real none.",
            )
        paths = [path for path in record.parts or (record.path,) if path not in seen]
        seen.update(paths)  # a file with several kinds of frames has a record for each
        for part in paths:
            yield record, named_by_format(manifest.root / part, record.format)


def order_of(manifest: Manifest) -> str:
    """The order in which real images are numbered, and whose they are, as a digest: a run that goes on must find both as they were."""
    return files.digest_of([(record.digest, record.patient) for record in manifest.training()])


def named_by_format(path: Path, format: str) -> Mapping[str, Path]:  # noqa: A002  # the record's word
    """{suffix: file}; the two files of a NIfTI pair belong together."""
    return nifti.files_of(path) if format == "nifti" else {ORIGINAL_SUFFIXES[format]: path}


def wishes_of(overrides: Overrides) -> dict[str, Any]:
    """Wishes for a training by name, less how a machine computes: that does not change what is asked for."""
    wishes = files.plain(overrides)
    return {f"training {name}": wishes[name] for name in wishes if name not in {"device", "graphed"}}


def beside(out: Path, suffix: str) -> Path:
    """A folder next to the output folder: `balanced` -> `balanced.run`."""
    place = out.resolve()
    return place.with_name(place.name + suffix)
