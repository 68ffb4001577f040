"""A plan is stored flat under keys that stay, whichever version wrote it."""

import json
from pathlib import Path

import pytest

from medgan.base.files import digest_of, to_json
from medgan.plan import Overrides, decide, explain
from medgan.plan.flat import _DETAIL, FIELD_OF, default_values, flatten
from medgan.plan.plan import PART_OF, Budget, Frame, Recipe
from medgan.plan.stored import parse_plan
from tests.test_plan import facts

HERE = Path(__file__).parent
REVIVED = {
    "0.1": "53eeff623494172d075341e75c923168e002d5b1325777ce2369ae22eec93429",
    "0.2": "18bf85f930dbd1b86eef5d3bd2102a380585b2ae2c4fef56a0a6f568cb9007bd",
}
"""{version: digest of the plan that version 0.2 made of `plan-VERSION.json`, before plans had parts}."""


def stored(version):
    return (HERE / f"plan-{version}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", REVIVED)
def test_a_plan_of_an_earlier_version_revives_with_the_digest_that_it_had(version):
    assert digest_of(flatten(parse_plan(json.loads(stored(version))))) == REVIVED[version]


def test_a_plan_is_stored_again_to_the_last_byte():
    again = flatten(parse_plan(json.loads(stored("0.2"))))
    assert json.dumps(again, indent=2, ensure_ascii=False) + "\n" == stored("0.2")


def test_what_the_first_version_did_not_store_has_its_default():
    old = json.loads(stored("0.1"))
    again = flatten(parse_plan(old))
    assert {key: again[key] for key in again.keys() - old.keys()} == {
        key: value for key, value in default_values().items() if key not in old and key in again
    }
    plan = parse_plan(old)
    assert (plan.recipe.gaussian_level, plan.recipe.feature_resolution) == (2, 0)
    assert plan.recipe.discriminator_start == 0.0
    assert plan.budget.graphed is False


@pytest.mark.parametrize(
    "wish", [{}, {"arch": "dcgan"}, {"features": "none", "minutes": 3.0}, {"size": (224, 160)}]
)
def test_any_plan_comes_back_from_its_stored_form_with_its_reasons(wish):
    plan = decide(facts(), Overrides(**wish))
    back = parse_plan(json.loads(json.dumps(flatten(plan))))
    assert back == plan
    assert list(back.why) == list(plan.why)
    assert flatten(back) == flatten(plan)


def test_the_number_of_threads_is_stored_only_where_it_was_decided():
    plan = decide(facts())
    assert "threads" not in flatten(plan)
    assert explain(plan)["threads"]["value"] is None
    two = plan.replace(threads=2)
    assert flatten(two)["threads"] == 2
    assert parse_plan(flatten(two)) == two


def test_no_two_parts_have_a_field_of_the_same_name_and_every_field_is_stored():
    parts = [part.__dataclass_fields__ for part in (Frame, Recipe, Budget)]
    assert sum(map(len, parts)) == len(PART_OF)
    assert set(FIELD_OF.values()) == set(PART_OF)


def test_decisions_are_explained_under_the_keys_that_are_stored():
    assert {*FIELD_OF} - {*explain(decide(facts(), Overrides(size=(64, 64))))} == {*_DETAIL}
    assert {*explain(decide(facts()))} == {*FIELD_OF}
    plan = decide(facts(), Overrides(size=(128, 96)))
    shown = explain(plan)
    assert list(shown) == list(FIELD_OF)
    assert shown["outlined"] == {
        "value": plan.recipe.gaussian_level,
        "why": plan.why["gaussian_level"],
    }
    assert shown["form"]["value"] == to_json(plan.frame.form)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent": None}, "plan.latent should be a whole number, not null"),
        ({"outlined": -1}, "plan.outlined cannot be -1"),
        ({"threads": 0}, "plan.threads cannot be 0"),
        ({"seen_at": "far"}, "plan.seen_at should be a whole number, not text"),
        ({"gaussian_level": 2}, "plan has an unknown key 'gaussian_level'"),
        ({"version": "new"}, "plan.version should be a whole number, not text"),
        ({"why": {"seed": 3}}, r"plan.why\['seed'\] should be text, not a whole number"),
    ],
)
def test_a_stored_plan_that_makes_no_sense_is_refused_by_the_name_of_its_key(change, words):
    with pytest.raises(ValueError, match=words):
        parse_plan({**json.loads(stored("0.2")), **change})


def test_a_stored_plan_without_a_decision_is_refused():
    facts_of_plan = json.loads(stored("0.2"))
    del facts_of_plan["latent"]
    with pytest.raises(ValueError, match="plan lacks 'latent'"):
        parse_plan(facts_of_plan)
