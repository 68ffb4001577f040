import json
import os
import re
import subprocess
import sys

import pytest

from medgan.cli import screen
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, HARMS, HELPS, NO_DIFFERENCE
from medgan.reports import wording


def test_a_reader_that_has_seen_enough_is_no_error():
    script = (
        "from medgan.cli import screen\n"
        "from medgan.cli.errors import polite_errors\n"
        "with polite_errors():\n"
        "    screen.show_json(list(range(10**6)))\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        told = process.stderr.read()
    assert (told, process.returncode) == (b"", 0)


def test_json_is_ascii_and_takes_names_that_are_no_unicode(capsys):
    screen.show_json({"path": os.fsdecode(b"scan\xff"), "label": "é"})
    told = capsys.readouterr().out
    assert told.isascii()
    assert json.loads(told) == {"path": "scan\udcff", "label": "é"}


REPORT = {
    "counts": {"train": {"a": 5, "b": 1}, "test": {"a": 2, "b": 2}},
    "images": {"train": {"a": 10, "b": 1}, "test": {"a": 2, "b": 2}},
    "patients": {"train": {"a": 4, "b": 1}, "test": {"a": 2, "b": 2}},
    "rare": {"b": 9},
    "verdicts": {"ok": 10, "skip:duplicate": 1},
    "warnings": ["class b is small"],
    "told_apart": {"sentence": "told apart by a frozen network (AUC): a / b 0.70 (hardly)"},
    "plan": {
        "size": {"value": [64, 64], "why": "rule: fits"},
        "mm_per_pixel": {"value": None, "why": "rule: unknown spacing"},
        "form": {
            "value": {"format": "png", "low": 0.0, "high": 255.0, "unit": "stored", "bits": 8},
            "why": "rule: 8-bit",
        },
        "labels": {"value": ["a", "b"], "why": "rule: found"},
    },
    "files": [
        {"path": "x.dcm", "split": "train", "verdict": "skip:duplicate", "reason": "the same as y.dcm"}
    ],
}
MEASURED = dict.fromkeys(screen._MEASUREMENTS, 0) | {
    "modalities": {"": 3, "CT": 7},
    "levels": [0.0, 0.1234567, 2.0],
    "rows": [48, 48, 48],
    "columns": [48, 50, 64],
}


def test_an_inspection_is_told_in_tables(capsys):
    screen.show_inspection(REPORT | {"measured": MEASURED})
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines() if line.strip()]
    assert ["train", "b", "1", "1", "1", "9"] in lines
    assert ["test", "a", "2", "2", "2"] in lines
    assert ["modalities", "unknown:", "3,", "CT:", "7"] in lines
    assert ["rows", "48"] in lines
    assert ["columns", "48", "to", "64,", "median", "50"] in lines
    assert ["skip:duplicate", "1"] in lines
    assert ["skip:duplicate", "train", "x.dcm", "the", "same", "as", "y.dcm"] in lines
    assert ["warning:", "class", "b", "is", "small"] in lines
    assert "classes" in told
    assert "told apart by a frozen network (AUC): a / b 0.70 (hardly)" in told
    assert ["size", "in", "pixels", "64", "x", "64", "--size,", "--effort", "fits"] in lines
    assert [
        "values",
        "and",
        "form",
        "png,",
        "0",
        "to",
        "255",
        "stored,",
        "8",
        "bits",
        "8-bit",
    ] in lines
    assert not any("mm_per_pixel" in line for line in lines), "nothing to act on"
    assert not any("leaks" in line for line in lines)


