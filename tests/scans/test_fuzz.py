"""A reader answers any damaged file with a scan or a verdict.

It does so soon, in bounded memory, and without ending the process.
"""

from collections import Counter

import pytest

from tests.scans.fuzzing import OK, outcomes
from tests.scans.mutants import mutant, seeds

MUTANTS = range(300)
FOUND = {
    1408: "a JPEG-LS stream without its end kept the decoder busy for ten seconds",
    34270: "65,536 frames were claimed and two described",
    45866: "GDCM ended the process over colour of fewer bits than its stream has",
    106452: "a box without a length kept pydicom turning for ever",
    176334: "a sequence in the meta group was printed, level by level",
    51640: "a JPEG 2000 stream claimed two million columns",
}
"""Mutants that once broke a promise."""


@pytest.mark.slow
def test_every_mutant_has_a_verdict(tmp_path):
    found = list(outcomes(MUTANTS, tmp_path))
    assert [outcome.number for outcome in found] == list(MUTANTS)
    assert not [outcome for outcome in found if outcome.finding]
    assert {
        verdict.partition(":")[0] for outcome in found for verdict in (outcome.header, outcome.pixels)
    } <= {OK, "skip", "error"}
    assert len(Counter(outcome.pixels for outcome in found)) > 10, "mutants are damaged in many ways"


@pytest.mark.parametrize("number", FOUND)
def test_what_was_found_once_is_not_found_again(number, tmp_path):
    (found,) = outcomes(range(number, number + 1), tmp_path)
    assert not found.finding, FOUND[number]


def test_mutants_are_the_same_every_time_and_unlike_their_seeds():
    assert mutant(7) == mutant(7)
    untouched = {data for _, _, files in seeds() for data in files.values()}
    changed = [not set(mutant(number).files.values()) <= untouched for number in range(40)]
    assert sum(changed) >= 38
