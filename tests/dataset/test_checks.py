"""What only the data set as a whole can tell: odd ones out, conflicts, who the patients are."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from medgan.dataset.checks import MeasuredScan, finalise_manifest
from medgan.dataset.manifest import Record


def draft(
    order: int, label: str = "a", *, patient: str = "", scanner: str = "", **facts: object
) -> MeasuredScan:
    own = {
        "path": f"{label}/{order}.png",
        "label": label,
        "digest": f"d{order}",
        "slices": (0,),
        "meaning": "HU",
    }
    return MeasuredScan(order=order, patient=patient, scanner=scanner, record=Record(**{**own, **facts}))


def verdicts(drafts: list[MeasuredScan]) -> list[str]:
    return [record.verdict for record in finalise_manifest(Path("scans"), drafts).records]


def test_records_come_in_the_order_in_which_files_were_met():
    manifest = finalise_manifest(Path("scans"), [draft(2), draft(0), draft(1)])
    assert [record.path for record in manifest.records] == ["a/0.png", "a/1.png", "a/2.png"]


def test_one_image_under_three_labels_is_no_use_under_any_and_each_names_the_others():
    drafts = [draft(0, "a", digest="x"), draft(1, "b", digest="x"), draft(2, "c", digest="x"), draft(3, "a")]
    records = finalise_manifest(Path("scans"), drafts).records
    assert [record.verdict for record in records] == ["error:label-conflict"] * 3 + ["ok"]
    assert records[0].reason == (
        "the same image as b/1.png, which is labelled b and c/2.png, which is labelled c"
    )


def test_a_real_image_that_a_balanced_folder_holds_once_more_is_passed_over():
    first = draft(0, path="a/a_real_000001.png", digest="x")
    again = draft(1, path="a/a_repeated_000001.png", digest="x")
    records = finalise_manifest(Path("scans"), [first, again]).records
    assert [record.verdict for record in records] == ["ok", "skip:repeated"]
    assert records[1].reason == "the same image as a/a_real_000001.png, once more"
    assert not records[1].patient


def test_what_is_only_called_so_is_an_image_like_any_other():
    alone = draft(0, path="a/a_repeated_000001.png", digest="x")
    other = draft(1, path="a/a_real_000001.png", digest="y")
    assert verdicts([alone, other]) == ["ok", "ok"]
    elsewhere = draft(2, "b", path="b/b_real_000001.png", digest="x")
    assert verdicts([alone, elsewhere]) == ["error:label-conflict"] * 2


def test_a_broken_file_conflicts_with_nothing():
    broken = draft(1, "b", digest="d0", verdict="error:truncated", reason="ends early")
    assert verdicts([draft(0), broken]) == ["ok", "error:truncated"]


@pytest.mark.parametrize(("odd", "verdict"), [(1, "skip:mixed-content"), (3, "ok")])
def test_a_tenth_of_a_class_with_other_values_is_left_out_and_more_is_not(odd, verdict):
    drafts = [draft(n) for n in range(20 - odd)] + [draft(90 + n, meaning="stored") for n in range(odd)]
    assert verdicts(drafts) == ["ok"] * (20 - odd) + [verdict] * odd
    assert bool(finalise_manifest(Path("scans"), drafts).warnings) == (verdict != "ok")


def test_the_arbitrary_scales_may_stand_together():
    drafts = [draft(n, meaning="raw") for n in range(19)] + [draft(19, meaning="display")]
    assert verdicts(drafts) == ["ok"] * 20


def test_a_patient_is_told_by_a_digest_of_his_images_and_no_identifier():
    names = ["DOE^JANE", "DOE^JANE", "ROE"]
    drafts = [draft(n, patient=name) for n, name in enumerate(names)]
    one, two, three = (record.patient for record in finalise_manifest(Path("scans"), drafts).records)
    assert one == two != three
    assert len(one) == 16
    assert set(one) <= set("0123456789abcdef")
    others = [replace(each, patient=f"X{each.patient}") for each in drafts]
    assert finalise_manifest(Path("scans"), others) == finalise_manifest(Path("scans"), drafts)


def test_a_patient_without_a_usable_scan_has_no_name():
    drafts = [draft(0, patient="DOE"), draft(1, patient="ROE", verdict="skip:constant")]
    drafts += [draft(2, patient="DOE", verdict="error:truncated")]
    kept, lost, half = finalise_manifest(Path("scans"), drafts).records
    assert (bool(kept.patient), lost.patient, half.patient) == (True, "", kept.patient)


def test_other_images_are_another_digest():
    drafts = [draft(0, patient="DOE"), draft(1, patient="ROE")]
    others = [replace(each, record=replace(each.record, digest="z" + each.record.digest)) for each in drafts]
    first, second = finalise_manifest(Path("scans"), drafts), finalise_manifest(Path("scans"), others)
    assert {record.patient for record in first.records}.isdisjoint(
        record.patient for record in second.records
    )


def test_an_odd_one_out_makes_no_conflict():
    """It is left out anyway, and a good scan would go with it."""
    odd = draft(99, "b", digest="d3", meaning="stored")
    drafts = [draft(n) for n in range(10)] + [draft(20 + n, "b") for n in range(10)] + [odd]
    assert Counter(verdicts(drafts)) == {"ok": 20, "skip:mixed-content": 1}


def test_a_file_without_a_patient_stands_for_one_and_that_is_remembered():
    manifest = finalise_manifest(Path("scans"), [draft(0, patient="DOE"), draft(1), draft(2)])
    assert len({record.patient for record in manifest.records}) == 3
    assert not manifest.patients_known


def test_a_patient_called_like_a_file_is_not_that_file():
    first, second = finalise_manifest(Path("scans"), [draft(0, patient="a/1.png"), draft(1)]).records
    assert first.patient != second.patient


def test_patients_are_known_when_every_usable_scan_names_one():
    unnamed = draft(1, verdict="skip:not-medical")
    assert finalise_manifest(Path("scans"), [draft(0, patient="DOE"), unnamed]).patients_known


def test_images_of_one_series_are_of_one_body_where_no_patient_is_named():
    drafts = [replace(draft(n), series="s1" if n < 2 else "s2") for n in range(3)]
    manifest = finalise_manifest(Path("scans"), drafts)
    first, second, third = (record.patient for record in manifest.records)
    assert first == second != third
    assert not manifest.patients_known


def test_a_series_under_several_labels_is_a_converters_constant_and_no_body():
    drafts = [replace(draft(n, label), series="s") for n, label in enumerate("aab")]
    assert len({record.patient for record in finalise_manifest(Path("scans"), drafts).records}) == 3


def test_scanners_are_numbered_by_their_images_and_not_by_their_names():
    names = ["zeta", "alpha", "", "zeta", "broken"]

    def numbers(renamed):
        drafts = [draft(n, scanner=renamed.get(name, name)) for n, name in enumerate(names)]
        drafts[4] = replace(drafts[4], record=replace(drafts[4].record, verdict="error:truncated"))
        return [record.scanner for record in finalise_manifest(Path("scans"), drafts).records]

    assert numbers({}) == [1, 2, 0, 1, 0]
    assert numbers({"zeta": "alpha", "alpha": "zeta"}) == [1, 2, 0, 1, 0]
