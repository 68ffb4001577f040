import pytest

from medgan.evaluation.result_cache import ResultCache


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


def test_finished_runs_are_found_again(tmp_path):
    runs = ResultCache(tmp_path / "runs.json", "a key")
    runs["cnn, real, 0"] = [[0.5, 1.5]]
    assert dict(ResultCache(tmp_path / "runs.json", "a key")) == {"cnn, real, 0": [[0.5, 1.5]]}


def test_runs_of_other_images_or_settings_are_not_taken(tmp_path):
    ResultCache(tmp_path / "runs.json", "a key")["run"] = 1
    assert len(ResultCache(tmp_path / "runs.json", "another key")) == 0


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_damaged_runs_count_as_none(tmp_path, text):
    (tmp_path / "runs.json").write_text(text, encoding="utf-8")
    assert len(ResultCache(tmp_path / "runs.json", "a key")) == 0
