"""Measure whether synthetic images are useful, realistic and private.

Each part can be resumed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from medgan import __version__
from medgan.base import files
from medgan.base.errors import DatasetError, MedganError, PlanError
from medgan.base.job import Job
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.base.results import EvaluateResult
from medgan.base.run_folder import ResultCache, RunFolder, list_changes, read_memo
from medgan.commands.job import join_job
from medgan.commands.preflight import refuse_parts
from medgan.commands.report import render
from medgan.dataset.source import Source
from medgan.evaluation.analyses import EFFORTS, PARTS, AnalysisInput, predictions_of_usefulness
from medgan.evaluation.card_section import write_verdicts
from medgan.evaluation.data import EvaluationData, Request, load_evaluation_data
from medgan.evaluation.forecast import forecast
from medgan.reports import quiz as quiz_page
from medgan.reports.evaluation_file import RESULT
from medgan.reports.showcase import save_exhibits
from medgan.reports.verdict import class_marks, findings

_VERSION = 1
_MEASURES = 6
"""Version of the measurements; parts that an older version measured are measured again."""
_VERDICT_KEYS = (
    "verdict",
    "sentence",
    "judge",
    "arm",
    "reference",
    "difference",
    "interval",
    "patients_needed",
    "headroom",
    "care",
)
"""Keys of usefulness that stand first in the JSON."""
_PARTS_FOLDER = "parts"
"""Subfolder of the evaluation for the results of its parts."""
_SETTINGS = f"{_PARTS_FOLDER}/settings.json"
"""The record of an evaluation."""
_UNSET: Mapping[str, Any] = {"filter": None, "external": None}
"""Settings that are recorded only where they apply."""
_CHOICE = "choice.jsonl"
"""File in the folder of parts with the images that the filter selected."""


def evaluate(request: Request, out: Path, *, on_progress: OnProgress = ignore) -> EvaluateResult:
    """Measure the requested parts and write `evaluation.json` and `report.html` into `out`.

    The verdicts on a model also go into its model card; a note says so where the card cannot be changed.
    Parts measured before with the same images and settings are read from `out`, so that the same command
    continues where it stopped. Under torchrun every process calls this with the same arguments; the first
    one does the work, and the others only help it to read files.

    Args:
        request: Real data, the model or folder to judge, and what to measure.
        out: A new folder, or one that the same command began.
        on_progress: Called with every step of progress.

    Raises:
        OutputError: `out` holds something else, or another command is writing into it.
    """
    evidence = request.evidence
    refuse_parts(evidence.parts)
    if evidence.effort not in EFFORTS:
        raise PlanError(f"--effort {evidence.effort} is not known", hint=f"Give one of {', '.join(EFFORTS)}.")
    others = (request.model, request.synthetic, request.external)
    inputs = [*request.source.inputs, *(path for path in others if path)]
    files.refuse_output_inside(out, inputs)
    run = RunFolder(path=out, command="evaluate", record=_SETTINGS)
    job = join_job(evidence.device, on_progress)
    with run.lock(job.first):
        quiz = evidence.quiz or (out / quiz_page.PAGE).exists()
        return job.first(lambda: _measure_all(request, run, job, quiz=quiz))


def _measure_all(request: Request, run: RunFolder, job: Job, *, quiz: bool) -> EvaluateResult:
    """Measure in this process; see `evaluate`."""
    # Refuse another folder before any image is drawn.
    out, asked, begun = run.path, _settings_of(request), run.read()
    only, effort = request.evidence.parts, request.evidence.effort
    known = {**_UNSET, **begun} if begun else {}
    run.refuse_changes(list_changes(known, {**_UNSET, **asked}))

    # Read the real images; draw or read the synthetic ones.
    gathered = load_evaluation_data(request, job, partial(_selection_cache, out))
    settings = {**asked, "data": gathered.digest}
    run.refuse_changes(list_changes(known, settings))
    run.begin(settings)

    # Measure part by part; one that cannot be measured becomes a note.
    found, notes = {}, list(gathered.notes)
    wanted = _parts_to_measure(only)
    missing = [name for name in wanted if name not in _finished_parts(out, settings)]
    input_of = partial(_analysis_input, out, gathered, settings, job)
    clock = _TimeForecast.of(gathered, missing, effort, input_of("usefulness").runs)
    for done, name in enumerate(wanted):
        job.tell(clock.report(done, len(wanted), f"part {name}"))
        try:
            found[name] = _measure_part(out, name, settings, input_of)
        except MedganError as error:
            if only == (name,):
                raise
            notes.append(f"{name} could not be measured: {error.message}")

    # Write what the report shows, the results, the model card and the report.
    job.tell(Progress("evaluating", len(wanted), len(wanted), "writing the report"))
    parts = _finished_parts(out, settings) | found
    judged = predictions_of_usefulness(input_of("usefulness")) if parts.get("usefulness") else None
    save_exhibits(out, gathered, judged)
    held = _add_quiz(out, gathered, request.evidence.seed, parts.get("shortcut"), notes) if quiz else None
    command = _repeat_command(request, quiz=quiz)
    result = replace(_result_of(parts, gathered, tuple(notes), settings, command, out), quiz=held)
    remark = write_verdicts(request.model, result.as_json(), _last_measured_day(out)) if request.model else ""
    result = replace(result, notes=(*notes, *filter(None, [remark])))
    files.write_json(out / RESULT, {name: value for name, value in result.as_json().items() if name != "out"})
    render(out)
    return result


def _result_of(
    parts: Mapping[str, Any],
    gathered: EvaluationData,
    notes: tuple[str, ...],
    settings: Mapping[str, Any],
    command: str,
    out: Path,
) -> EvaluateResult:
    """The verdict and answers that follow from the parts that were measured, and all that they rest on."""
    useful, scores = parts.get("usefulness") or {}, parts.get("fidelity") or []
    beyond = useful.get("external")
    verdict: dict[str, Any] = {name: useful.get(name) for name in _VERDICT_KEYS}
    answers = findings(parts, scores)
    return EvaluateResult(
        version=_VERSION,
        **(verdict | {"interval": verdict["interval"] and tuple(verdict["interval"])}),
        external=beyond and {name: beyond.get(name) for name in _VERDICT_KEYS},
        answers=tuple(dict(zip(("tone", "question", "sentence"), one, strict=True)) for one in answers),
        classes=tuple(class_marks(scores)),
        arms=tuple(useful.get("arms", ())),
        scores=tuple(scores),
        medgan=__version__,
        out=out,
        command=command,
        counts=gathered.counts,
        patients=gathered.patients,
        unseen=gathered.unseen,
        sources=gathered.sources,
        settings=settings,
        notes=notes,
        filter=gathered.filter,
        giveaways=parts.get("giveaways"),
        usefulness=parts.get("usefulness"),
        shortcut=parts.get("shortcut"),
        privacy=parts.get("privacy"),
    )


def _add_quiz(
    out: Path, images: EvaluationData, seed: int, detector: Mapping[str, Any] | None, notes: list[str]
) -> dict[str, Any] | None:
    """Write quiz.html and say what it holds; None, with a note, where these images allow no quiz."""
    try:
        return quiz_page.save_quiz(out, images, seed, detector)
    except DatasetError as error:
        notes.append(f"no quiz was written: {error.message}")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TimeForecast:
    """How long an evaluation takes, estimated from a short trial before it starts."""

    effort: str
    seconds: float
    began: float

    @classmethod
    def of(
        cls, images: EvaluationData, parts: Sequence[str], effort: str, finished: Collection[str]
    ) -> _TimeForecast:
        """Time a short trial of the parts that are still to be measured, less finished runs of usefulness."""
        seconds = forecast(images, parts, effort, finished) if parts else 0.0
        return cls(effort=effort, seconds=seconds, began=time.monotonic())

    def report(self, done: int, total: int, words: str) -> Progress:
        """Report the progress; the first report also says how long everything takes."""
        left = self.seconds - (time.monotonic() - self.began)
        minutes = max(round(self.seconds / 60), 1)
        if not done and self.seconds:
            words = f"{self.effort}: about {minutes} min on this machine, by a short trial"
        # A forecast that has run out says nothing any more.
        return Progress("evaluating", done, total, words, {"seconds_left": left} if left > 0 else {})


def _last_measured_day(out: Path) -> str:
    """The day (UTC) on which the latest part was measured."""
    times = [path.stat().st_mtime for path in (out / _PARTS_FOLDER).iterdir() if path.stem in PARTS]
    return datetime.fromtimestamp(max(times, default=0.0), UTC).date().isoformat()


def _parts_to_measure(only: Collection[str]) -> tuple[str, ...]:
    """The parts to measure, in their fixed order; usefulness always brings giveaways with it."""
    wanted = {*only, *(("giveaways",) if "usefulness" in only else ())}
    return tuple(name for name in PARTS if not wanted or name in wanted)


def _settings_of(request: Request) -> dict[str, Any]:
    """The settings, besides the images, that tell one evaluation from another."""
    filtered = {"filter": not request.evidence.no_filter} if request.model else {}
    second = {"external": True} if request.external else {}
    return {"effort": request.evidence.effort, "seed": request.evidence.seed, **filtered, **second}


def _source_options(source: Source) -> list[str]:
    """The options that say how the real data were read."""
    words = [word for wish in source.wishes.items() for word in wish]
    return [*words, *(["--allow-burned-in"] if source.allow_burned_in else [])]


def _repeat_command(request: Request, *, quiz: bool = False) -> str:
    """The command with stand-ins for its folders, whose names may be private."""
    evidence, words = request.evidence, ["medgan", "evaluate", "SOURCE"]
    words += _source_options(request.source)
    words += ["--model", "RUN"] if request.model else []
    words += ["--no-filter"] if evidence.no_filter else []
    words += ["--synthetic", "FOLDER"] if request.synthetic else []
    words += ["--external", "EXTERNAL"] if request.external else []
    words += ["--holdout", str(evidence.holdout)] if evidence.holdout else []
    words += ["--only", ",".join(evidence.parts)] if evidence.parts else []
    words += ["--quiz"] if quiz else []
    words += ["--effort", evidence.effort, "--seed", str(evidence.seed), "--out", "EVALUATION"]
    return shlex.join(words)


# --- parts on disk ---


def _selection_cache(out: Path) -> ResultCache:
    """Cache of the images that the filter selected, so that a repeated command judges the same ones."""
    return ResultCache(out / _PARTS_FOLDER / _CHOICE, files.digest_of([_VERSION, __version__]))


def _measure_part(
    out: Path, name: str, settings: Mapping[str, Any], input_of: Callable[[str], AnalysisInput]
) -> Any:
    """Measure a part, or read its result if it was measured before; plain JSON."""
    known = _finished_parts(out, settings).get(name)
    if known is not None:
        return known
    result = files.to_json(PARTS[name](input_of(name)))
    facts = {"key": _cache_key(name, settings), "settings": settings, "result": result}
    files.write_json(out / _PARTS_FOLDER / f"{name}.json", facts)
    return result


def _cache_key(name: str, settings: Mapping[str, Any]) -> str:
    """Digest of everything that a part's result depends on."""
    return files.digest_of([_MEASURES, __version__, name, settings])


def _analysis_input(
    out: Path, images: EvaluationData, settings: Mapping[str, Any], job: Job, name: str
) -> AnalysisInput:
    """What a part needs for its measurement, with the cache of its finished classifier runs."""
    runs = ResultCache(out / _PARTS_FOLDER / f"{name}-runs.jsonl", _cache_key(name, settings))
    return AnalysisInput(
        images=images, effort=settings["effort"], seed=settings["seed"], runs=runs, on_progress=job.tell
    )


def _finished_parts(out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """{part: result} of the parts measured with the same settings, also by an earlier `--only`."""
    found = {name: read_memo(out / _PARTS_FOLDER / f"{name}.json") for name in PARTS}
    return {
        name: part["result"]
        for name, part in found.items()
        if part.get("key") == _cache_key(name, settings)
        and isinstance(part.get("result"), list if name == "fidelity" else dict)
    }
