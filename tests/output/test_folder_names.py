"""Folder names for any class names at all."""

from hypothesis import given
from hypothesis import strategies as st

from medgan.output.folder_names import _LONGEST, folder_names

LABELS = st.sets(st.text(max_size=60), max_size=8)


@given(LABELS)
def test_any_labels_get_short_safe_names_that_never_meet(labels):
    names = folder_names(labels)
    assert set(names) == labels
    assert len({name.casefold() for name in names.values()}) == len(labels)
    for name in names.values():
        assert 0 < len(name) <= _LONGEST
        assert name.replace("-", "").replace("_", "").isalnum()
        assert name.isascii()
        assert name[0] not in "-_"


@given(LABELS)
def test_names_do_not_depend_on_the_order_of_the_labels(labels):
    assert folder_names(sorted(labels)) == folder_names(sorted(labels, reverse=True))


def test_a_label_that_looks_like_the_marked_name_of_another_stays_apart():
    names = folder_names(["a b", "a/b"])
    taken = names["a b"]
    assert len(set(folder_names(["a b", "a/b", taken]).values())) == 3
