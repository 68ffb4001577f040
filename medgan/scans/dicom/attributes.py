"""Read DICOM attributes as plain Python values.

This module decides what an absent, empty or malformed attribute means.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from medgan.base.errors import PlanError, ScanError
from medgan.scans.dicom.plain import (
    SCANNER_ATTRIBUTES,
    SIMPLE_VRS,
    PlainAttributes,
    convert_cached,
    strip_padding,
)

Attributes = Dataset | PlainAttributes
"""What a file says: a data set of the full parser, or the attributes of a plain file."""

_CONTAINERS = (tuple, list, MultiValue, Sequence)
"""Types that hold several values; the abstract ones come last, because asking them is slow."""


@cache
def tag_of(keyword: str) -> BaseTag:
    """The tag of a keyword of the standard.

    It is looked up once, because every file asks for it a hundred times.
    """
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return Tag(tag)


def get_value(dataset: Attributes, keyword: str) -> Any:
    """The value of an attribute, None where it is absent or empty.

    `Dataset.get` would return an empty string or None.

    Raises:
        ScanError: the value is malformed.
    """
    if isinstance(dataset, PlainAttributes):
        return dataset.get(keyword)
    tag = tag_of(keyword)
    raw: Any = dataset.get_item(tag)
    if raw is None:
        return None
    if isinstance(raw, RawDataElement) and raw.is_little_endian and raw.VR in SIMPLE_VRS and raw.value:
        with suppress(ValueError, struct.error):  # the usual case, in a fifth of the time
            return convert_cached(raw.VR.encode(), raw.value)
    try:
        found = dataset[tag].value
    # Conversion is lazy, so a malformed value shows itself only here.
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_value_error(keyword, str(error)) from error
    return None if found is None or (hasattr(found, "__len__") and len(found) == 0) else found


def bad_value_error(keyword: str, why: str) -> ScanError:
    """The error for an attribute whose value breaks the rules of its kind."""
    return ScanError(
        f"{keyword} cannot be used: {why}", verdict="error:bad-value", hint="Repair or remove the file."
    )


def _get_values(dataset: Attributes, keyword: str) -> tuple[Any, ...]:
    """All values of an attribute, in a tuple that may be empty."""
    return _as_tuple(get_value(dataset, keyword))


def _as_tuple(found: Any) -> tuple[Any, ...]:
    """Put none, one or many values into a tuple."""
    if found is None:
        return ()
    if isinstance(found, (str, int, float)):
        return (found,)
    return tuple(found) if isinstance(found, _CONTAINERS) else (found,)


def get_text(dataset: Attributes, keyword: str) -> str:
    """An attribute as text, "" where it is absent.

    Several values are joined by backslashes, as in the file.
    """
    return "\\".join(get_texts(dataset, keyword))


def get_texts(dataset: Attributes, keyword: str) -> tuple[str, ...]:
    """Each value as text."""
    found = get_value(dataset, keyword)
    if isinstance(found, str):
        return (found.strip(" \0"),)
    parts = _as_tuple(found)
    if isinstance(dataset, PlainAttributes):  # whose words are bare
        return tuple(map(str, parts))
    if any(isinstance(part, Dataset) for part in parts):
        # Printed, a damaged one can take hours, and a sound one says whose scan it is.
        raise bad_value_error(keyword, "it is a sequence")
    return tuple(str(part).strip(" \0") for part in parts)


def get_numbers(dataset: Attributes, keyword: str) -> tuple[float, ...]:
    """All values of an attribute as floats, without empty ones.

    Text of another representation than DS is split as DS is.
    """
    found = get_value(dataset, keyword)
    if found is None:  # nearly always
        return ()
    try:
        if isinstance(dataset, PlainAttributes):  # none of whose numbers is empty
            return tuple(map(float, _as_tuple(found)))
        if isinstance(found, str):
            found = tuple(found.strip(" \0").split("\\"))
        return tuple(float(item) for item in _as_tuple(found) if item not in {None, ""})
    except (TypeError, ValueError) as error:
        raise bad_value_error(keyword, str(error)) from error


def get_numbers_or_none(dataset: Attributes, keyword: str) -> tuple[float, ...]:
    """All values as floats, or none of them where one is malformed.

    For attributes that an image can do without.
    """
    try:
        return get_numbers(dataset, keyword)
    except ScanError:
        return ()


def find_malformed(places: Iterable[Attributes], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Notes on malformed numbers in attributes that an image can do without.

    Malformed are values that are not numbers, are not finite, or are not as many as they should be.

    Args:
        places: The data sets that may hold the attributes.
        counts: {keyword: how many values it must have; 0 for any number}.
    """

    def wrong(place: Attributes, keyword: str, count: int) -> bool:
        try:
            found = get_numbers(place, keyword)
        except ScanError:
            return True
        return bool(found) and (len(found) != (count or len(found)) or not all(map(math.isfinite, found)))

    places = tuple(places)
    return tuple(
        f"malformed:{keyword}"
        for keyword, count in counts.items()
        if any(wrong(place, keyword, count) for place in places)
    )


