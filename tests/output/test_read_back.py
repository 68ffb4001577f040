"""What is read back of a folder that medgan wrote: every form that it writes is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.output import read_back
from medgan.scans.scan import OutputFormat

FORM = OutputFormat(
    format="dicom", low=0.0, high=4095.0, unit="relative", bits=12, spacing_mm=(0.0, 0.2, 0.2)
)
"""A radiograph, of which no slice distance is known."""


def told(form: OutputFormat) -> dict[str, object]:
    labels = [{"label": name, "number": n, "folder": name} for n, name in enumerate("ab")]
    return {"form": files.to_json(form), "labels": labels, "data": "d", "model": "m", "real": "none"}


@pytest.mark.parametrize("spacing", [None, (0.0, 0.2, 0.2), (5.0, 0.2, 0.3)])
def test_a_form_with_or_without_a_slice_distance_is_one(spacing):
    assert read_back._run_record(told(replace(FORM, spacing_mm=spacing))).form.spacing_mm == spacing


@pytest.mark.parametrize("spacing", [(-1.0, 0.2, 0.2), (1.0, 0.0, 0.2), (0.2, 0.2)])
def test_sides_that_no_pixel_has_are_none(spacing):
    with pytest.raises((ValueError, DatasetError), match="form"):
        read_back._run_record(told(replace(FORM, spacing_mm=spacing)))