def test_every_decision_is_told_when_asked_for_in_plain_words(capsys):
    open_ones = {
        name: {"value": value, "why": "rule: timed"}
        for name, value in {
            "graphed": None,
            "precision": "auto",
            "threads": None,
            "minutes": None,
            "guarded": True,
            "toned": False,
        }.items()
    }
    screen.show_inspection(
        REPORT | {"plan": REPORT["plan"] | open_ones, "measured": MEASURED}, everything=True
    )
    rows = [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert ["mm_per_pixel", "unknown", "rule: unknown spacing"] in rows
    assert ["labels", "a, b", "rule: found"] in rows
    assert ["graphed", "timed when training begins", "rule: timed"] in rows
    assert ["precision", "timed when training begins", "rule: timed"] in rows
    assert ["threads", "as many as torch takes", "rule: timed"] in rows
    assert ["minutes", "no limit", "rule: timed"] in rows
    assert ["guarded", "yes", "rule: timed"] in rows
    assert ["toned", "no", "rule: timed"] in rows


def test_warnings_come_first(capsys):
    screen.show_inspection(REPORT | {"measured": MEASURED})
    assert capsys.readouterr().out.startswith("warning: class b is small\n")
    dry = {
        "run": "r",
        "model_digest": "",
        "estimate_seconds": 1.0,
        "plan": REPORT["plan"],
        "warnings": ["few"],
    }
    screen.show_training(dry)
    assert capsys.readouterr().out.startswith("warning: few\n")


def test_the_real_plan_is_told_in_ten_rows(capsys, cut_scans):
    from medgan.commands.inspect import inspect
    from medgan.dataset.source import Source

    plan = inspect(Source(path=cut_scans)).as_json()["plan"]
    screen.show_inspection(REPORT | {"plan": plan, "measured": MEASURED})
    told = capsys.readouterr().out.partition("\nPlan\n")[2]
    assert len(told.strip().splitlines()) <= 12  # with the heading and the way to the rest
    assert "no part" not in told
    assert "unknown" not in told


def test_what_no_scan_tells_is_not_listed_and_colour_is_named(capsys):
    screen.show_inspection(
        REPORT | {"measured": MEASURED | {"modalities": {"": 9}, "channels": {"1": 4, "3": 5}}}
    )
    told = capsys.readouterr().out
    assert "modalities" not in told
    assert "gray: 4, colour: 5" in told


def test_no_line_of_a_table_ends_in_blanks(capsys):
    screen.show_inspection(REPORT | {"measured": MEASURED})
    assert not any(line.endswith(" ") for line in capsys.readouterr().out.splitlines())


def test_a_long_line_is_not_folded_in_a_pipe(capsys):
    screen.show_inspection(REPORT | {"warnings": ["word " * 400 + "end"], "measured": MEASURED})
    assert capsys.readouterr().out.splitlines()[0].endswith("word end")


def test_a_data_set_without_plan_is_told_too(capsys):
    screen.show_inspection(REPORT | {"plan": None, "measured": MEASURED})
    assert "Plan" not in capsys.readouterr().out


def test_a_training_is_told_as_facts_and_what_to_do_next(capsys):
    screen.show_training(
        {
            "run": "my run",
            "images_shown": 6400,
            "seconds": 150.5,
            "model_digest": "ab",
            "warnings": ["covid: as a copy"],
        }
    )
    told = capsys.readouterr()
    assert (
        " ".join(told.out.split())
        == "run my run images shown 6,400 time 3 min model digest ab warning: covid: as a copy"
    )
    assert told.err == "next: medgan sample 'my run' --out synthetic/\n"


@pytest.mark.parametrize(("seconds", "words"), [(7.2, "7 s"), (90.0, "2 min"), (6000.0, "1 h 40 min")])
def test_a_dry_run_is_told_as_plan_and_estimate(capsys, seconds, words):
    screen.show_training(
        {"run": "r", "model_digest": "", "estimate_seconds": seconds, "plan": REPORT["plan"], "warnings": []}
    )
    told = capsys.readouterr().out
    assert "fits" in told
    assert f"time it would take  about {words}\n" in told


KEPT = {
    "name": "stack-1",
    "entries": 1200,
    "changed": "2026-01-02T03:04:05+00:00",
    "used": "2026-05-06T07:08:09+00:00",
}
CACHE = {"cache": "/c", "bytes": 2_500_000, "freed_bytes": None, "index": [], "unknown": ["thesis.tex"]}


def test_a_cache_is_told_with_what_it_holds_and_how_to_clear_it(capsys):
    screen.show_cache(CACHE | {"stacks": [KEPT | {"bytes": 2_500_000}]})
    told = capsys.readouterr()
    words = " ".join(told.out.split())
    assert "stack-1 1,200 2.5 MB 2026-01-0" in words
    assert "Not of medgan, never removed thesis.tex" in words
    assert "pixels of patients" in words
    assert told.err == "next: medgan cache --clear\n"


def test_a_cleared_cache_is_told_by_what_was_removed_and_why_the_rest_was_not(capsys):
    screen.show_cache(CACHE | {"freed_bytes": 999, "stacks": [KEPT | {"bytes": 1}]})
    told = capsys.readouterr()
    assert "removed  999 bytes" in told.out
    assert "another process" in told.err
    screen.show_cache(CACHE | {"freed_bytes": 10**13, "stacks": []})
    told = capsys.readouterr()
    assert "removed  10000.0 GB" in told.out
    assert told.err == ""


FILTER = {
    "on": True,
    "checks": ["copy", "class"],
    "class_check": {"labels": ["a", "b"], "pairs": [], "sentences": ["class check: a and b are much alike"]},
    "counts": {
        "b": {"drawn": 20, "copy": 1, "class": 3, "realism": 2, "surplus": 10, "kept": 4, "kept_in_doubt": 0}
    },
}
COUNTS = {"before": {"a": 5, "b": 1}, "after": {"a": 6, "b": 6}}
UNASKED = {"asked": "", "reached": None, "sentence": ""}
ENOUGH = {"asked": "auto", "reached": 0.0, "sentence": "oversampling is enough here"}


def test_what_was_written_is_told_per_class(capsys):
    screen.show_output(
        {
            "counts": COUNTS,
            "real": "prepared",
            "written": {"a": 1, "b": 1},
            "repeated": {"a": 0, "b": 4},
            "share": ENOUGH,
            "notes": ["share 0.17 instead of 0.25: so it is"],
            "filter": FILTER,
            "out": "o",
            "manifest": "o/manifest.csv",
        }
    )
    told = capsys.readouterr()
    lines = [line.split() for line in told.out.splitlines()]
    assert ["class", "real", "repeated", "synthetic", "share", "together"] in lines
    assert ["b", "1", "4", "1", "17%", "6"] in lines
    assert "oversampling is enough here" in told.out
    assert ["a", "5", "0", "1", "17%", "6"] in lines
    assert "note: share 0.17 instead of 0.25: so it is" in told.out
    assert ["manifest", "o/manifest.csv"] in lines
    assert ["b", "20", "1", "3", "2", "10", "4", "0"] in lines
    assert "were not checked" not in told.out
    assert "warning: class check: a and b are much alike" in told.out
    assert "contact-sheet.png" in told.err


def test_where_nothing_is_real_only_what_was_drawn_is_told(capsys):
    counts = {"before": {"a": 0, "b": 0}, "after": {"a": 0, "b": 4}}
    off = {"on": False, "checks": [], "class_check": {"sentences": []}, "counts": {}}
    screen.show_output(
        {
            "counts": counts,
            "real": "none",
            "written": {"a": 0, "b": 4},
            "repeated": {"a": 0, "b": 0},
            "share": UNASKED,
            "notes": [],
            "filter": off,
            "out": "o",
            "manifest": "m",
            "films": ["o/films/class-b.png"],
        }
    )
    told = capsys.readouterr().out
    assert "Near copies of training images were not checked." in told
    lines = [line.split() for line in told.splitlines()]
    assert ["b", "4"] in lines
    assert ["film", "o/films/class-b.png"] in lines
    assert not any(line[:1] == ["a"] for line in lines)


SCORE = {
    "name": "kid",
    "space": "lite2",
    "label": "",
    "value": 0.25123,
    "low": 0.1,
    "high": 0.4,
    "floor": None,
    "at_floor": False,
    "n": 40,
}
ARM = {
    "name": "pretrain",
    "judge": "cnn",
    "role": "named",
    "auprc": 0.71,
    "low": 0.5,
    "high": 0.8,
    "sensitivity": 0.66,
    "auroc": 0.9,
}
EVALUATION = {
    "verdict": "cannot-tell",
    "sentence": "Cannot tell whether synthetic images help: only 2 held-out patients have covid; "
    "at least 5 are needed for a verdict.",
    "answers": [
        {"tone": "even", "question": "Are they like real images?", "sentence": "7 of 18 closeness scores."},
        {"tone": "good", "question": "Do they show a patient?", "sentence": "No sign was found."},
        {"tone": "none", "question": "Can a classifier cheat?", "sentence": "Cannot tell."},
    ],
    "classes": [
        {"label": "covid", "n": 42, "n_real": 6, "distance": "bad", "realism": "even", "variety": None}
    ],
    "arms": [ARM, {**ARM, "name": "real", "role": "", "auprc": 0.75}],
    "headroom": {"sentence": "Even twice as many would bring +1.0 points."},
    "care": "A careless schedule costs little.",
    "giveaways": None,
    "usefulness": None,
    "scores": [SCORE] * 60,
    "notes": ["no patient is held out"],
    "filter": None,
    "out": "evaluation",
}


def test_an_evaluation_tells_the_verdict_three_answers_and_a_line_per_class(capsys):
    screen.show_evaluation(EVALUATION)
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[:3] == ["Cannot tell", EVALUATION["sentence"], EVALUATION["headroom"]["sentence"]]
    assert EVALUATION["care"] not in told.out
    assert "Do they show a patient? No sign was found." in lines
    assert ["covid", "42", "6", "x", "~", "?"] in [line.split() for line in lines]
    assert "note: no patient is held out" in lines
    assert len(lines) < 20
    assert "kid" not in told.out
    assert "evaluation/report.html" in told.err
    assert "--all" in told.err
    screen.show_evaluation({**EVALUATION, "filter": {"sentence": "The filter was off."}})
    assert "The filter was off.\n" in capsys.readouterr().out


def test_a_quiz_is_named_with_a_warning_that_it_holds_real_scans(capsys):
    screen.show_evaluation({**EVALUATION, "quiz": {"page": "quiz.html"}})
    told = capsys.readouterr()
    assert "open evaluation/quiz.html" in told.err
    assert "real scans" in told.out
    screen.show_evaluation(EVALUATION)
    assert "quiz" not in "".join(capsys.readouterr())


def test_an_evaluation_tells_every_figure_when_asked(capsys):
    screen.show_evaluation(EVALUATION, every=True)
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.splitlines()]
    assert rows.count(["all", "kid", "lite2", "0.251", "0.1", "0.4", "-", "no", "40"]) == 60
    first, second = (
        rows.index([name, "cnn", ratio, *rest])
        for name, ratio, *rest in (
            ("real", "-", "0.75", "0.5", "0.8", "0.66", "0.9"),
            ("pretrain", "named", "0.71", "0.5", "0.8", "0.66", "0.9"),
        )
    )
    assert first < second
    assert "--all" not in told.err


