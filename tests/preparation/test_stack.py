"""Training images are decoded, scaled and resized once, into a private, memory-mapped cache."""

import ctypes
import dataclasses
import json
import mmap
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError, OutputError
from medgan.base.job import Job
from medgan.base.progress import WARNING
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import sort_by_content
from medgan.dataset.source import Source
from medgan.plan import Frame, Overrides, decide_frame
from medgan.preparation import stack as module
from medgan.preparation import stack_file
from medgan.preparation.stack import Stack, find_stack, prepare
from medgan.scans.scan import OutputFormat
from tests.commands.blobs import discs


@pytest.fixture
def scans(tmp_path):
    """Five and three 16 x 24 images."""
    return index(discs(tmp_path / "scans", normal=5, covid=3))


def frame_of(manifest, **changes) -> Frame:
    frame = decide_frame(measure(manifest), Overrides(size=(16, 24)))
    return dataclasses.replace(frame, **changes)


def gray(path: Path, values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def rows_of(root: Path, **changes):
    """The stack of a small data set written by the test."""
    manifest = index(Source(path=root))
    return prepare(manifest, frame_of(manifest, **changes), root.parent / "cache")


# --- what a row is ---


def test_an_image_of_the_right_size_is_kept_to_the_last_bit(scans, tmp_path):
    stack = prepare(scans, frame_of(scans), tmp_path / "cache")
    assert stack.pixels.shape == (8, 1, 16, 24)
    for row, record in enumerate(scans.training()):
        stored = np.asarray(Image.open(scans.root / record.path))
        np.testing.assert_array_equal(stack.pixels[row, 0], stored.astype(np.uint16) * 257)


def test_rows_tell_their_class_record_and_slice(scans, tmp_path):
    stack = prepare(scans, frame_of(scans), tmp_path / "cache")
    assert stack.names == ("covid", "normal")
    assert [stack.names[label] for label in stack.labels] == [r.label for r in scans.training()]
    assert stack.records.tolist() == list(range(8))
    assert stack.patients.tolist() == [record.patient for record in scans.training()]
    assert stack.slices.tolist() == [0] * 8
    assert stack.rows_of("covid").tolist() == [0, 1, 2]
    assert len(stack) == 8


def test_the_scans_that_are_asked_for_are_prepared_and_no_others(tmp_path):
    for split, first in (("train", 10), ("val", 100)):
        for n in range(3):
            values = np.tile(np.arange(24) * 9, (16, 1))
            values[0, 0] = first + n
            gray(tmp_path / "scans" / split / "covid" / f"{n}.png", values)
    manifest = index(Source(path=tmp_path / "scans"))
    frame, place = frame_of(manifest), tmp_path / "cache"
    held_out = sort_by_content(manifest.usable("val"))
    stack = prepare(manifest, frame, place, records=held_out)
    shown = {round(float(image[0, 0, 0]) * 255) for image in stack.images(slice(None))}
    assert shown == {100, 101, 102}
    assert [held_out[n].split for n in stack.records] == ["val"] * 3
    assert find_stack(manifest.digest, frame, place) is None  # training takes none of it
    assert len(prepare(manifest, frame, place)) == 3
    assert find_stack(manifest.digest, frame, place) is not None


def test_images_are_between_zero_and_one_and_come_in_pieces(scans, tmp_path):
    stack = prepare(scans, frame_of(scans), tmp_path / "cache")
    images = stack.images([0, 3])
    assert (images.shape, images.dtype) == ((2, 1, 16, 24), np.float32)
    assert 0 <= images.min() < images.max() <= 1
    pieces = list(stack.chunks(size=3))
    assert [len(rows) for rows, _ in pieces] == [3, 3, 2]
    np.testing.assert_array_equal(np.concatenate([part for _, part in pieces]), stack.images(slice(None)))
    ((rows, _),) = stack.chunks(stack.rows_of("covid"))
    assert rows.tolist() == [0, 1, 2]


def test_every_chosen_slice_of_a_volume_is_a_row(tmp_path):
    nib = pytest.importorskip("nibabel")
    chance = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "scans" / label).mkdir(parents=True)
        volume = chance.normal(100, 20, (12, 10, 6)).astype(np.float32)
        nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "scans" / label / "x.nii")
    manifest = index(Source(path=tmp_path / "scans"))
    stack = prepare(manifest, frame_of(manifest), tmp_path / "cache")
    first, second = manifest.training()
    assert stack.slices.tolist() == [*first.slices, *second.slices]
    assert stack.records.tolist() == [0] * len(first.slices) + [1] * len(second.slices)


