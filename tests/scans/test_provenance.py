"""The integers that are stored, and the facts that every written image carries."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan import __version__
from medgan.scans.provenance import image_facts, stored_range, stored_values
from medgan.scans.scan import OutputFormat, Provenance

HU = OutputFormat(
    format="dicom", low=-1024, high=3071, unit="HU", bits=16, modality="CT", spacing_mm=(0.0, 1.0, 1.0)
)
RELATIVE = OutputFormat(format="png", low=0, high=1, unit="relative", bits=12)
SYNTHETIC = Provenance(synthetic=True, label="mass", index=1, seed=0, model="ab", patient="never")
REAL = Provenance(synthetic=False, label="mass", index=1, seed=0, model="ab", patient="0f")


def test_hounsfield_units_are_signed_words_with_nothing_to_rescale():
    stored = stored_values(np.array([0, 0.25, 1], np.float32), HU)
    assert stored.dtype == np.int16
    assert stored.tolist() == [-1024, 0, 3071]


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (12, np.uint16), (16, np.uint16)])
def test_relative_values_fill_the_bits_of_the_smallest_word(bits, kind):
    stored = stored_values(np.array([0, 1], np.float32), replace(RELATIVE, bits=bits))
    assert stored.dtype == kind
    assert stored.tolist() == [0, 2**bits - 1]


def test_values_out_of_range_are_clipped_and_never_wrap():
    assert stored_values(np.array([-5, 7], np.float32), RELATIVE).tolist() == [0, 4095]
    wide = replace(HU, low=-40000, high=40000)
    assert stored_values(np.array([0, 1], np.float32), wide).tolist() == [-32768, 32767]


@given(st.integers(0, 65535))
def test_every_16_bit_number_survives_the_way_through_the_unit_range(number):
    form = OutputFormat(format="png", low=0, high=65535, unit="stored", bits=16)
    assert stored_values(np.array([number / 65535], np.float32), form).item() == number


def test_stored_range_is_the_forms_own_unless_the_scale_is_relative():
    assert stored_range(HU) == (-1024, 3071)
    assert stored_range(RELATIVE) == (0, 4095)


def test_a_synthetic_image_names_its_seed_and_model_and_no_patient():
    said = image_facts(HU, SYNTHETIC)
    assert (said["SyntheticData"], said["Seed"], said["Model"]) == (True, 0, "ab")
    assert "Patient" not in said
    assert "NOT A PATIENT" in str(said["Notice"])


def test_a_real_image_names_its_hashed_patient_and_neither_seed_nor_model():
    said = image_facts(HU, REAL)
    assert (said["SyntheticData"], said["Patient"]) == (False, "0f")
    assert not {"Seed", "Model"} & set(said)


def test_what_is_unknown_is_absent():
    assert "SpacingMM" in image_facts(HU, REAL)
    assert not {"SpacingMM", "Modality", "BodyPart"} & set(image_facts(RELATIVE, REAL))


def test_facts_are_plain_json():
    said = image_facts(HU, SYNTHETIC)
    assert json.loads(json.dumps(said)) == said


def test_the_software_is_named_with_its_version():
    assert image_facts(HU, REAL)["Software"] == f"medgan {__version__}"
