"""Real data and synthetic images -> Evaluation: are they useful, realistic and private? Part by part, resumable."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from medgan import __version__
from medgan.base import files
from medgan.base.errors import MedganError, OutputError, PlanError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.commands.folder_lock import alone_in
from medgan.commands.report import render
from medgan.dataset.source import Source
from medgan.evaluation.analyses import EFFORTS, PARTS, Job, ask_again
from medgan.evaluation.card_section import carry
from medgan.evaluation.data import EvaluationData, Request, load_evaluation_data
from medgan.evaluation.forecast import forecast
from medgan.evaluation.result_cache import ResultCache
from medgan.reports.evaluation_file import RESULT
from medgan.reports.showcase import exhibit
from medgan.reports.verdict import findings, marks
from medgan.training.runtime import once

VERSION = 1
MEASURES = 3
"""Counts how parts are measured: those that an older way measured are measured again."""
VERDICT = (
    "verdict", "sentence", "judge", "arm", "reference", "difference", "interval", "patients_needed", "headroom", "care",
)  # fmt: skip
"""Of usefulness, what stands first in the JSON."""
PARTS_FOLDER, CHOICE = "parts", "choice.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What is measured, and how thoroughly."""

    only: tuple[str, ...] = ()
    """Parts; empty for all that there are."""
    effort: str = "quick"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse parts and efforts that there are not."""
        strange = [name for name in self.only if name not in PARTS]
        if strange:
            raise PlanError(f"there is no part {', '.join(strange)}", hint=f"Parts: {', '.join(PARTS)}.")
        if self.effort not in EFFORTS:
            raise PlanError(f"there is no effort {self.effort}", hint=f"Efforts: {', '.join(EFFORTS)}.")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts to measure, in the order in which they are always measured: beside usefulness stands what gives classes away."""
        wanted = {*self.only, *(("giveaways",) if "usefulness" in self.only else ())}
        return tuple(name for name in PARTS if not wanted or name in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All that was measured. Parts are plain JSON values, None where they were not measured."""

    version: int = VERSION
    medgan: str = __version__
    out: Path
    command: str
    """The command that makes it again, with "SOURCE" for the data."""
    counts: Mapping[str, Mapping[str, int]]
    """{"train", "val", "test", "synthetic": {class: images}}."""
    patients: Mapping[str, int]
    """{"train", "val", "test": patients}; files, where none are known."""
    unseen: str
    sources: Mapping[str, str]
    settings: Mapping[str, Any]
    notes: tuple[str, ...]
    """What limits the evidence, in words; also why a part could not be measured."""
    filter: Mapping[str, Any] | None = None
    """What the filter made of the images of a model; None for a folder, which is judged as it is."""
    fidelity: Sequence[Mapping[str, Any]] | None = None
    giveaways: Mapping[str, Any] | None = None
    usefulness: Mapping[str, Any] | None = None
    shortcut: Mapping[str, Any] | None = None
    privacy: Mapping[str, Any] | None = None

    def report(self) -> dict[str, Any]:
        """The documented JSON: the verdict first."""
        useful = self.usefulness or {}
        verdict = {name: useful.get(name) for name in VERDICT}  # fmt: skip
        beyond = useful.get("external")
        rest = files.to_json(self)
        scores = rest.pop("fidelity")
        return {
            "version": rest.pop("version"),
            **verdict,
            "external": beyond and {name: beyond.get(name) for name in VERDICT},
            "answers": [
                dict(zip(("tone", "question", "sentence"), one, strict=True))
                for one in findings(rest, scores or [])
            ],
            "classes": marks(scores or []),
            "arms": useful.get("arms", []),
            "scores": scores or [],
            **rest,
        }


def evaluate(
    request: Request,
    out: Path,
    *,
    options: EvaluateOptions | None = None,
    on_progress: OnProgress = ignore,
) -> Evaluation:
    """Measure every part that is asked for into the folder `out`, and write `evaluation.json` and `report.html` there.

    The verdicts on a model go into its card, too; where it does not take them, a note says so.
    Parts that the same images and settings have been measured for are taken from `out`; the same command goes on where it stopped.
    No other command writes into `out` meanwhile: OutputError where one does.
    Under torchrun every process calls this alike; the first one does it all, and the others wait.
    """
    options = options or EvaluateOptions()
    others = (request.model, request.synthetic, request.external)
    inputs = [*request.source.inputs, *(path for path in others if path)]
    files.refuse_output_inside(out, inputs)
    with alone_in(out, request.device):
        return once(lambda: judge(request, out, options, on_progress), request.device)


def judge(request: Request, out: Path, options: EvaluateOptions, on_progress: OnProgress) -> Evaluation:
    """`evaluate`, in this process."""
    refuse_strangers(out)
    asked = settings_of(request, options)
    refuse_another(out, asked)  # before images are drawn, not after
    gathered = load_evaluation_data(request, on_progress, partial(choices, out))
    settings = {**asked, "data": gathered.digest}
    claim(out, settings)
    found, notes = {}, list(gathered.notes)
    clock = Clock.of(
        gathered, [name for name in options.parts if name not in finished_parts(out, settings)], options
    )
    for done, name in enumerate(options.parts):
        on_progress(clock.report(done, len(options.parts), f"part {name}"))
        try:
            found[name] = measure_part(out, name, gathered, settings, on_progress)
        except MedganError as error:
            if options.only == (name,):
                raise
            notes.append(f"{name} could not be measured: {error.message}")
    on_progress(Progress("evaluating", len(options.parts), len(options.parts), "writing the report"))
    parts = finished_parts(out, settings) | found
    exhibit(
        out,
        gathered,
        ask_again(job_of(out, "usefulness", gathered, settings, on_progress))
        if parts.get("usefulness")
        else None,
    )
    result = Evaluation(
        out=out,
        command=again(request, options),
        counts=gathered.counts,
        patients=gathered.patients,
        unseen=gathered.unseen,
        sources=gathered.sources,
        settings=settings,
        notes=tuple(notes),
        filter=gathered.filter,
        **parts,
    )
    untold = carry(request.model, result.report(), day_of(out)) if request.model else ""
    result = replace(result, notes=(*notes, *filter(None, [untold])))
    files.write_json(out / RESULT, {name: value for name, value in result.report().items() if name != "out"})
    render(out)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How long an evaluation takes, by a short trial before it starts."""

    effort: str
    seconds: float
    began: float

    @classmethod
    def of(cls, images: EvaluationData, parts: Sequence[str], options: EvaluateOptions) -> Clock:
        """The trial, of the parts that are to be measured."""
        seconds = forecast(images, parts, options.effort) if parts else 0.0
        return cls(effort=options.effort, seconds=seconds, began=time.monotonic())

    def report(self, done: int, total: int, words: str) -> Progress:
        """Where the evaluation is; the first report says how long all of it takes."""
        left = self.seconds - (time.monotonic() - self.began)
        told = (
            f"{self.effort}: about {max(round(self.seconds / 60), 1)} min on this machine, by a short trial"
        )
        facts = (
            {"seconds_left": left} if left > 0 else {}
        )  # a forecast that has run out says nothing any more
        return Progress("evaluating", done, total, words if done or not self.seconds else told, facts)


def day_of(out: Path) -> str:
    """The day, in UTC, on which the latest part was measured."""
    times = [path.stat().st_mtime for path in (out / PARTS_FOLDER).iterdir() if path.stem in PARTS]
    return datetime.fromtimestamp(max(times, default=0.0), UTC).date().isoformat()


def settings_of(request: Request, options: EvaluateOptions) -> dict[str, Any]:
    """What an evaluation is told from another by, its images aside."""
    filtered = {"filter": request.filtered} if request.model else {}
    second = {"external": True} if request.external else {}
    return {"effort": options.effort, "seed": options.seed, **filtered, **second}


def source_words(source: Source) -> list[str]:
    """The options that say how the real data are read."""
    words = [word for wish in source.wishes.items() for word in wish]
    return [*words, *(["--allow-burned-in"] if source.allow_burned_in else [])]


def again(request: Request, options: EvaluateOptions) -> str:
    """The command, without the names of folders, which are nobody's business but the user's."""
    words = ["medgan", "evaluate", "SOURCE"]
    words += source_words(request.source)
    words += ["--model", "RUN"] if request.model else []
    words += [] if request.filtered else ["--no-filter"]
    words += ["--synthetic", "FOLDER"] if request.synthetic else []
    words += ["--external", "EXTERNAL"] if request.external else []
    words += ["--holdout", str(request.holdout)] if request.holdout else []
    words += ["--only", ",".join(options.only)] if options.only else []
    words += ["--effort", options.effort, "--seed", str(options.seed), "--out", "EVALUATION"]
    return shlex.join(words)


# --- parts on disk ---


def choices(out: Path) -> ResultCache:
    """Which images of a model were chosen, in the folder `out`, which is made for it: a repeated command judges the same."""
    files.make_folder(out)
    return ResultCache(out / PARTS_FOLDER / CHOICE, files.digest_of([VERSION, __version__]))


def measure_part(
    out: Path, name: str, images: EvaluationData, settings: Mapping[str, Any], on_progress: OnProgress
) -> Any:
    """What a part comes to, from disk where it was measured before, as plain JSON."""
    known = finished_parts(out, settings).get(name)
    if known is not None:
        return known
    job = job_of(out, name, images, settings, on_progress)
    result = files.to_json(PARTS[name](job))
    facts = {"key": key_of(name, settings), "settings": settings, "result": result}
    files.write_json(out / PARTS_FOLDER / f"{name}.json", facts)
    return result


def key_of(name: str, settings: Mapping[str, Any]) -> str:
    """What a measurement of a part depends on, as a digest."""
    return files.digest_of([MEASURES, __version__, name, settings])


def job_of(
    out: Path, name: str, images: EvaluationData, settings: Mapping[str, Any], on_progress: OnProgress
) -> Job:
    """A part's job, with the runs of it that are finished."""
    runs = ResultCache(out / PARTS_FOLDER / f"{name}-runs.jsonl", key_of(name, settings))
    return Job(images=images, effort=settings["effort"], seed=settings["seed"], runs=runs, on_progress=on_progress)  # fmt: skip


def finished_parts(out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """{part: result} of those that were measured under the same settings, also by an earlier `--only`."""
    found = {name: json_object(out / PARTS_FOLDER / f"{name}.json") or {} for name in PARTS}
    return {
        name: part["result"]
        for name, part in found.items()
        if part.get("key") == key_of(name, settings)
        and isinstance(part.get("result"), list if name == "fidelity" else dict)
    }


def json_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None where there is none that can be read."""
    try:
        value = files.read_json(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def refuse_strangers(out: Path) -> None:
    """Refuse a folder that holds something and is no evaluation."""
    if any(out.iterdir()) and not (out / PARTS_FOLDER).is_dir():
        raise OutputError(f"{out} is not empty and no evaluation of medgan", hint="Choose another --out.")


def refuse_another(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds an evaluation of other `settings`."""
    known = json_object(out / PARTS_FOLDER / "settings.json")
    differing = [name for name, value in settings.items() if known and known.get(name) != value]
    if differing:
        raise OutputError(
            f"{out} holds another evaluation: {', '.join(differing)} {'is' if len(differing) == 1 else 'are'} different",
            hint="Choose another --out, or repeat the command as it was.",
        )


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Make `out` the place of this evaluation, or check that it is."""
    refuse_another(out, settings)
    files.make_folder(out)
    files.make_folder(out / PARTS_FOLDER)
    files.write_json(out / PARTS_FOLDER / "settings.json", settings)
