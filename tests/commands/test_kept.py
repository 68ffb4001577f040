from medgan.commands.kept import Kept


def test_runs_outlive_the_process(tmp_path):
    Kept(tmp_path / "new" / "runs.jsonl", "a")["cnn/real"] = [[0.5, 1.0]]
    again = Kept(tmp_path / "new" / "runs.jsonl", "a")
    assert again == {"cnn/real": [[0.5, 1.0]]}


def test_runs_of_other_images_count_for_nothing(tmp_path):
    Kept(tmp_path / "runs.jsonl", "a")["cnn/real"] = 1
    other = Kept(tmp_path / "runs.jsonl", "b")
    assert not other
    other["cnn/real"] = 2
    assert Kept(tmp_path / "runs.jsonl", "a") == {"cnn/real": 1}
    assert Kept(tmp_path / "runs.jsonl", "b") == {"cnn/real": 2}


def test_a_line_that_was_cut_short_costs_that_run_alone(tmp_path):
    path = tmp_path / "runs.jsonl"
    kept = Kept(path, "a")
    kept["one"], kept["two"] = 1, 2
    path.write_bytes(path.read_bytes()[:-4])
    after = Kept(path, "a")
    assert after == {"one": 1}
    after["three"] = 3
    assert Kept(path, "a") == {"one": 1, "three": 3}
