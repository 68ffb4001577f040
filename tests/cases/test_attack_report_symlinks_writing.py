"""Links in a hostile folder: nothing is written where they lead, and nothing outside is read."""

import os

import pytest

from medgan.base import files
from medgan.base.errors import DatasetError, OutputError
from medgan.base.run_folder import ResultCache
from medgan.output.folder import claim_folder, dataset_folder
from medgan.training.runtime import Journal, load_checkpoint, save_checkpoint
from tests.commands.blobs import tree


@pytest.fixture
def precious(tmp_path):
    """A file of the user's, outside the folder that somebody else made."""
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "precious"
    path.write_text("precious")
    return path


def test_a_link_under_the_partial_name_is_not_written_through(tmp_path, precious):
    (tmp_path / "theirs" / ".report.html.partial").symlink_to(precious)
    files.write_text(tmp_path / "theirs" / "report.html", "page")
    assert precious.read_text() == "precious"
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["report.html"]


def test_a_link_under_the_name_itself_is_replaced(tmp_path, precious):
    (tmp_path / "theirs" / "card.md").symlink_to(precious)
    files.write_text(tmp_path / "theirs" / "card.md", "card")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "theirs" / "card.md").is_symlink()


def test_a_link_put_there_while_the_file_is_opened_is_refused(tmp_path, precious, monkeypatch):
    partial = tmp_path / "theirs" / ".a.partial"
    partial.symlink_to(precious)
    monkeypatch.setattr(type(partial), "unlink", lambda *_, **__: None)  # as if planted right after
    with pytest.raises(OutputError, match="File exists"):
        files.write_text(tmp_path / "theirs" / "a", "x")
    assert precious.read_text() == "precious"


def test_a_training_state_is_not_written_through_a_link(tmp_path, precious):
    (tmp_path / "theirs" / ".state.pt.partial").symlink_to(precious)
    save_checkpoint(tmp_path / "theirs" / "state.pt", {"seed": 1})
    assert load_checkpoint(tmp_path / "theirs" / "state.pt") == {"seed": 1}
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    "add",
    [
        lambda path: Journal(path).add({"images_shown": 1}),
        lambda path: ResultCache(path, "key").__setitem__("run", 1),
    ],
)
def test_lines_are_not_added_through_a_link(tmp_path, precious, add):
    (tmp_path / "theirs" / "log.jsonl").symlink_to(precious)
    with pytest.raises(OutputError, match=r"through (a link|links)") as caught:
        add(tmp_path / "theirs" / "log.jsonl")
    assert caught.value.hint
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("name", ["grids/1.png", "model/model.json", "parts/fidelity.json", "images/a/1.png"])
def test_nothing_lands_where_a_link_within_a_folder_leads(tmp_path, name):
    (tmp_path / "mine").mkdir()
    out = tmp_path / "theirs"
    out.mkdir(exist_ok=True)
    (out / name.partition("/")[0]).symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"through (a link|links)"), dataset_folder(out, "sample").lock():
        files.write_text(out / name, "x")
    assert not list((tmp_path / "mine").iterdir())


def test_a_folder_that_is_itself_behind_a_link_is_written_in(tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "large disk")
    with dataset_folder(tmp_path / "out", "sample").lock():
        files.write_text(tmp_path / "out" / "grids" / "1.png", "x")
    assert (tmp_path / "large disk" / "grids" / "1.png").read_text() == "x"


def test_images_do_not_land_where_a_link_leads(tmp_path):
    (tmp_path / "mine").mkdir()
    out = tmp_path / "theirs"
    claim_folder(dataset_folder(out, "sample"), {"command": "sample"})
    (out / "images").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"through (a link|links)"):
        claim_folder(dataset_folder(out, "sample"), {"command": "sample"})
    (out / "images").unlink()
    (out / "images").mkdir()
    (out / "images" / "covid").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"through (a link|links)"):
        claim_folder(dataset_folder(out, "sample"), {"command": "sample"})


def test_a_link_in_place_of_the_staging_folder_is_removed_and_what_it_points_to_stays(tmp_path, precious):
    (tmp_path / "theirs" / ".writing").symlink_to(tmp_path)
    claim_folder(dataset_folder(tmp_path / "theirs", "sample"), {"command": "sample"})
    assert precious.exists()
    assert list(tree(tmp_path / "theirs")) == ["run.json"]


def test_a_file_of_the_folder_is_found_by_its_name(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    (tmp_path / "b.png").symlink_to(tmp_path / "images" / "a.png")  # a link that stays inside
    assert files.resolve_inside(tmp_path, "images/a.png") == tmp_path / "images" / "a.png"
    assert files.resolve_inside(tmp_path, "b.png") == tmp_path / "b.png"


@pytest.mark.parametrize(
    "name",
    [
        "../precious",
        "link",
        "deep/link/precious",
        "pipe",
        "",
        ".",
        "nowhere",
        "a\0b",
        "circle",
        "x" * 300,
        "dev",
    ],
)
def test_what_a_manifest_names_outside_the_folder_is_not_read(tmp_path, precious, name):
    theirs = tmp_path / "theirs"
    (theirs / "deep").mkdir()
    (theirs / "link").symlink_to(precious)
    (theirs / "deep" / "link").symlink_to(tmp_path)
    (theirs / "circle").symlink_to(theirs / "circle")
    (theirs / "dev").symlink_to("/dev/zero")
    os.mkfifo(theirs / "pipe")
    with pytest.raises(DatasetError) as caught:
        files.resolve_inside(theirs, name)
    assert caught.value.hint


def test_an_absolute_path_is_not_read(tmp_path, precious):
    with pytest.raises(DatasetError, match="is not a file of this folder"):
        files.resolve_inside(tmp_path / "theirs", str(precious))
