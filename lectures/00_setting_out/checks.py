"""What lecture 0 holds its exercise to: the grader's own generators, started from the same seed,
draw the same numbers."""

import random

import numpy as np
import torch

from course.grade import StudentError, exercise, expect, expect_close, mutant, reject

FORBIDDEN = ("minilrm.machine",)

PYTHON, NUMPY, TORCH = 0, 1, 2


def wanted(seed):
    """101 draws of each kind from generators of our own; the global ones of this process are left
    alone."""
    python, numpy = random.Random(seed), np.random.RandomState(seed % 2**32)
    return [
        [python.random() for _ in range(101)],
        numpy.rand(101).tolist(),
        torch.rand(101, generator=torch.Generator().manual_seed(seed)).tolist(),
    ]


def drawn(student, seed):
    """The student's next 100 draws of each kind after `set_seed(seed)`."""
    expect(student.set_seed(seed) is None, "set_seed gives back nothing")
    return student.draws(100)


def same_draws(student, kind, seed, message):
    right = wanted(seed)[kind]
    expect_close(
        drawn(student, seed)[kind],
        right[:100],
        message,
        {
            "you draw a number after seeding, so that every run starts one draw late": right[1:],
            "the seed that you are given does not count: it is 0 whatever it is": (
                wanted(0)[kind][:100]
            ),
        },
        tolerance=1e-7,
    )


@exercise("set_seed", points=1)
def python(student):
    """Two runs draw the same 100 numbers from `random`."""
    same_draws(
        student,
        PYTHON,
        11,
        "Python's draws are not those after random.seed(seed), the seed as it is, with nothing "
        "drawn since. (hash() and id() differ from run to run, random.Random(seed) is a generator "
        "of its own)",
    )


@exercise("set_seed", points=1)
def numpy(student):
    """Two runs draw the same 100 numbers from `np.random`."""
    same_draws(
        student,
        NUMPY,
        12,
        "NumPy's draws are not those after np.random.seed(seed % 2**32), with nothing drawn since. "
        "(np.random.default_rng(seed) makes a generator of its own and leaves the global one as it "
        "was)",
    )


@exercise("set_seed", points=1)
def torch_too(student):
    """Two runs draw the same 100 numbers from `torch`."""
    same_draws(
        student,
        TORCH,
        13,
        "torch's draws are not those after torch.manual_seed(seed), with nothing drawn since. "
        "(torch.Generator().manual_seed(seed) is a generator of its own)",
    )


@exercise("set_seed", points=1)
def a_second_time(student):
    """Within one process, too, the same seed starts the same numbers."""
    first, second = drawn(student, 5), drawn(student, 5)
    expect(
        first == second,
        "set_seed(5), draws, set_seed(5) again: the second draws are others than the first. Is one "
        "of the three generators left out, or seeded the first time only?",
    )


@exercise("set_seed", points=1)
def other_seeds(student):
    """Another seed gives other numbers, or three seeds would be one run three times."""
    runs = [drawn(student, seed) for seed in (1, 2, 3)]
    for kind, name in enumerate(("random", "np.random", "torch")):
        expect(
            len({tuple(run[kind]) for run in runs}) == 3,
            f"the seeds 1, 2 and 3 give the same draws from {name}: three "
            "seeds would then be one run, measured three times",
        )


LARGE = (
    ("2**40 + 7", 2**40 + 7),
    ("2**32 - 1", 2**32 - 1),
    ("3 * 2**30 + 1", 3 * 2**30 + 1),
    ("2**62 + 2**31 + 5", 2**62 + 2**31 + 5),
)


@exercise("set_seed", points=1)
def large_seeds(student):
    """A seed above 2**32 is a seed as well, and so is one just below."""
    for shown, seed in LARGE:
        try:
            found = drawn(student, seed)
        except StudentError as error:
            if error.isa(NotImplementedError):
                raise
            reject(
                f"set_seed({shown}) fails ({error.kinds[0]}): NumPy takes seeds below 2**32 only; "
                "give it seed % 2**32"
            )
        right, rest, most = wanted(seed), wanted(seed % 2**32), wanted(2**32 - 1)
        for kind, name in enumerate(("random", "np.random", "torch")):
            expect_close(
                found[kind],
                right[kind][:100],
                f"with the seed {shown} the draws from {name} are not the right ones",
                {
                    f"only NumPy gets the remainder; {name} takes the whole seed": (
                        rest[kind][:100]
                    ),
                    f"{shown} is cut down to 2**32 - 1, so that all large seeds are one; take the "
                    "remainder, seed % 2**32": most[kind][:100],
                },
                tolerance=1e-7,
            )


### BEGIN MUTANTS


@mutant("set_seed", "torch.manual_seed(seed)")
def torch_forgotten(seed):
    random.seed(seed)
    np.random.seed(seed % 2**32)


@mutant("set_seed", "generator of its own and leaves the global one")
def default_rng(seed):
    random.seed(seed)
    np.random.default_rng(seed)
    torch.manual_seed(seed)


@mutant("set_seed", "whatever it is")
def always_0(seed):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@mutant("set_seed", "one draw late")
def tries_it_out(seed):
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    random.random(), np.random.rand(), torch.rand(1)


SEEDED = []


@mutant("set_seed", "first time only")
def once(seed):
    if seed not in SEEDED:
        SEEDED.append(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)


@mutant("set_seed", "below 2**32 only")
def no_remainder(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@mutant("set_seed", "only NumPy gets the remainder")
def remainder_for_all(seed):
    seed = seed % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@mutant("set_seed", "2**32 - 1 the draws from np.random")
def remainder_of_2_to_31(seed):
    random.seed(seed)
    np.random.seed(seed % 2**31)
    torch.manual_seed(seed)


@mutant("set_seed", "2**40 + 7 the draws from np.random")
def remainder_of_the_largest(seed):
    random.seed(seed)
    np.random.seed(seed % (2**32 - 1))
    torch.manual_seed(seed)


@mutant("set_seed", "with nothing drawn since")
def tries_a_normal_number(seed):
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    np.random.randn()


@mutant("set_seed", "gives back nothing")
def gives_the_seed_back(seed):
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


@mutant("set_seed", "cut down")
def cut_off(seed):
    random.seed(seed)
    np.random.seed(min(seed, 2**32 - 1))
    torch.manual_seed(seed)


@mutant("set_seed", "hash()")
def seeded_by_text(seed):
    random.seed(str(seed))
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


### END MUTANTS
