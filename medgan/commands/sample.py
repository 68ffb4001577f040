"""A trained model and seeds -> a folder of synthetic images with manifest, data card and contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

from medgan import __version__, cache, files
from medgan.commands.outfolder import SUFFIXES, OutFolder, Placed, Written, claim, give_up
from medgan.commands.seal import Account, seal
from medgan.commands.sifting import Against, Choice, Wish, choose, reach
from medgan.commands.slugs import slugs
from medgan.dataset.index import index
from medgan.dataset.labels import Source
from medgan.dataset.quota import unknown_label
from medgan.errors import MedganError, PlanError
from medgan.gan.draw import draw
from medgan.gan.model import Model
from medgan.learn.runtime import each, once
from medgan.prepare import find, prepare
from medgan.progress import OnProgress, Progress, ignore
from medgan.scans.dicom_classes import classed
from medgan.scans.scan import Form, Mark
from medgan.world import World, world

LAST_NUMBER = 2**31 - 1
"""Largest InstanceNumber of DICOM (IS, PS3.5 table 6.2-1): an image's number is its seed + 1."""


def sample(  # noqa: PLR0913  # a count, a seed and the forms of a file are no noun
    model: Path,
    out: Path,
    *,
    labels: Sequence[str] = (),
    count: int = 16,
    seed: int = 0,
    format: str = "auto",  # noqa: A002  # the word users know from --format
    dicom_class: str = "auto",
    filtered: bool = True,
    against: Source | None = None,
    device: str = "auto",
    on_progress: OnProgress = ignore,
) -> Written:
    """Draw `count` images of every label (of all that the model knows when none is named) into the folder `out`.

    An image's number is its seed + 1. `filtered`, the best of several times as many seeds from `seed` on are chosen, beside the training
    images in `against` or in the cache; else the first ones are taken. Under torchrun every process calls this alike, and draws its share.
    """
    started = perf_counter()
    refuse(count, seed, filtered=filtered, against=against)
    trained = Model.load(model)
    files.refuse_output_inside(out, [model, *(against.inputs if against else ())])
    form = form_of(trained.plan.form, format, dicom_class)
    chosen = known(labels, trained.labels)
    settings = {
        "command": "sample",
        "medgan": __version__,
        **settings_of(trained),
        "labels": chosen,
        "count": count,
        "seed": seed,
        "format": form.format,
        "dicom_class": form.dicom_class,
        "filter": filtered,
        "against": against is not None,
    }
    if (done := once(lambda: claim(out, settings), device)) is not None:
        return done
    folder = OutFolder(path=out, form=form, folders=slugs(trained.labels))
    wish = Wish(counts=dict.fromkeys(chosen, count), seed=seed, device=device)
    beside = partial(at_hand, trained, against, folder.folders, on_progress)
    choice = once(lambda: choose_in(folder, trained, wish, beside, on_progress), device) if filtered else None
    marks = marks_of(wish, choice, trained.digest)

    def drawn(part: World) -> tuple[int, Iterator[Placed]]:
        mine = marks[part.share(len(marks))]
        return len(mine), synthesise(folder, trained, mine, device)

    images = carried_out(drawn, on_progress, device)
    account = Account(
        command="medgan sample",
        settings=settings,
        before=dict.fromkeys(trained.labels, 0),
        model=trained.digest,
        data=trained.data_digest,
        choice=choice,
    )
    written = once(lambda: seal(folder, images, account, on_progress), device)
    return replace(written, seconds=perf_counter() - started)


def refuse(count: int, seed: int, *, filtered: bool, against: Source | None) -> None:
    """PlanError for what cannot be drawn."""
    if count < 1:
        raise PlanError(f"{count} images per label are none", hint="Give --count 1 or more.")
    if against is not None and not filtered:
        raise PlanError("Nothing is compared without the filter", hint="Leave --against or --no-filter away.")
    refuse_numbers(reach(count) if filtered else count, seed)


def settings_of(model: Model) -> dict[str, str]:
    """What tells a model from every other: its weights, and the plan that says what they draw and how it is written."""
    return {"model": model.digest, "plan": files.digest_of(model.plan)}


