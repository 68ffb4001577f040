"""Folder names for any class names at all."""

from hypothesis import given
from hypothesis import strategies as st

from medgan.output.folder_names import LONGEST, slugs

LABELS = st.sets(st.text(max_size=60), max_size=8)


@given(LABELS)
def test_any_labels_get_short_safe_names_that_never_meet(labels):
    names = slugs(labels)
    assert set(names) == labels
    assert len({name.casefold() for name in names.values()}) == len(labels)
    for name in names.values():
        assert 0 < len(name) <= LONGEST
        assert name.replace("-", "").replace("_", "").isalnum()
        assert name.isascii()
        assert name[0] not in "-_"


@given(LABELS)
def test_names_do_not_depend_on_the_order_of_the_labels(labels):
    assert slugs(sorted(labels)) == slugs(sorted(labels, reverse=True))


def test_a_label_that_looks_like_the_marked_name_of_another_stays_apart():
    names = slugs(["a b", "a/b"])
    taken = names["a b"]
    assert len(set(slugs(["a b", "a/b", taken]).values())) == 3
