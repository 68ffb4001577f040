"""A run folder is one command's own, refuses in words what is not this run, and goes on after any stop."""

import pytest

from medgan.base import cache, files
from medgan.base.errors import JobError, ModelError, OutputError, PlanError
from medgan.base.run_folder import ResultCache, RunFolder, list_changes, read_memo
from tests.commands.blobs import tree

RECORD = {"version": 1, "settings": {"command": "sample", "seed": 0}}


def run_in(path, **facts):
    return RunFolder(**{"path": path, "command": "sample", "memos": (".choice.json",), **facts})


def evaluation_in(path):
    return RunFolder(path=path, command="evaluate", record="parts/settings.json")


# --- the record ---


def test_a_new_or_empty_folder_is_nobodys_and_then_the_runs(tmp_path):
    for path in (tmp_path, tmp_path / "a" / "new"):
        run = run_in(path)
        assert run.read() is None
        run.begin(RECORD)
        assert run.read() == RECORD


def test_leftovers_count_for_nothing_and_go_when_the_run_goes_on(tmp_path):
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "half.png").write_bytes(b"half")
    (tmp_path / ".run.json.partial").write_bytes(b"half")
    run = run_in(tmp_path)
    assert run.read() is None
    run.begin(RECORD)
    (tmp_path / ".manifest.csv.partial").write_bytes(b"half")
    run.begin(RECORD)
    assert list(tree(tmp_path)) == ["run.json"]