# --- scale ---


def test_extremes_are_clipped_before_they_can_bleed_into_their_neighbours(tmp_path):
    image = np.full((32, 48), 100)
    image[::8, ::8] = 255
    gray(tmp_path / "s" / "a" / "0.png", image), gray(tmp_path / "s" / "b" / "0.png", image.T + 0 * image.T)
    form = OutputFormat(format="png", low=0.0, high=100.0, unit="stored")
    stack = rows_of(tmp_path / "s", form=form, geometry="stretch")
    assert stack.pixels.min() == stack.pixels.max() == 65535


def test_a_fixed_scale_is_the_same_for_every_scan(tmp_path):
    for label, level in {"a": 50, "b": 200}.items():
        gray(tmp_path / "s" / label / "0.png", np.full((16, 24), level) + np.eye(16, 24))
    stack = rows_of(tmp_path / "s", form=OutputFormat(format="png", low=0, high=255, unit="stored"))
    np.testing.assert_allclose(stack.images([0, 1]).mean((1, 2, 3)) * 255, [50, 200], atol=0.1)


def test_arbitrary_units_are_scaled_scan_by_scan(tmp_path):
    nib = pytest.importorskip("nibabel")
    ramp = np.linspace(0, 1, 24 * 16).reshape(24, 16, 1)
    for label, gain in {"a": 10.0, "b": 9000.0}.items():
        (tmp_path / "s" / label).mkdir(parents=True)
        image = nib.Nifti1Image((ramp * gain + gain).astype(np.float32), np.eye(4))
        nib.save(image, tmp_path / "s" / label / "0.nii")
    stack = rows_of(tmp_path / "s", geometry="stretch")
    np.testing.assert_allclose(stack.images([0]), stack.images([1]), atol=2e-5)
    assert stack.images([0]).min() == 0
    assert stack.images([0]).max() == 1


def test_slices_of_one_volume_share_their_scale(tmp_path):
    nib = pytest.importorskip("nibabel")
    ramp = np.linspace(0, 1, 24 * 16).reshape(24, 16, 1)
    gains = 100.0 * np.arange(1, 7)
    for label, offset in {"a": 0, "b": 7}.items():
        (tmp_path / "s" / label).mkdir(parents=True)
        image = nib.Nifti1Image((ramp * gains + offset).astype(np.float32), np.eye(4))
        nib.save(image, tmp_path / "s" / label / "0.nii")
    stack = rows_of(tmp_path / "s", geometry="stretch")
    means = stack.images(stack.rows_of("a")).mean((1, 2, 3))
    places = stack.slices[stack.rows_of("a")]
    np.testing.assert_allclose(means / means[0], gains[places] / gains[places[0]], rtol=0.02)
    assert len(set(places)) > 2


# --- geometry ---


def test_physical_geometry_keeps_millimetres_and_pads_with_background(ct, tmp_path):
    ct("s/a/1.dcm", 1, PixelSpacing=["1", "1"]), ct("s/b/1.dcm", 2, PixelSpacing=["2", "2"])
    stack = rows_of(tmp_path / "s", geometry="physical", mm_per_pixel=1.0, size=(32, 32))
    small, large = stack.images([0])[0, 0], stack.images([1])[0, 0]
    assert box(small) == (10, 22, 11, 21)  # 12 x 10 mm about the centre
    assert box(large) == (4, 28, 6, 26)  # 24 x 20 mm


