"""`sample` and `balance` choose among more seeds than they write, report it, and stop at copies."""

import csv
import io
import json

import numpy as np
import pytest

from medgan.base import cache
from medgan.base.errors import ModelError, OutputError, PlanError
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.sample import sample
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.filtering import candidates, selection
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import Sample, draw
from medgan.plan import decide_frame
from medgan.preparation.stack import prepare
from tests.commands.blobs import SMALL, discs, rows_of, tree, untrained


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=14, covid=8)


@pytest.fixture(scope="module")
def model(scans, tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("model") / "model", scans)


@pytest.fixture
def unchecked(monkeypatch):
    """No check of classes: the model is untrained, and shows none."""
    monkeypatch.setattr(candidates, "is_network_installed", lambda: False)


def rejected(out):
    with (out / "rejected.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def card(out):
    return (out / "README.md").read_text(encoding="utf-8")


def facts(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def training(scans, tmp_path):
    manifest = index(scans)
    return prepare(manifest, decide_frame(measure(manifest), SMALL), tmp_path / "elsewhere")


@pytest.fixture
def copycat(scans, tmp_path, monkeypatch):
    """A generator that repeats training images of the class, a little noisy, dimmed and shifted, at every
    seed of `share`."""
    stack = training(scans, tmp_path)

    def plant(share):
        def copying(model, label, seeds, *, device="auto"):
            rows = stack.rows_of(label)
            for seed, drawn in zip(seeds, draw(model, label, seeds, device=device), strict=True):
                chance = np.random.default_rng(seed)
                if chance.random() >= share:
                    yield drawn
                    continue
                image = stack.images([int(chance.choice(rows))])[0]
                image = np.roll(0.9 * image, 1, axis=2) + 0.03 * image.std() * chance.normal(size=image.shape)
                pixels = np.clip(image, 0, 1).astype(np.float32)
                yield Sample(pixels=pixels, label=label, seed=seed, model=drawn.model)

        monkeypatch.setattr(candidates, "draw", copying)

    return plant


# --- a planted fault ---


def test_a_copycat_stops_balance_with_advice_and_leaves_nothing(scans, model, tmp_path, copycat):
    copycat(1.0)
    with pytest.raises(ModelError, match=r"\d+ of 20 images drawn of class covid are near copies") as stopped:
        balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert "--no-filter" in stopped.value.hint
    assert "shorter" in stopped.value.hint
    assert not (tmp_path / "out").exists()
    balance(
        scans, tmp_path / "out", options=BalanceOptions(model=model, no_filter=True)
    )  # the folder is free


@pytest.mark.usefixtures("unchecked")
def test_a_few_copies_are_rejected_named_and_never_written(scans, model, tmp_path, copycat):
    copycat(0.1)
    out = tmp_path / "out"
    balance(scans, out, options=BalanceOptions(model=model, target=30))
    copies = [line for line in rejected(out) if line["reason"] == "copy"]
    assert copies
    assert not {(row["label"], row["seed"]) for row in rows_of(out)} & {
        (line["label"], line["seed"]) for line in copies
    }
    for line in copies:
        assert (out / "images" / line["label"] / f"{line['nearest_real']}.png").exists()
        assert float(line["nearest_distance"]) < 0.05
    counts = facts(out)["filter"]["counts"]
    assert sum(one["copy"] for one in counts.values()) == len(copies)
    assert "This is a screen, not a proof" in card(out)


@pytest.mark.usefixtures("unchecked")
def test_an_honest_generator_is_not_stopped(scans, model, tmp_path):
    written = balance(scans, tmp_path / "out", options=BalanceOptions(model=model))
    assert written.filter["counts"]["covid"]["copy"] == 0
    assert written.written["covid"] == 5


# --- what is told ---


def test_every_synthetic_row_has_its_scores(scans, model, tmp_path):
    out = tmp_path / "out"
    balance(scans, out, options=BalanceOptions(model=model))
    for row in rows_of(out):
        scores = [row[name] for name in ("nearest_real", "nearest_distance", "class_odds", "realism")]
        if row["origin"] == "real":
            assert [row["filter"], *scores] == [""] * 5
        else:
            assert row["filter"] in {"kept", "in-doubt"}
            assert all(scores)
            assert np.isfinite(float(row["class_odds"]))
            assert (out / "images" / row["label"]).exists()
            assert list((out / "images").rglob(f"{row['nearest_real']}.png"))


@pytest.mark.usefixtures("unchecked")
def test_the_nearest_distance_of_the_manifest_is_that_to_the_named_image(scans, model, tmp_path):
    from medgan.scans import formats
    from medgan.similarity.nearest import _FINE, _pair_correlation, to_gray

    out = tmp_path / "out"
    balance(scans, out, options=BalanceOptions(model=model))
    row = next(row for row in rows_of(out) if row["seed"])
    (real,) = (out / "images").rglob(f"{row['nearest_real']}.png")
    ours, theirs = (formats.read(path).pixels[:, None] / 255 for path in (out / row["path"], real))
    apart = (
        1
        - _pair_correlation(
            to_gray(ours.astype(np.float32), _FINE), to_gray(theirs.astype(np.float32), _FINE)
        )[0]
    )
    assert float(row["nearest_distance"]) == pytest.approx(apart, abs=0.01)  # eight bits


def test_kept_and_rejected_are_all_candidates(scans, model, tmp_path):
    out = tmp_path / "out"
    sample(model, out, options=DrawOptions(label=["covid"], count=5, seed=7, against=scans.path))
    seeds = [int(row["seed"]) for row in (*rows_of(out), *rejected(out))]
    drawn = facts(out)["filter"]["counts"]["covid"]["drawn"]
    assert sorted(seeds) == list(range(7, 7 + drawn))
    assert {row["reason"] for row in rejected(out)} <= {"copy", "class", "realism", "surplus"}


def test_without_the_filter_the_first_seeds_are_written_and_the_card_says_so(scans, model, tmp_path):
    out = tmp_path / "out"
    balance(scans, out, options=BalanceOptions(model=model, no_filter=True))
    assert {row["seed"] for row in rows_of(out)} == {"", *map(str, range(5))}
    assert {row["filter"] for row in rows_of(out) if row["seed"]} == {"off"}
    assert "The filter was off" in card(out)
    assert not (out / "rejected.csv").exists()
    assert facts(out)["filter"]["on"] is False


# --- what sample compares with ---


def test_without_training_images_the_card_says_what_was_not_checked(model, tmp_path):
    out = tmp_path / "out"
    written = sample(model, out, options=DrawOptions(count=4))
    assert written.filter["checks"] == []
    assert "Near copies and classes were not checked" in card(out)
    assert "--against" in card(out)
    assert {row["nearest_real"] for row in rows_of(out)} == {""}
    assert {row["filter"] for row in rows_of(out)} == {"kept"}


def test_training_images_in_the_cache_are_found_by_the_model_alone(scans, model, tmp_path):
    manifest = index(scans)
    prepare(manifest, Model.load(model).plan.frame, cache.stacks_folder())
    by_cache = sample(model, tmp_path / "cached", options=DrawOptions(count=4))
    by_name = sample(model, tmp_path / "named", options=DrawOptions(count=4, against=scans.path))
    assert by_cache.filter == by_name.filter
    assert by_cache.filter["compared_with"] == manifest.digest
    assert by_cache.filter["checks"] == ["copy", "class"]


def test_other_scans_than_the_model_learned_from_are_told_apart(model, tmp_path):
    other = discs(tmp_path / "other", split="train", normal=9, covid=7)
    sample(model, tmp_path / "out", options=DrawOptions(count=4, against=other.path))
    assert "not those that the model was trained on" in card(tmp_path / "out")


def test_scans_of_which_training_held_some_out_are_what_the_model_learned_from(scans, tmp_path):
    model = untrained(tmp_path / "model", scans, holdout=0.3, training_seed=4)
    sample(model, tmp_path / "out", options=DrawOptions(count=4, against=scans.path, holdout=0.3))
    assert facts(tmp_path / "out")["filter"]["compared_with"] == Model.load(model).data_digest
    assert "not those that the model was trained on" not in card(tmp_path / "out")
    for holdout in (0.0, 0.2):
        with pytest.raises(OutputError, match="holdout was"):
            sample(model, tmp_path / "out", options=DrawOptions(count=4, against=scans.path, holdout=holdout))
    with pytest.raises(PlanError, match="--holdout needs --against"):
        sample(model, tmp_path / "other", options=DrawOptions(count=4, holdout=0.3))


def test_where_nothing_is_wanted_nothing_is_looked_at(scans, model, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates.ReferenceSet, "of", lambda *_, **__: 1 / 0)
    out = balance(scans, tmp_path / "out", options=BalanceOptions(model=model, share=0)).out
    assert facts(out)["filter"]["counts"] == {}
    assert rejected(out) == []


def test_with_few_patients_copies_are_not_looked_for_and_that_is_said(tmp_path):
    few = discs(tmp_path / "few", normal=2, covid=2)
    sample(
        untrained(tmp_path / "model", few), tmp_path / "out", options=DrawOptions(count=4, against=few.path)
    )
    assert facts(tmp_path / "out")["filter"]["checks"] == []
    assert "not done for covid, normal" in card(tmp_path / "out")
    assert "a copy cannot be told from a likeness" in card(tmp_path / "out")


def test_comparing_without_the_filter_is_refused(scans, model, tmp_path):
    with pytest.raises(PlanError, match="--against needs the filter"):
        sample(model, tmp_path / "out", options=DrawOptions(against=scans.path, no_filter=True))


# --- seeds ---


def test_the_same_command_chooses_the_same_seeds(scans, model, tmp_path):
    for name in ("one", "two"):
        sample(model, tmp_path / name, options=DrawOptions(count=4, against=scans.path))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_kept_image_is_the_one_that_its_seed_draws(scans, model, tmp_path):
    sample(model, tmp_path / "out", options=DrawOptions(label=["covid"], count=3, against=scans.path))
    row = rows_of(tmp_path / "out")[0]
    sample(
        model,
        tmp_path / "again",
        options=DrawOptions(label=["covid"], count=1, seed=int(row["seed"]), no_filter=True),
    )
    assert rows_of(tmp_path / "again")[0]["pixel_sha256"] == row["pixel_sha256"]


def test_more_are_drawn_where_too_few_pass(scans, model, tmp_path, monkeypatch):
    def picky(pixels, seeds, label, real):
        drawn, points = selection.check_candidates(pixels, seeds, label, real)
        reasons = ("" if one.seed % 20 == 0 else "class" for one in drawn)
        changes = zip(drawn, reasons, strict=True)
        return [selection.replace(one, reason=reason) for one, reason in changes], points

    monkeypatch.setattr(candidates, "check_candidates", picky)
    written = sample(
        model, tmp_path / "out", options=DrawOptions(label=["covid"], count=2, against=scans.path)
    )
    assert (
        written.filter["counts"]["covid"] | {"kept": 2, "drawn": 40, "kept_in_doubt": 0}
        == (written.filter["counts"]["covid"])
    )
    written = sample(
        model, tmp_path / "more", options=DrawOptions(label=["covid"], count=4, against=scans.path)
    )
    assert (
        written.filter["counts"]["covid"]["drawn"],
        written.filter["counts"]["covid"]["kept_in_doubt"],
    ) == (60, 1)
    assert "in-doubt" in {row["filter"] for row in rows_of(tmp_path / "more")}


@pytest.mark.usefixtures("unchecked")
def test_a_choice_stands_after_a_kill_even_if_it_would_now_come_out_otherwise(
    scans, model, tmp_path, monkeypatch
):
    """Sums may be rounded differently with another number of threads: files of a first choice must not lie
    beside a second."""
    from medgan.scans import formats

    out, write, written = tmp_path / "out", formats.write, []

    def broken(*image):
        if len(written) == 23:
            raise KeyboardInterrupt
        written.append(image)
        return write(*image)

    with monkeypatch.context() as patch:
        patch.setattr(formats, "write", broken)
        with pytest.raises(KeyboardInterrupt):
            balance(scans, out, options=BalanceOptions(model=model))
    assert (out / ".choice.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "check_candidates", lambda *_: pytest.fail("chosen again"))
        balance(scans, out, options=BalanceOptions(model=model))
    balance(
        scans, tmp_path / "straight" / "out", options=BalanceOptions(model=model)
    )  # pages name their folder
    assert tree(out) == tree(tmp_path / "straight" / "out")


@pytest.mark.usefixtures("unchecked")
def test_the_choice_does_not_depend_on_how_real_images_are_written(scans, model, tmp_path):
    for real in ("prepared", "none", "link"):
        balance(scans, tmp_path / real, options=BalanceOptions(model=model, real=real))
    seeds = [
        [(row["seed"], row["nearest_real"]) for row in rows_of(tmp_path / real) if row["seed"]]
        for real in ("prepared", "none", "link")
    ]
    assert seeds[0] == seeds[1] == seeds[2]


def test_a_list_of_scans_may_be_compared_with(model, scans, tmp_path, monkeypatch):
    lines = "".join(f"{path}\t{path.parent.name}\n" for path in sorted(scans.path.rglob("*.png")))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    written = sample(model, tmp_path / "out", options=DrawOptions(count=2, against="-"))
    assert written.filter["checks"] == ["copy", "class"]