def test_the_final_record_is_written_last_of_all(tmp_path, monkeypatch):
    run = run_in(tmp_path)
    run.begin(RECORD)
    before = tree(tmp_path)
    (tmp_path / ".choice.json").write_bytes(b"{}")

    def stop(path, value):
        assert list(tree(tmp_path)) == ["run.json"]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            run.finish({**RECORD, "complete": True})
    assert tree(tmp_path) == before
    run.finish({**RECORD, "complete": True})
    assert run.read() == {**RECORD, "complete": True}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("thesis.txt", "precious", "it has no run.json"),
        ("run.json", "", "run.json cannot be read"),
        ("run.json", "[]", "run.json cannot be read"),
        ("run.json", "[" * 200_000, "run.json cannot be read"),
        ("run.json", '{"version": 1e400}', "run.json cannot be read"),
        ("run.json", '{"version": "1"}', "version should be a whole number"),
        ("run.json", '{"settings": {"command": "balance"}}', "medgan balance began it"),
        ("run.json", '{"plan": {}}', "medgan train began it"),
    ],
)
def test_what_is_not_this_run_is_refused_in_one_sentence_and_stays(tmp_path, name, text, words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty, and medgan sample cannot continue it") as caught:
        run_in(tmp_path).read()
    assert words in caught.value.message
    assert "nothing is ever overwritten" in caught.value.hint
    assert (tmp_path / name).read_text(encoding="utf-8") == text


def test_a_command_says_what_its_record_needs(tmp_path):
    def check(record):
        files.from_json(str, record.get("data"), "data")

    run = run_in(tmp_path, check=check)
    run.begin(RECORD)
    with pytest.raises(OutputError, match="data should be text, not null"):
        run.read()


def test_a_newer_version_is_told_as_such(tmp_path):
    run_in(tmp_path).begin({**RECORD, "version": 99})
    with pytest.raises(OutputError, match="was written by a newer medgan"):
        run_in(tmp_path).read()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        run_in(tmp_path / "file").read()


@pytest.mark.parametrize("left", [None, b"", bytes(40), b"[]"])
def test_a_record_in_a_folder_of_its_own_may_be_lost(tmp_path, left):
    (tmp_path / "parts").mkdir()
    if left is not None:
        (tmp_path / "parts" / "settings.json").write_bytes(left)
    assert evaluation_in(tmp_path).read() == {}
    evaluation_in(tmp_path).begin({"seed": 3})
    assert evaluation_in(tmp_path).read() == {"seed": 3}


def test_a_record_in_a_folder_of_its_own_is_missed_where_that_folder_is_missing(tmp_path):
    (tmp_path / "evaluation.json").touch()
    with pytest.raises(OutputError, match="it has no parts/settings"):
        evaluation_in(tmp_path).read()


def test_differences_are_named_and_the_next_step_too(tmp_path):
    before = {"seed": 0, "format": "png", "labels": ["a", "b"], "limit": None, "on": True}
    now = {"seed": 4, "format": "nifti", "labels": ("a",), "limit": 2, "on": True, "newer": 1}
    changes = list_changes(before, now)
    assert changes == [
        "seed was 0, is now 4",
        "format was png, is now nifti",
        'labels was ["a", "b"], is now ["a"]',
        "limit was not given, is now 2",
    ]
    run_in(tmp_path).refuse_changes(list_changes(before, {"on": True}))
    with pytest.raises(
        OutputError, match="holds another run of medgan sample: seed was 0, is now 4; "
    ) as told:
        run_in(tmp_path).refuse_changes(changes)
    assert told.value.hint == "Repeat the command as it was to continue that run, or choose another --out."
    assert len(list_changes({"data": "x" * 999}, {"data": "y" * 999})[0]) < 200


# --- the lock ---


def test_a_folder_is_one_commands_own_while_it_lasts(tmp_path):
    out = tmp_path / "a" / "out"
    with run_in(out).lock():
        with pytest.raises(OutputError, match="another command is writing into"), evaluation_in(out).lock():
            pass
        with run_in(tmp_path / "other").lock():
            pass
    with run_in(out).lock():
        pass


def test_a_disk_without_locks_holds_nobody_up(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(cache, "acquire_lock", refuse)
    with run_in(tmp_path / "out").lock(), run_in(tmp_path / "out").lock():
        pass


def test_a_folder_that_a_refused_command_made_is_gone_and_what_was_there_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").touch()
    for name in ("new", "mine"):
        with pytest.raises(PlanError), run_in(tmp_path / name).lock():
            raise PlanError("no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]
    with pytest.raises(OutputError, match="is a file, not a folder"), run_in(tmp_path / "file").lock():
        pass


def refused(run, names, error):
    """A run that begins, leaves files of these names and ends with an error."""
    with run.lock():
        run.begin(RECORD)
        for name in names:
            (run.path / name).parent.mkdir(exist_ok=True)
            (run.path / name).touch()
        raise error


@pytest.mark.parametrize("run", [run_in, evaluation_in])
def test_a_run_that_is_refused_before_it_wrote_anything_is_forgotten(tmp_path, run):
    out = tmp_path / "out"
    with pytest.raises(ModelError):
        refused(run(out), run(out).memos, ModelError("no"))
    assert not out.exists()


@pytest.mark.parametrize("error", [OutputError("the disk is full"), JobError("ended"), KeyboardInterrupt()])
def test_a_run_that_may_be_repeated_is_not_forgotten(tmp_path, error):
    out = tmp_path / "out"
    with pytest.raises(type(error)):
        refused(run_in(out), [".choice.json"], error)
    assert sorted(tree(out)) == [".choice.json", "run.json"]


@pytest.mark.parametrize(
    ("run", "name"), [(run_in, "images/a.png"), (run_in, "log.jsonl"), (evaluation_in, "parts/choice.jsonl")]
)
def test_a_refusal_after_work_forgets_nothing(tmp_path, run, name):
    out = tmp_path / "out"
    with pytest.raises(PlanError):
        refused(run(out), [name], PlanError("no"))
    assert sorted(tree(out)) == sorted([name, run(out).record])


# --- partial results ---


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", bytes(9).decode()])
def test_a_memo_that_cannot_be_read_is_empty(tmp_path, text):
    if text is not None:
        (tmp_path / "memo.json").write_text(text, encoding="utf-8")
    assert read_memo(tmp_path / "memo.json") == {}
    files.write_json(tmp_path / "memo.json", {"a": 1})
    assert read_memo(tmp_path / "memo.json") == {"a": 1}


def test_runs_outlive_the_process(tmp_path):
    ResultCache(tmp_path / "new" / "runs.jsonl", "a")["cnn/real"] = [[0.5, 1.0]]
    again = ResultCache(tmp_path / "new" / "runs.jsonl", "a")
    assert again == {"cnn/real": [[0.5, 1.0]]}


def test_runs_of_other_images_count_for_nothing(tmp_path):
    ResultCache(tmp_path / "runs.jsonl", "a")["cnn/real"] = 1
    other = ResultCache(tmp_path / "runs.jsonl", "b")
    assert not other
    other["cnn/real"] = 2
    assert ResultCache(tmp_path / "runs.jsonl", "a") == {"cnn/real": 1}
    assert ResultCache(tmp_path / "runs.jsonl", "b") == {"cnn/real": 2}


def test_a_line_that_was_cut_short_costs_that_run_alone(tmp_path):
    path = tmp_path / "runs.jsonl"
    kept = ResultCache(path, "a")
    kept["one"], kept["two"] = 1, 2
    path.write_bytes(path.read_bytes()[:-4])
    after = ResultCache(path, "a")
    assert after == {"one": 1}
    after["three"] = 3
    assert ResultCache(path, "a") == {"one": 1, "three": 3}


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_damaged_runs_count_as_none(tmp_path, text):
    (tmp_path / "runs.json").write_text(text, encoding="utf-8")
    assert len(ResultCache(tmp_path / "runs.json", "a key")) == 0