def get_text_or_empty(dataset: Attributes, keyword: str) -> str:
    """An attribute as text, "" where it is malformed.

    For attributes that an image can do without.
    """
    try:
        return get_text(dataset, keyword)
    except ScanError:
        return ""


def get_scanner(dataset: Attributes) -> str:
    """What took the picture, as one line of raw text, "" when unknown.

    The text is equal for equal scanners. It is to be hashed, not to be read.
    """
    texts = [_bare(dataset, keyword) for keyword in SCANNER_ATTRIBUTES]
    return "\n".join(texts) if any(texts) else ""


def _bare(dataset: Attributes, keyword: str) -> str:
    if isinstance(dataset, PlainAttributes):
        return dataset.get(keyword) or ""
    element = dataset.get_item(tag_of(keyword))
    found = None if element is None else element.value
    return (
        (strip_padding(found) or "")
        if isinstance(found, bytes)
        else _join_text(found)
        if isinstance(found, str)
        else ""
    )


def get_number(dataset: Attributes, keyword: str, default: float) -> float:
    """The first value as a float."""
    return next(iter(get_numbers(dataset, keyword)), default)


def get_integer(dataset: Attributes, keyword: str, default: int) -> int:
    """The first value as an int. A fraction is refused."""
    plain = get_value(dataset, keyword)
    if isinstance(plain, int):
        return int(plain)  # the parser's own kind of int prints as text
    found = get_number(dataset, keyword, default)
    if found != int(found):
        raise bad_value_error(keyword, f"{found} is not a whole number")
    return int(found)


def get_items(dataset: Attributes, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence, none where it is absent or not a sequence."""
    return (item for item in _get_values(dataset, keyword) if isinstance(item, Dataset))


def get_item(dataset: Attributes, keyword: str) -> Dataset | None:
    """The first item of a sequence."""
    return next(get_items(dataset, keyword), None)


def get_label(dataset: Dataset, attribute: str) -> str:
    """The value of the attribute that holds the label, or "".

    `attribute` is a keyword or "gggg,eeee".

    Raises:
        PlanError: there is no such attribute.
    """
    if not attribute:
        return ""
    tag = tag_for_keyword(attribute)
    if tag is None:
        try:
            tag = Tag(*(int(part, 16) for part in attribute.strip("()").split(",")))
        except (TypeError, ValueError, OverflowError) as error:
            raise PlanError(
                f"--label-from-tag: {attribute} is not a DICOM attribute",
                hint="Give a keyword such as BodyPartExamined, or a tag such as 0018,0015.",
            ) from error
    element = dataset.get(tag)
    return "" if element is None or element.VR == "SQ" else _join_text(element.value)


def _join_text(found: Any) -> str:
    """A value of any kind as one line of text."""
    parts = found if isinstance(found, _CONTAINERS) else (found,)
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)
