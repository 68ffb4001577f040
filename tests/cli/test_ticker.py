"""What is told of a job while it runs: on a terminal, and where there is none."""

import io
import re
import sys

import pytest

from medgan.base.processes import _TORCHRUN_ID
from medgan.base.progress import NOTE, WARNING, Progress, ignore
from medgan.cli import ticker


class Gone(io.StringIO):
    """A pipe, or a terminal, whose other end has left."""

    def __init__(self, *, terminal=False):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        raise BrokenPipeError

    def fileno(self):
        raise BrokenPipeError


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the ticker sees, to be set."""
    seconds = [100.0]
    monkeypatch.setattr(ticker.time, "monotonic", lambda: seconds[0])
    return seconds


def lines(capsys):
    """What stderr got, a line each, without the time of day that each begins with."""
    told = capsys.readouterr().err.splitlines()
    assert all(re.match(r"\d\d:\d\d ", line) for line in told)
    return [line[6:] for line in told]


def test_a_log_gets_a_line_when_a_stage_begins_from_time_to_time_and_when_it_is_over(capsys, clock):
    with ticker.watch() as on_progress:
        for second in range(101):
            clock[0] = 100.0 + second
            on_progress(Progress("reading", second * 50, 5000, words="headers"))
    assert lines(capsys) == [
        "reading headers 0/5,000 0 %",
        "reading headers 1,500/5,000 30 %, 50/s, 1 min left",
        "reading headers 3,000/5,000 60 %, 50/s, 40 s left",
        "reading headers 4,500/5,000 90 %, 50/s, 10 s left",
        "reading headers 5,000/5,000, 2 min",
    ]


def test_a_job_that_knows_its_pace_and_its_end_is_believed(capsys, clock):
    facts = {"images_per_second": 281.0, "seconds_left": 480.0, "distance": 0.07}
    words = "images lie 0.07 apart in features; guards: no problems"
    with ticker.watch() as on_progress:
        on_progress(Progress("training", 7488, 150016, words, facts))
    assert lines(capsys) == [f"training 7,488/150,016 5 %, 281/s, 8 min left; {words}"]


def test_a_note_is_a_line_of_its_own(capsys, clock):
    with ticker.watch() as on_progress:
        on_progress(Progress(NOTE, 1, 1, "Your scans are 144 x 192 pixels."))
        on_progress(Progress(NOTE, 1, 1, "Your scans are small.", {"seconds_left": 4000.0}))
    assert lines(capsys) == [
        "Your scans are 144 x 192 pixels.",
        "Your scans are small. Training will take about 1 h 7 min.",
    ]


def test_an_end_that_moves_is_followed(capsys, clock):
    with ticker.watch() as on_progress:
        on_progress(Progress("training", 100, 400))
        clock[0] += ticker._PAUSE
        on_progress(Progress("training", 150, 200))
        clock[0] += 2
        on_progress(Progress("training", 200, 200))
    assert [line.split(" ")[1] for line in lines(capsys)] == ["100/400", "150/200", "200/200,"]


def test_what_was_known_already_has_no_pace(capsys, clock):
    with ticker.watch() as on_progress:
        on_progress(Progress("reading", 25, 50, "pixels", {"cached": 49}))
        clock[0] += 0.01
        on_progress(Progress("reading", 50, 50, "pixels", {"cached": 49}))
    assert lines(capsys) == [
        "reading pixels 25/50 50 %, from the cache",
    ]


def test_the_end_of_a_stage_is_told_once(capsys, clock):
    with ticker.watch() as on_progress:
        on_progress(Progress("training", 100, 200))
        clock[0] += 5
        on_progress(Progress("training", 200, 200))
        on_progress(Progress("training", 200, 200))
    assert lines(capsys) == ["training 100/200 50 %", "training 200/200, 5 s"]


def test_one_thing_that_takes_its_time_is_named_when_it_begins(capsys, clock):
    with ticker.watch() as on_progress:
        on_progress(Progress("loading PyTorch", 0, 1))
        clock[0] += 5
        on_progress(Progress("loading PyTorch", 1, 1))
    assert lines(capsys) == ["loading PyTorch"]


def test_a_stage_that_is_begun_over_and_over_does_not_flood_the_log(capsys, clock):
    with ticker.watch() as on_progress:
        for _ in range(100):
            for done in range(3):
                on_progress(Progress("comparing", done, 10, "synthetic"))
    assert lines(capsys) == ["comparing synthetic 0/10 0 %"]


def test_the_log_of_a_training_is_named_when_it_begins(capsys, tmp_path):
    with ticker.watch(tmp_path / "log.jsonl") as on_progress:
        on_progress(Progress("reading", 1, 4, words="headers"))
        on_progress(Progress("training", 1, 4))
        on_progress(Progress("training", 2, 4))
    assert lines(capsys) == [
        "reading headers 1/4 25 %",
        f"log: {tmp_path / 'log.jsonl'}",
        "training 1/4 25 %",
    ]


def test_a_name_cannot_forge_a_line(capsys):
    with ticker.watch() as on_progress:
        on_progress(Progress("choosing", 1, 4, "a\n14:00"))
    assert lines(capsys) == [r"choosing a\n14:00 1/4 25 %"]


def test_stdout_stays_for_results(capsys):
    with ticker.watch() as on_progress:
        on_progress(Progress("reading", 1, 4))
    assert capsys.readouterr().out == ""


def test_of_several_processes_only_the_first_talks(monkeypatch, capsys):
    for name, value in {
        "RANK": 1,
        "WORLD_SIZE": 2,
        "LOCAL_RANK": 1,
        "LOCAL_WORLD_SIZE": 2,
        _TORCHRUN_ID: 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    with ticker.watch() as on_progress:
        on_progress(Progress("reading", 1, 4))
    assert on_progress is ignore
    assert capsys.readouterr() == ("", "")


def test_where_nothing_is_said_of_progress_warnings_stay(monkeypatch, capsys):
    monkeypatch.setattr(ticker._VERBOSITY, "quiet", True)
    with ticker.watch() as on_progress:
        on_progress(Progress("reading", 1, 4))
        on_progress(Progress(WARNING, 1, 1, "a\n14:00"))
    assert capsys.readouterr().err == "warning: a\\n14:00\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_that_nobody_takes_any_more_stops_no_work(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", Gone(terminal=terminal))
    done = []
    with ticker.watch() as on_progress:
        for step in range(3):
            on_progress(Progress("training", step, 3))
            done.append(step)
    assert done == [0, 1, 2]


def bare(drawn):
    """What is drawn, without colours and the like."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)


