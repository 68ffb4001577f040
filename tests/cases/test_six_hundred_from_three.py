"""Whoever writes many images from a few is told so, on the screen and in what he hands on."""

import numpy as np
import pytest

from medgan.base.progress import WARNING
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.plan import Overrides
from tests.commands.blobs import discs, untrained

QUICK = Overrides(effort="smoke", size=(16, 16), images=32, batch=8, device="cpu", features="none")


@pytest.fixture
def few(tmp_path):
    """An array of 70 images of one class and 3 of the other."""
    images = np.random.default_rng(0).integers(0, 256, (73, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", train_images=images, train_labels=np.array([[0]] * 70 + [[1]] * 3))
    return Source(path=tmp_path / "d.npz")


def warnings(command):
    told = []
    command(told.append)
    return "\n".join(one.words for one in told if one.stage == WARNING)


def test_balance_and_its_data_card_name_the_class_of_three(few, tmp_path):
    options = BalanceOptions(target=20, no_filter=True)
    text = warnings(
        lambda told: balance(few, tmp_path / "out", options=options, overrides=QUICK, on_progress=told)
    )
    assert "Class 1 has only 3 images" in text
    assert "near copies" in text
    for card in (tmp_path / "out" / "README.md", tmp_path / "out.run" / "model" / "card.md"):
        assert "Class 1 has only 3 images" in card.read_text(encoding="utf-8")


def test_training_names_them_before_any_time_is_spent(few, tmp_path):
    text = warnings(
        lambda told: train(few, tmp_path / "run", overrides=QUICK, dry_run=True, on_progress=told)
    )
    assert "Class 1 has only 3 images" in text


def test_a_model_at_hand_is_no_reason_to_be_silent(tmp_path):
    source = discs(tmp_path / "scans", normal=12, covid=4)
    model = untrained(tmp_path / "model", source)
    options = BalanceOptions(model=model, no_filter=True)
    text = warnings(lambda told: balance(source, tmp_path / "out", options=options, on_progress=told))
    assert "Classes are small: covid has 4 images" in text
    assert "covid has 4 images" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_folder_without_synthetic_images_has_no_copies_to_warn_of(tmp_path):
    source = discs(tmp_path / "scans", normal=5, covid=4)
    model = untrained(tmp_path / "model", source)
    balance(source, tmp_path / "out", options=BalanceOptions(model=model, share=0, no_filter=True))
    assert "near copies. Add scans" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
