"""What a check says, and what several checks ask of a run."""

from dataclasses import dataclass

from minilrm.doctor.run import Run


@dataclass(frozen=True)
class Finding:
    """A state that holds. severity: "problem" (something to change) or "note" (the run may be
    healthy all the same)."""

    name: str
    severity: str
    evidence: str
    advice: str


def problem(name: str, evidence: str, advice: str) -> Finding:
    """A finding that calls for a change."""
    return Finding(name, "problem", evidence, advice)


def course(run: Run, key: str, spec: str = ".2f") -> str:
    """How a figure went: "from 0.30 to 0.80"."""
    return f"from {run.start(key):{spec}} to {run.end(key):{spec}}"


GAIN = 0.1  # accuracy rose: END - START is at least this, or a third of what was missing to 1


def improved(run: Run) -> bool:
    """Whether accuracy rose."""
    before, after = run.start("accuracy"), run.end("accuracy")
    return after - before >= min(GAIN, (1 - before) / 3)


FALLEN = 0.5  # END of the accuracy, in parts of the best stretch's


def broken(run: Run) -> bool:
    """Whether accuracy was there, and is lost."""
    return run.end("accuracy") < FALLEN * run.best("accuracy")
