"""A lecture of two exercises, for the tests of the grader."""

CHECKS = """
import torch
from course.grade import exercise, expect, expect_close, gradients

FORBIDDEN = ("minilrm.objectives",)

@exercise("double", points=2)
def value(student):
    expect_close(student.double(torch.tensor([1.0, 2.0])), torch.tensor([2.0, 4.0]), "twice x",
                 {"you squared it": torch.tensor([1.0, 4.0])})

@exercise("slope", points=3)
def by_autograd(student):
    x = torch.tensor([3.0], requires_grad=True)
    found, = gradients(student.slope(x), x)
    expect_close(found, torch.tensor([6.0]), "the slope of x^2")
"""
RIGHT = "def double(x):\n    return x + x\n\ndef slope(x):\n    return (x * x).sum()\n"
SLOPE = "\n\ndef slope(x):\n    return (x * x).sum()\n"


def a_lecture(folder, checks=CHECKS, solution=RIGHT):
    """Write it to a new folder."""
    folder.mkdir(parents=True)
    (folder / "checks.py").write_text(checks, encoding="utf-8")
    (folder / "solutions.py").write_text(solution, encoding="utf-8")
    return folder
