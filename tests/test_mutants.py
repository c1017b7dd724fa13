"""Every known wrong version of the objectives is rejected by a check, and the right one by none."""

import pytest

from minilrm import objectives
from tests.mutants import MUTANTS, rejected_by, run


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_rejected(mutant):
    assert rejected_by(run(mutant)), f"no check notices a student who {mutant.story}"


def test_the_right_version_is_not():
    assert rejected_by(objectives) is None


def test_there_are_enough_and_each_is_another():
    assert (
        len({(mutant.old, mutant.new) for mutant in MUTANTS})
        == len({m.name for m in MUTANTS})
        == len(MUTANTS)
        >= 25
    )