def test_signs_alone_and_the_arms_of_another_hospital_have_tables_of_their_own(capsys):
    beyond = [{**EVALUATION["arms"][0], "name": "elsewhere", "auprc": 0.123}]
    signs = [{"sign": "shape", "classes": [{"label": "covid", "auroc": 0.891, "low": 0.85, "high": 0.94}]}]
    there = {"signs": [{"sign": "shape", "classes": [{**signs[0]["classes"][0], "auroc": 0.511}]}]}
    more = {
        "usefulness": {"external": {"arms": beyond}},
        "giveaways": {"signs": signs, "external": there},
    }
    screen.show_evaluation({**EVALUATION, **more}, every=True)
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    place = lines.index("Classifiers on patients of another hospital (no role: exploration)")
    assert any(row[:1] == ["elsewhere"] and "0.123" in row for row in rows[place:])
    assert ["shape", "covid", "0.891", "0.85", "0.94"] in rows
    place = lines.index("Signs alone, at another hospital")
    assert ["shape", "covid", "0.511", "0.85", "0.94"] in rows[place:]


def test_every_verdict_has_its_word_on_the_screen_and_on_the_page_and_what_cannot_be_told_is_gray():
    verdicts = {HELPS, NO_DIFFERENCE, HARMS, CANNOT_TELL}
    assert set(screen._VERDICTS) == set(wording.VERDICTS) == verdicts
    assert {screen._VERDICTS[name][0] for name in verdicts} == {
        wording.VERDICTS[name][1] for name in verdicts
    }
    assert screen._VERDICTS[CANNOT_TELL][1] == screen._TONES["none"] == "bright_black"
    assert wording.VERDICTS[CANNOT_TELL][0] == wording.TONES[CANNOT_TELL] == "none"


def test_what_an_evaluation_did_not_measure_is_said(capsys):
    nothing = {
        "verdict": None,
        "sentence": None,
        "headroom": None,
        "care": None,
        "answers": [],
        "classes": [],
        "arms": [],
        "scores": [],
    }
    screen.show_evaluation(EVALUATION | nothing)
    assert capsys.readouterr().out.startswith(
        "Not tested\nWhether these images help a classifier was not measured.\n"
    )


def test_the_hint_after_training_names_a_folder_that_is_free(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = {"run": "run", "images_shown": 1, "seconds": 1.0, "model_digest": "d", "warnings": []}
    for name in ("synthetic", "synthetic-2", "synthetic-3"):
        screen.show_training(report)
        assert f"--out {name}/" in capsys.readouterr().err
        (tmp_path / name).mkdir()