def test_on_a_terminal_there_are_bars_that_stay(on_terminal):
    terminal = on_terminal()
    with ticker.watch() as on_progress:
        on_progress(Progress("loading PyTorch", 0, 1))
        on_progress(Progress("loading PyTorch", 1, 1))
        on_progress(Progress("reading", 1, 4, words="headers"))
        on_progress(Progress("training", 4, 4, words="both sides hold"))
    last = bare(terminal.getvalue()).rpartition("loading PyTorch")[2]
    assert "reading headers" in last
    assert "4/4" in last
    assert "both sides hold" not in last
    assert last.endswith("\n")


@pytest.mark.parametrize("label", ["[/x]", "[red]", "[link=file:///etc]x"])
def test_on_a_terminal_a_name_is_shown_as_it_is(on_terminal, label):
    terminal = on_terminal()
    with ticker.watch() as on_progress:
        on_progress(Progress("choosing", 1, 4, label))
    assert f"choosing {label}" in bare(terminal.getvalue())


def test_on_a_terminal_the_latest_words_stand_below_the_bars(on_terminal):
    terminal = on_terminal()
    with ticker.watch() as on_progress:
        on_progress(Progress("training", 2, 4, words="both sides hold"))
    assert bare(terminal.getvalue()).rstrip().endswith("\n  both sides hold")


def test_on_a_terminal_the_total_and_the_time_left_are_those_of_the_run(on_terminal, clock):
    terminal = on_terminal()
    with ticker.watch() as on_progress:
        on_progress(Progress("training", 5952, 11872, facts={"seconds_left": 64.0}))
        on_progress(Progress("training", 6100, 6208, facts={"seconds_left": 5.0}))
    last = terminal.getvalue().rpartition("training")[2]
    assert "6,100/6,208" in last
    assert "5 s left" in last


def test_in_80_columns_a_long_name_is_folded_and_neither_bar_nor_count_is_cut(on_terminal, clock):
    terminal = on_terminal()
    with ticker.watch() as on_progress:
        on_progress(Progress("choosing", 8, 8, "adenocarcinoma_left.lower.lobe_stage-2"))
        on_progress(Progress("reading", 156, 156, "headers", {"cached": 156}))
        on_progress(
            Progress("training", 75_008, 150_016, facts={"images_per_second": 82.0, "seconds_left": 3000.0})
        )
    last = bare(terminal.getvalue()).rpartition("choosing")[2]
    assert "\u2026" not in last
    training = next(line for line in last.splitlines() if " 75,008/150,016" in line)
    assert training.startswith("training ")
    assert training.count("\u2501") + training.count("\u2578") + training.count("\u257a") == 20
    assert "82/s" in training
    assert "50 min left" in training
    assert "stage-2" in last


def test_on_a_terminal_a_warning_is_yellow_and_a_note_is_dim(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with ticker.watch() as on_progress:
        on_progress(Progress(NOTE, 1, 1, "by the way"))
        on_progress(Progress(WARNING, 1, 1, "look out"))
    assert "\x1b[2mby the way" in seen.getvalue()
    assert "\x1b[33mwarning: look out" in seen.getvalue()
