import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from medgan.base.errors import DatasetError
from medgan.evaluation.usefulness.predictions import Predictions
from medgan.reports import exhibits

SAID = Predictions(
    names=("normal", "rare"),
    rare=("rare",),
    arms=(("cnn", "real"), ("cnn", "share 0.25")),
    truth=np.array([0, 1, 0]),
    probabilities=np.full((2, 3, 2), 0.5, np.float32),
)


def kept(folder, said=SAID):
    """Exhibits of three images."""
    exhibits.write_exhibits(
        folder, list(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 1, 2, 2)), {"walls": []}, said
    )
    return folder / exhibits._FILE


def changed(path, **arrays):
    """The same file with other arrays."""
    with np.load(path) as there:
        np.savez(path, **{**there, **arrays})


def test_what_is_kept_comes_back(tmp_path):
    kept(tmp_path)
    found = exhibits.read_exhibits(tmp_path)
    assert found.images([2, 0]).shape == (2, 1, 2, 2)
    assert found.images([2])[0, 0, 1, 1] == 1
    assert found.facts["walls"] == []
    said = found.predictions
    assert (said.names, said.rare, said.arms) == (SAID.names, SAID.rare, SAID.arms)
    for name in ("truth", "probabilities"):
        np.testing.assert_array_equal(getattr(said, name), getattr(SAID, name))


def test_equal_exhibits_are_equal_files(tmp_path):
    first = kept(tmp_path).read_bytes()
    assert kept(tmp_path).read_bytes() == first


def test_without_usefulness_nothing_was_said(tmp_path):
    kept(tmp_path, None)
    assert exhibits.read_exhibits(tmp_path).predictions is None


def test_where_there_is_no_file_there_is_nothing_to_show(tmp_path):
    found = exhibits.read_exhibits(tmp_path)
    assert (len(found.stored), found.facts, found.predictions) == (0, {}, None)


def test_exhibits_of_another_folder_are_not_shown_through_a_link(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    (theirs / "exhibits.npz").symlink_to(kept(mine))
    with pytest.raises(DatasetError, match=r"exhibits\.npz is not a file of this folder"):
        exhibits.read_exhibits(theirs)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    "arrays",
    [
        {"pixels": np.zeros((3, 1, 2, 2))},
        {"pixels": np.zeros(3, np.uint8)},
        {"facts": np.array("[]")},
        {"facts": np.array("{")},
        {"facts": np.array("[" * 100_000)},
        {"facts": np.array('{"predictions": 3}')},
        {"facts": np.array('{"predictions": {"names": ["a"], "rare": [], "arms": []}}')},
        {
            "facts": np.array(
                '{"predictions": {"names": ["a", "b"], "rare": ["c"], "arms": [["x", "y"], ["x", "y"]]}}'
            )
        },
        {"truth": np.array([0, 1, 2])},
        {"truth": np.array([0, 1, -1])},
        {"truth": np.array([0, 1])},
        {"truth": np.array([0, 1, 0.5])},
        {"truth": np.array([[0, 1, 0]])},
        {"probabilities": np.full((2, 3, 2), np.nan)},
        {"probabilities": np.zeros((2, 3, 3))},
        {"probabilities": np.zeros((0, 0, 2))},
    ],
)
def test_arrays_that_do_not_fit_are_told_in_a_sentence(tmp_path, arrays):
    changed(kept(tmp_path), **arrays)
    with pytest.raises(DatasetError, match=r"exhibits\.npz is damaged, or was not written by medgan"):
        exhibits.read_exhibits(tmp_path)


def test_nothing_is_unpickled(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    stream.write(pickle.dumps(Trap()))
    with zipfile.ZipFile(tmp_path / "exhibits.npz", "w") as packed:
        packed.writestr("pixels.npy", stream.getvalue())
    with pytest.raises(DatasetError, match="damaged"):
        exhibits.read_exhibits(tmp_path)


@pytest.mark.parametrize("shape", [(10**13, 1, 64, 64), (2**62, 1, 1, 1), (20000, 1, 128, 128)])
def test_a_claim_of_many_images_takes_no_memory(tmp_path, shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "exhibits.npz", "w") as packed:
        packed.writestr("pixels.npy", stream.getvalue() + bytes(100))
        packed.writestr("facts.npy", b"")
    with pytest.raises(DatasetError, match="damaged"):
        exhibits.read_exhibits(tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(exhibits, "_MAX_BYTES", 2**20)
    np.savez_compressed(
        tmp_path / "exhibits.npz", pixels=np.zeros((2**21, 1, 1, 1), np.uint8), facts=np.array(json.dumps({}))
    )
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(DatasetError, match="claims more than 1 MiB"):
        exhibits.read_exhibits(tmp_path)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(40)])
def test_a_file_that_is_no_archive_is_told_in_a_sentence(tmp_path, data):
    (tmp_path / "exhibits.npz").write_bytes(data)
    with pytest.raises(DatasetError, match="damaged"):
        exhibits.read_exhibits(tmp_path)


@pytest.mark.parametrize("rows", [[3], [-1], ["a"], [0.5], [True], "01", 3, None])
def test_a_row_that_is_not_there_is_told_in_a_sentence(tmp_path, rows):
    kept(tmp_path)
    with pytest.raises(DatasetError, match="damaged"):
        exhibits.read_exhibits(tmp_path).images(rows)
