"""Errors as sentences and exit codes, and what is kept of those that nobody expects."""

import pytest

from medgan.base.errors import DatasetError
from medgan.cli import errors


def exit_code_of(error):
    with pytest.raises(SystemExit) as caught, errors.polite_errors(again="Go on."):
        raise error
    return caught.value.code


def test_a_known_problem_is_a_sentence_a_next_step_and_exit_code_1(capsys):
    assert exit_code_of(DatasetError("no scans", hint="Add some.")) == 1
    assert capsys.readouterr() == ("", "error: no scans\nnext: Add some.\n")


def test_a_problem_without_hint_is_one_line(capsys):
    assert exit_code_of(DatasetError("no scans")) == 1
    assert capsys.readouterr().err == "error: no scans\n"


def test_an_interruption_says_how_to_go_on_and_is_130(capsys):
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "error: interrupted\nnext: Go on.\n"


def test_the_unexpected_is_one_line_and_a_log_with_versions_command_and_traceback(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert exit_code_of(ZeroDivisionError("oh")) == 3
    told = capsys.readouterr().err
    (log,) = tmp_path.iterdir()
    assert told == f"error: unexpected ZeroDivisionError; the details are in {log}\n"
    text = log.read_text()
    assert "medgan 0." in text
    assert "torch " in text
    assert "command: " in text
    assert "Traceback (most recent call last)" in text
    assert log.stat().st_mode & 0o077 == 0


def test_a_package_that_is_missing_does_not_spoil_the_log(monkeypatch):
    monkeypatch.setattr(errors.metadata, "version", _not_found)
    assert ("torch", "not installed") in list(errors._versions())


def _not_found(name):
    raise errors.metadata.PackageNotFoundError(name)


def test_nothing_happens_when_nothing_goes_wrong(capsys):
    with errors.polite_errors():
        pass
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_errors_are_coloured(on_terminal):
    terminal = on_terminal()
    assert exit_code_of(DatasetError("no scans", hint="Add some.")) == 1
    assert "\x1b[1;31merror: " in terminal.getvalue()


def test_no_color_holds(on_terminal, monkeypatch):
    terminal = on_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert exit_code_of(DatasetError("no scans", hint="Add some.")) == 1
    assert "31m" not in terminal.getvalue()


def test_a_name_cannot_steer_the_terminal(capsys):
    errors._show_error("bad name \x1b[2J\r[red]x[/red]")
    assert capsys.readouterr().err == "error: bad name \\x1b[2J\\r[red]x[/red]\n"