def box(image):
    """First and last row and column of what is no background."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_stretched_geometry_fills_the_image(ct, tmp_path):
    ct("s/a/1.dcm", 1, PixelSpacing=["1", "1"]), ct("s/b/1.dcm", 2, PixelSpacing=["2", "2"])
    stack = rows_of(tmp_path / "s", geometry="stretch", mm_per_pixel=None, size=(32, 32))
    assert [box(stack.images([row])[0, 0]) for row in (0, 1)] == [(0, 32, 0, 32)] * 2


@pytest.fixture
def ct(tmp_path):
    """A CT slice of 12 x 10 bright pixels."""
    from tests.dataset.conftest import ct as fixture

    return fixture.__wrapped__(tmp_path)


def test_colour_becomes_gray_by_its_luminance_and_gray_becomes_colour(tmp_path):
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = np.arange(24) * 10
    gray(tmp_path / "s" / "a" / "0.png", red), gray(tmp_path / "s" / "b" / "0.png", red[..., 0])
    one = rows_of(tmp_path / "s", channels=1, form=OutputFormat(format="png", low=0, high=255, unit="stored"))
    np.testing.assert_allclose(one.images([0]), one.images([1]) * 0.299, atol=2e-5)
    three = rows_of(
        tmp_path / "s", channels=3, form=OutputFormat(format="png", low=0, high=255, unit="stored")
    )
    assert three.pixels.shape == (2, 3, 16, 24)
    np.testing.assert_array_equal(three.pixels[1, 0], three.pixels[1, 2])
    assert three.pixels[0, 1:].max() == 0


# --- the cache ---


def test_the_cache_is_private_and_memory_mapped(scans, tmp_path):
    stack = prepare(scans, frame_of(scans), tmp_path / "cache")
    assert isinstance(stack.pixels, np.memmap)
    assert not stack.pixels.flags.writeable
    if sys.platform != "win32":
        (folder,) = (tmp_path / "cache").iterdir()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache", folder)] == [0o700] * 2


def test_a_second_time_nothing_is_decoded(scans, tmp_path, monkeypatch):
    first = prepare(scans, frame_of(scans), tmp_path / "cache")
    monkeypatch.setattr(module, "load", None)
    again = prepare(scans, frame_of(scans), tmp_path / "cache")
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.pixels, first.pixels)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"span": (0.2, 0.8)}, True),
        ({"size": (24, 24)}, False),
        ({"channels": 3}, False),
        ({"form": OutputFormat(format="png", low=0, high=99, unit="stored")}, False),
    ],
    ids=["span", "size", "channels", "scale"],
)
def test_the_key_follows_what_decides_the_pixels_and_nothing_else(scans, tmp_path, change, same):
    first = prepare(scans, frame_of(scans), tmp_path / "cache")
    other = prepare(scans, frame_of(scans, **change), tmp_path / "cache")
    assert (first.digest == other.digest) == same


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_cache_is_made_anew(scans, tmp_path, damage):
    first = np.array(prepare(scans, frame_of(scans), tmp_path / "cache").pixels)
    (file,) = (tmp_path / "cache").rglob("*.npy")
    if damage is None:
        np.save(file, first[:3])
    else:
        file.write_bytes(damage)
    np.testing.assert_array_equal(prepare(scans, frame_of(scans), tmp_path / "cache").pixels, first)


def zeroed(file):
    """The file with its header and zeros for pixels."""
    array = np.load(file)
    np.save(file, array * 0)


def other_bit(file):
    data = bytearray(file.read_bytes())
    data[-7] ^= 4
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pixels.npy", zeroed),
        ("pixels.npy", other_bit),
        ("sums", Path.unlink),
        ("sums", other_bit),
        ("sums", lambda file: file.write_bytes(file.read_bytes()[:-4])),
    ],
    ids=["zeros", "a bit", "no sums", "other sums", "too few sums"],
)
def test_damaged_pixels_are_prepared_anew_with_a_word(scans, tmp_path, name, damage):
    frame, cache = frame_of(scans), tmp_path / "cache"
    first = np.array(prepare(scans, frame, cache).pixels)
    (file,) = cache.glob(f"*/{name}")
    damage(file)
    assert find_stack(scans.digest, frame, cache) is None
    told = []
    np.testing.assert_array_equal(prepare(scans, frame, cache, Job(on_progress=told.append)).pixels, first)
    assert ["damaged and are prepared again" in one.words for one in told if one.stage == WARNING] == [True]
    assert find_stack(scans.digest, frame, cache) is not None


def test_a_sound_stack_is_compared_with_its_sums_once_in_a_process(scans, tmp_path, monkeypatch):
    prepare(scans, frame_of(scans), tmp_path / "cache")
    monkeypatch.setattr(stack_file, "_matches_checksum", None)
    prepare(scans, frame_of(scans), tmp_path / "cache")


def begun(scans, tmp_path, monkeypatch):
    """Partial array and checksums of a cache whose process was killed after six of eight scans."""
    monkeypatch.setattr(stack_file, "_REPORT_EVERY", 2)

    def cut(progress):
        if progress.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(scans, frame_of(scans), tmp_path / "cache", Job(on_progress=cut))
    (partial,), (sums,) = (tmp_path / "cache").glob("*/*.partial"), (tmp_path / "cache").glob("*/sums")
    return partial, sums


@pytest.mark.parametrize("lost", [0, 1, 3, 6])
def test_sums_of_more_rows_than_were_written_are_not_believed(scans, tmp_path, monkeypatch, lost):
    straight = np.array(prepare(scans, frame_of(scans), tmp_path / "straight").pixels)
    partial, sums = begun(scans, tmp_path, monkeypatch)
    assert sums.stat().st_size == 6 * 4
    partial.write_bytes(partial.read_bytes()[: partial.stat().st_size - lost * 16 * 24 * 2])
    np.testing.assert_array_equal(prepare(scans, frame_of(scans), tmp_path / "cache").pixels, straight)


def test_zeros_in_a_partial_array_are_prepared_again(scans, tmp_path, monkeypatch):
    straight = np.array(prepare(scans, frame_of(scans), tmp_path / "straight").pixels)
    partial, _ = begun(scans, tmp_path, monkeypatch)
    data = partial.read_bytes()
    partial.write_bytes(data[: -2 * 16 * 24 * 2] + bytes(2 * 16 * 24 * 2))
    load, loaded = module.load, []
    monkeypatch.setattr(module, "load", lambda root, record: loaded.append(record) or load(root, record))
    np.testing.assert_array_equal(prepare(scans, frame_of(scans), tmp_path / "cache").pixels, straight)
    assert len(loaded) == 4  # the four before them stand


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts | {"patients": facts["patients"][::-1]},
        lambda facts: {name: value for name, value in facts.items() if name != "labels"},
        lambda facts: list(facts),
    ],
    ids=["other patients", "no labels", "a list"],
)
def test_facts_of_rows_that_were_changed_are_not_believed(scans, tmp_path, change):
    frame, cache = frame_of(scans), tmp_path / "cache"
    made = prepare(scans, frame, cache)
    (file,) = cache.glob("*/rows.json")
    file.write_text(json.dumps(change(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
    assert find_stack(scans.digest, frame, cache) is None
    prepare(scans, frame, cache)
    np.testing.assert_array_equal(find_stack(scans.digest, frame, cache).patients, made.patients)


def test_a_broken_preparation_goes_on_where_it_was(scans, tmp_path, monkeypatch):
    straight = np.array(prepare(scans, frame_of(scans), tmp_path / "straight").pixels)
    monkeypatch.setattr(stack_file, "_REPORT_EVERY", 2)
    load, loaded = module.load, []

    def breaking(root, record):
        loaded.append(record.path)
        if len(loaded) == 6:
            raise KeyboardInterrupt
        return load(root, record)

    monkeypatch.setattr(module, "load", breaking)
    with pytest.raises(KeyboardInterrupt):
        prepare(scans, frame_of(scans), tmp_path / "cache")
    stack = prepare(scans, frame_of(scans), tmp_path / "cache")
    np.testing.assert_array_equal(stack.pixels, straight)
    assert loaded[6:] == [record.path for record in scans.training()[4:]]  # four were safe
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"stack-{stack.digest[:32]}"]


def test_what_a_power_cut_left_beyond_the_last_safe_scan_is_dropped(scans, tmp_path, monkeypatch):
    straight = np.array(prepare(scans, frame_of(scans), tmp_path / "straight").pixels)
    monkeypatch.setattr(stack_file, "_REPORT_EVERY", 2)

    class PowerCutError(Exception):
        pass

    def cut(progress):
        if progress.done == 4:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        prepare(scans, frame_of(scans), tmp_path / "cache", Job(on_progress=cut))
    (partial,) = (tmp_path / "cache").glob("*/pixels.npy.partial")
    with partial.open("ab") as stream:
        stream.write(b"half a row")
    np.testing.assert_array_equal(prepare(scans, frame_of(scans), tmp_path / "cache").pixels, straight)


def test_who_waits_for_another_takes_what_that_one_made(scans, tmp_path, monkeypatch):
    load, loaded, begun, released = module.load, [], Event(), Event()

    def slow(root, record):
        loaded.append(record.path)
        begun.set()
        assert released.wait(60)
        return load(root, record)

    monkeypatch.setattr(module, "load", slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(prepare, scans, frame_of(scans), tmp_path / "cache")
        assert begun.wait(60)
        second = pool.submit(prepare, scans, frame_of(scans), tmp_path / "cache")
        with pytest.raises(TimeoutError):
            second.result(timeout=0.5)
        released.set()
        np.testing.assert_array_equal(first.result().pixels, second.result().pixels)
    assert len(loaded) == len(scans.training())
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_progress_ends_with_all_scans(scans, tmp_path):
    told = []
    prepare(scans, frame_of(scans), tmp_path / "cache", Job(on_progress=told.append))
    assert [(one.stage, one.done, one.total) for one in told] == [("preparing", 8, 8)]


# --- what is refused ---


def test_a_file_that_has_changed_since_is_refused_by_name(scans, tmp_path):
    gray(scans.root / "covid" / "scan1.png", np.eye(16, 24) * 200)
    with pytest.raises(DatasetError, match=r"covid/scan1\.png has changed"):
        prepare(scans, frame_of(scans), tmp_path / "cache")
    (scans.root / "covid" / "scan1.png").unlink()
    with pytest.raises(DatasetError, match=r"covid/scan1\.png has changed"):
        prepare(scans, frame_of(scans), tmp_path / "cache")


def test_a_class_that_the_images_do_not_have_is_refused(scans, tmp_path):
    with pytest.raises(DatasetError, match="has classes that the images lack: normal"):
        prepare(scans, frame_of(scans, labels=("covid",)), tmp_path / "cache")


def test_values_of_another_kind_are_refused(scans, tmp_path):
    form = OutputFormat(format="dicom", low=-1024, high=3071, unit="HU")
    with pytest.raises(DatasetError, match=r"mixed-content.*scans with HU values.*8 stored"):
        prepare(scans, frame_of(scans, form=form), tmp_path / "cache")


def test_millimetres_need_scans_that_know_them(scans, tmp_path):
    with pytest.raises(
        DatasetError, match="its pixel spacing, which images that are true to millimetres need"
    ):
        prepare(scans, frame_of(scans, geometry="physical", mm_per_pixel=1.0), tmp_path / "cache")


def test_without_training_scans_there_is_nothing_to_prepare(scans, tmp_path):
    empty = dataclasses.replace(scans, records=())
    with pytest.raises(DatasetError, match="No scan is left"):
        prepare(empty, frame_of(scans), tmp_path / "cache")


def test_a_full_disk_is_told(scans, tmp_path, monkeypatch):
    def full(stream):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stack_file, "_flush", full)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        prepare(scans, frame_of(scans), tmp_path / "cache")
    assert "it continues" in caught.value.hint


def test_a_cache_that_is_a_file_is_told(scans, tmp_path):
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError):
        prepare(scans, frame_of(scans), tmp_path / "cache")


# --- found again without the scans ---


def test_a_stack_is_found_by_the_digest_of_its_data_and_is_the_same(scans, tmp_path):
    frame, cache = frame_of(scans), tmp_path / "cache"
    made = prepare(scans, frame, cache)
    found = find_stack(scans.digest, frame, cache)
    assert found.digest == made.digest
    for name in ("pixels", "labels", "records", "patients", "slices"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert found.names == made.names


def test_a_stack_of_other_data_or_of_another_preparation_is_not_found(scans, tmp_path):
    frame, cache = frame_of(scans), tmp_path / "cache"
    prepare(scans, frame, cache)
    assert find_stack("0" * 64, frame, cache) is None
    assert find_stack(scans.digest, dataclasses.replace(frame, size=(32, 48)), cache) is None
    assert find_stack(scans.digest, frame, tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["pixels.npy", "rows.json"])
def test_a_damaged_stack_is_not_found_and_mends(scans, tmp_path, damage):
    frame, cache = frame_of(scans), tmp_path / "cache"
    prepare(scans, frame, cache)
    (file,) = cache.glob(f"*/{damage}")
    file.write_bytes(b"[")
    assert find_stack(scans.digest, frame, cache) is None
    prepare(scans, frame, cache)
    assert find_stack(scans.digest, frame, cache) is not None


def in_memory(pixels, row):
    """Whether the pages of a memory-mapped row are in memory, as Linux tells (mincore)."""
    size = pixels[0].nbytes
    start = pixels.ctypes.data + row * size
    page = start - start % mmap.PAGESIZE
    pages = (ctypes.c_ubyte * ((start - page + size - 1) // mmap.PAGESIZE + 1))()
    there = ctypes.CDLL(None, use_errno=True).mincore
    assert there(ctypes.c_void_p(page), ctypes.c_size_t(start - page + size), pages) == 0
    return all(flags & 1 for flags in pages)


@pytest.mark.skipif(sys.platform != "linux", reason="mincore is Linux's")
def test_rows_that_are_expected_are_read_before_they_are_asked_for(tmp_path):
    np.save(tmp_path / "pixels.npy", np.zeros((4096, 1, 64, 64), np.uint16))
    with (tmp_path / "pixels.npy").open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    nothing = np.zeros(4096, np.int64)
    stack = Stack(
        pixels=pixels,
        labels=nothing,
        names=("a",),
        records=nothing,
        patients=nothing.astype(str),
        slices=nothing,
        digest="",
    )
    if in_memory(pixels, 2000):
        pytest.skip("this file system lies in memory")
    stack.expect(np.array([2000, 4095]))
    for _ in range(1000):
        if in_memory(pixels, 2000) and in_memory(pixels, 4095):
            break
        time.sleep(0.01)
    assert [in_memory(pixels, row) for row in (1000, 2000, 3000, 4095)] == [False, True, False, True]


def test_beside_deeper_images_each_depth_has_its_own_white(tmp_path):
    for n in range(3):
        gray(tmp_path / "scans" / "shallow" / f"{n}.png", np.linspace(0, 255, 16 * 24).reshape(16, 24))
        deep = np.linspace(0, 4095 - n, 16 * 24).reshape(16, 24).astype(np.uint16)
        (tmp_path / "scans" / "deep").mkdir(parents=True, exist_ok=True)
        Image.fromarray(deep).save(tmp_path / "scans" / "deep" / f"{n}.png")
    stack = rows_of(tmp_path / "scans")
    means = {label: float(stack.images(stack.rows_of(label)).mean()) for label in stack.names}
    assert means == {"deep": pytest.approx(0.5, abs=0.01), "shallow": pytest.approx(0.5, abs=0.01)}
