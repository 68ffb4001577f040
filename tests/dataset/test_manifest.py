"""Records and their order, which content alone decides."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np

from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.train import train
from medgan.dataset.index import index
from medgan.dataset.manifest import ARRAY, Holdout, Manifest, Record, sort_by_content
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree, untrained


def renamed(source: Source, root: Path) -> Source:
    """The same scans under names in another order."""
    for folder in sorted(source.path.iterdir()):
        (root / folder.name).mkdir(parents=True)
        for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
            shutil.copy(path, root / folder.name / f"{number:03d}.png")
    return Source(path=root)


def rows(manifest: Manifest) -> list[tuple[object, ...]]:
    return [(record.digest, record.label, record.patient, record.split) for record in manifest.training()]


def test_renamed_files_come_in_the_same_order_with_the_same_patients_and_hold_out(tmp_path):
    source = discs(tmp_path / "scans", normal=9, covid=5)
    first, second = index(source), index(renamed(source, tmp_path / "other"))
    assert rows(first) == rows(second)
    assert first.digest == second.digest
    assert [record.path for record in first.training()] != [record.path for record in second.training()]
    assert rows(hold_out(first, Holdout(share=0.3), 1)) == rows(hold_out(second, Holdout(share=0.3), 1))


def test_renamed_files_train_the_same_model(tmp_path):
    source = discs(tmp_path / "scans", normal=9, covid=5)
    wish = Overrides(effort="smoke", size=(16, 24), images=48, features="none", device="cpu")
    runs = [
        train(scans, tmp_path / name, overrides=wish, holdout=0.3).model_digest
        for name, scans in (("a", source), ("b", renamed(source, tmp_path / "other")))
    ]
    assert runs[0] == runs[1]


def test_renamed_files_are_balanced_into_the_same_bytes(tmp_path):
    source = discs(tmp_path / "scans", normal=6, covid=3)
    model = untrained(tmp_path / "model", source)
    for name, scans in (("a", source), ("b", renamed(source, tmp_path / "other"))):
        balance(scans, tmp_path / name, options=BalanceOptions(model=model, no_filter=True))
        (tmp_path / name / "report.html").unlink()  # names the folder it lies in
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_images_of_one_array_file_stay_together():
    """Each file is unpacked once, whatever its images are."""
    chance = np.random.default_rng(0)
    records = [
        Record(path=f"{name}.npz#train/{n}", label="ab"[n % 2], digest=chance.bytes(4).hex(), format=ARRAY)
        for n in range(20)
        for name in "xyz"
    ]
    files = [record.path[0] for record in sort_by_content(records)]
    assert sum(one != other for one, other in pairwise(files)) == 2


def test_the_order_of_what_is_given_does_not_matter():
    records = [
        Record(path=f"{n}.png", label="ab"[n % 2], patient=str(n % 3), digest=str(n)) for n in range(9)
    ]
    assert sort_by_content(records) == sort_by_content(records[::-1])
    assert [record.label for record in sort_by_content(records)] == ["a"] * 5 + ["b"] * 4
