"""Only what the standard itself defines passes from a header's text to anything that is written."""

import re

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from medgan.scans.dicom.terms import BODY_PARTS, MODALITIES, defined_term


@pytest.mark.parametrize(
    ("text", "term"), [("CT", "CT"), ("ct", "CT"), ("CT MAIER", ""), ("", ""), ("C T", ""), ("CT\\MR", "")]
)
def test_a_defined_term_passes_and_nothing_else(text, term):
    assert defined_term(text, MODALITIES) == term


def test_every_modality_of_the_standards_context_group_is_known():
    codes = {code for name in cid_concepts[33]["DCM"] for code in concepts["DCM"][name]}
    assert codes <= MODALITIES


def test_every_term_is_a_code_string():
    assert all(re.fullmatch(r"[A-Z0-9]{2,16}", term) for term in MODALITIES | BODY_PARTS)
