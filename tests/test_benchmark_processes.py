"""The arithmetic of `benchmarks.processes`; the measurement itself is a command."""

import doctest
from pathlib import Path

import pytest

from benchmarks import processes
from minilrm.files import read_json


def test_the_middle_pair_decides():
    def pair(threads, both):
        return {
            "threads": {"work": 9, "seconds": threads},
            "processes": {"work": 9, "seconds": both},
        }

    found = processes.compare([pair(9.0, 10.0), pair(9.0, 18.0), pair(9.0, 9.5)])
    assert found["ratio"] == pytest.approx({"median": 0.9, "min": 0.5, "max": 9 / 9.5})
    assert processes.compare([pair(9.0, 11.0)])["as_fast"] is False
    assert processes.compare([pair(9.0, 9.9)])["as_fast"] is True


def test_worked_examples():
    assert doctest.testmod(processes).failed == 0


def test_the_readme_has_the_table_of_what_was_measured():
    text = Path(processes.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert processes.table(read_json(processes.results_file())) in text