def form_of(form: Form, wanted: str, dicom_class: str = "auto") -> Form:
    """`form` in the file format and DICOM class asked for; "auto" leaves what the plan decided.

    Raises:
        PlanError: no such format or class, or one that would say of these images what is not true.
    """
    if wanted not in {"auto", *SUFFIXES}:
        raise PlanError(
            f"there is no output format {wanted!r}", hint=f"Formats: auto, {', '.join(SUFFIXES)}."
        )
    made = form if wanted == "auto" else replace(form, format=wanted)
    if dicom_class == "auto":
        return made
    if made.format != "dicom":
        raise PlanError(
            f"a DICOM class is for DICOM; these images are written as {made.format}",
            hint="Add --format dicom, or leave --dicom-class away.",
        )
    return classed(made, dicom_class)


def known(wanted: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The labels asked for, each once, in the model's order; all of them when none is asked for."""
    for label in wanted:
        if label not in labels:
            raise unknown_label(label, tuple(labels))
    return tuple(label for label in labels if not wanted or label in wanted)


def at_hand(
    model: Model, source: Source | None, folders: Mapping[str, str], on_progress: OnProgress
) -> Against | None:
    """The training images to compare with: those of `source`, else those of the model that lie in the cache, else none."""
    if source is None:
        stack, data = find(model.data_digest, model.plan, cache.location() / cache.STACKS), model.data_digest
    else:
        manifest = index(source, on_progress=on_progress)
        stack, data = prepare(manifest, model.plan, cache.stacks(), on_progress=on_progress), manifest.digest
    return None if stack is None else Against.of(stack, folders, data, on_progress=on_progress)


def choose_in(
    folder: OutFolder,
    model: Model,
    wish: Wish,
    beside: Callable[[], Against | None],
    on_progress: OnProgress,
) -> Choice:
    """`choose`, in a claimed folder that is given up where the choice is refused."""
    try:
        return choose(folder.path, model, wish, beside, on_progress=on_progress)
    except MedganError:
        give_up(folder.path)
        raise


def marks_of(wish: Wish, choice: Choice | None, model: str) -> list[Mark]:
    """The marks of the images to write: of the seeds that were chosen, or of as many as are wanted."""
    return [
        Mark(synthetic=True, label=label, index=seed + 1, seed=seed, model=model)
        for label, count in wish.counts.items()
        for seed in (range(wish.seed, wish.seed + count) if choice is None else choice.seeds(label))
    ]


def refuse_numbers(count: int, seed: int) -> None:
    """PlanError where `count` images from `seed` on cannot be numbered."""
    if seed < 0 or seed + count > LAST_NUMBER:
        raise PlanError(
            f"{count} images from seed {seed} on cannot be numbered",
            hint=f"Give a seed from 0 to {max(LAST_NUMBER - count, 0)}.",
        )


def synthesise(
    folder: OutFolder, model: Model, marks: Sequence[Mark], device: str = "auto"
) -> Iterator[Placed]:
    """Draw and write the images that are not in the folder yet; yield each one, old or new."""
    for label in dict.fromkeys(mark.label for mark in marks):
        absent = []
        for mark in (mark for mark in marks if mark.label == label):
            if folder.place(mark).exists():
                yield Placed(mark=mark, path=folder.place(mark))
            else:
                absent.append(mark)
        seeds = [mark.seed for mark in absent if mark.seed is not None]
        if absent:
            for mark, drawn in zip(absent, draw(model, label, seeds, device=device), strict=True):
                yield folder.put(mark, drawn.pixels)


def carried_out(
    images: Callable[[World], tuple[int, Iterator[Placed]]], on_progress: OnProgress, device: str = "auto"
) -> list[Placed]:
    """Write `images`, given as how many there are and the lazy writing of them: all that are not there yet.

    Of several processes each writes its share and, once all have done so, finds all in place.
    """
    placed = each(lambda: told(*images(world()), on_progress), device)
    return placed if world().size == 1 else list(images(World())[1])


def told(total: int, images: Iterable[Placed], on_progress: OnProgress) -> list[Placed]:
    """Carry out the lazy writing of `images`, telling how far it is."""
    placed = []
    for done, image in enumerate(images, start=1):
        placed.append(image)
        on_progress(Progress(stage="writing", done=done, total=total))
    return placed
