"""The arithmetic of `benchmarks.processes`; the measurement itself is a command."""

import doctest
from pathlib import Path

import pytest

from benchmarks import processes
from minilrm.files import read_json


def test_pairs_that_disagree_settle_nothing():
    def pair(threads, both):
        return {
            "threads": {"work": 9, "seconds": threads},
            "processes": {"work": 9, "seconds": both},
        }

    found = processes.compare([pair(9.0, 10.0), pair(9.0, 18.0), pair(9.0, 9.5)])
    assert found["ratio"] == pytest.approx({"median": 0.9, "min": 0.5, "max": 9 / 9.5})
    assert found["as_fast"] == "not settled"
    assert processes.compare([pair(9.0, 11.0)])["as_fast"] == "no"
    assert processes.compare([pair(9.0, 9.9)])["as_fast"] == "yes"


def test_worked_examples():
    assert doctest.testmod(processes).failed == 0


def test_the_readme_has_the_table_of_what_was_measured():
    text = Path(processes.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert processes.table(read_json(processes.results_file())) in text
