"""A trained model and seeds -> a folder of synthetic images with manifest, data card and contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from medgan import __version__, files
from medgan.commands.outfolder import SUFFIXES, OutFolder, Placed, Written, claim
from medgan.commands.seal import Account, seal
from medgan.commands.slugs import slugs
from medgan.dataset.quota import unknown_label
from medgan.errors import PlanError
from medgan.gan.draw import draw
from medgan.gan.model import Model
from medgan.learn.runtime import each, once
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
    on_progress: OnProgress = ignore,
) -> Written:
    """Draw `count` images of every label (of all that the model knows when none is named) into the folder `out`.

    Image k of a label has seed `seed` + k and number `seed` + k + 1, so `--seed 100` goes on where a run of 100
    images from seed 0 ended, and shards drawn apart fit together. Under torchrun every process calls this alike, and draws its share.
    """
    started = perf_counter()
    if count < 1:
        raise PlanError(f"{count} images per label are none", hint="Give --count 1 or more.")
    trained = Model.load(model)
    files.refuse_output_inside(out, [model])
    form = form_of(trained.plan.form, format, dicom_class)
    chosen = known(labels, trained.labels)
    marks = [mark for label in chosen for mark in synthetic_marks(label, count, seed, trained.digest)]
    settings = {
        "command": "sample",
        "medgan": __version__,
        **settings_of(trained),
        "labels": chosen,
        "count": count,
        "seed": seed,
        "format": form.format,
        "dicom_class": form.dicom_class,
    }
    done = once(lambda: claim(out, settings))
    if done is not None:
        return done
    folder = OutFolder(path=out, form=form, folders=slugs(trained.labels))

    def drawn(part: World) -> tuple[int, Iterator[Placed]]:
        mine = marks[part.share(len(marks))]
        return len(mine), synthesise(folder, trained, mine)

    images = carried_out(drawn, on_progress)
    account = Account(
        command="medgan sample",
        settings=settings,
        before=dict.fromkeys(trained.labels, 0),
        model=trained.digest,
        data=trained.data_digest,
    )
    written = once(lambda: seal(folder, images, account, on_progress))
    return replace(written, seconds=perf_counter() - started)


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


def synthetic_marks(label: str, count: int, seed: int, model: str) -> list[Mark]:
    """The marks of `count` images of one label, from `seed` on."""
    if seed < 0 or seed + count > LAST_NUMBER:
        raise PlanError(
            f"{count} images from seed {seed} on cannot be numbered",
            hint=f"Give a seed from 0 to {max(LAST_NUMBER - count, 0)}.",
        )
    return [
        Mark(synthetic=True, label=label, index=one + 1, seed=one, model=model)
        for one in range(seed, seed + count)
    ]


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
