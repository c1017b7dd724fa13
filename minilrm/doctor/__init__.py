"""The doctor: reads what a run logged and says in which known state it is, on what evidence, and
what to change.

    python -m minilrm.doctor runs/grpo-gsm8k-mini-20250131-142500
    python -m minilrm.doctor --table      how it fares on the recorded runs of data/doctor, whose
                                          state is known

`run.py` is what is read of a run, `finding.py` what is said of it, `checks.py` the states,
`recordings.py` the runs with known states. What a log cannot show is left out: a wrong formula in
the loss, for one, looks like any run that does not learn. Against those there are the tests, and
the gallery of failures (`python -m minilrm.failures`) shows what they do.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from minilrm import cli, machine
from minilrm.doctor.checks import CHECKS
from minilrm.doctor.finding import Finding
from minilrm.doctor.recordings import confusion, load
from minilrm.doctor.run import Run, from_log
from minilrm.errors import UserError
from minilrm.options import option
from minilrm.runlog import RunLog

__all__ = ["CHECKS", "Finding", "Run", "diagnose", "from_log", "main", "verdict"]

HEALTHY, TOO_SHORT = "healthy", "too_short"
FEWEST = 10  # steps: with fewer there is no course to judge


def diagnose(run: Run) -> list[Finding]:
    """All that holds, the primary finding first; notes last. A healthy run has no problem among
    them."""
    if run.steps < FEWEST:
        return [
            Finding(
                TOO_SHORT,
                "note",
                f"{run.steps} steps",
                f"come back after {FEWEST}: there is no course to judge yet",
            )
        ]
    found = [finding for check in CHECKS if (finding := check(run))]
    # then something else says why there is no progress
    if sum(finding.severity == "problem" for finding in found) > 1:
        found = [finding for finding in found if finding.name != "no_progress"]
    return sorted(found, key=lambda finding: finding.severity != "problem")


def state_of(findings: Sequence[Finding]) -> str:
    """The name of the state: the first problem's, or healthy."""
    names = [
        finding.name
        for finding in findings
        if finding.severity == "problem" or finding.name == TOO_SHORT
    ]
    return names[0] if names else HEALTHY


def as_text(run: Run, findings: Sequence[Finding]) -> str:
    """The diagnosis for a person."""
    name = state_of(findings)
    lines = [
        f"{run.name}: {run.steps} steps of {run.options.get('task', 'an unknown task')}, accuracy "
        f"{run.start('accuracy'):.2f} -> {run.end('accuracy'):.2f}, reward "
        f"{run.start('reward'):.2f} -> {run.end('reward'):.2f}, length "
        f"{run.start('completions/mean_length'):.0f} -> {run.end('completions/mean_length'):.0f}",
        "",
        f"diagnosis: {name.replace('_', ' ')}",
    ]
    for finding in findings:
        lines += [
            "",
            f"{finding.name.replace('_', ' ')} ({finding.severity})",
            f"  evidence: {finding.evidence}",
            f"  what to do: {finding.advice}",
        ]
    return "\n".join(lines)


def as_json(run: Run, findings: Sequence[Finding]) -> str:
    record = {
        "run": run.name,
        "steps": run.steps,
        "verdict": state_of(findings),
        "findings": [asdict(f) for f in findings],
    }
    return json.dumps(record, ensure_ascii=False, indent=2)


# -- the command -----------------------------------------------------------------------------------


@dataclass
class Options:
    """Say in which known state a run is, on what evidence, and what to change."""

    run: Path | None = option(
        None, "the run folder, for example runs/grpo-gsm8k-mini-20250131-142500"
    )
    json: bool = option(False, "one JSON object instead of text")
    table: bool = option(
        False, "what the doctor makes of the recorded runs of each state, instead of a diagnosis"
    )
    recordings: Path | None = option(
        None, "the folder of these; data/doctor of the shipped data if not given"
    )


def examine(options: Options) -> None:
    if options.table:
        recorded = load(options.recordings or machine.data_folder() / "doctor")
        print(confusion([(r, state_of(diagnose(r.run))) for r in recorded], HEALTHY))
        return
    if options.run is None:
        raise UserError(
            "name a run folder (python -m minilrm.doctor runs/grpo-...), or ask for the --table "
            "of recorded runs"
        )
    run = from_log(RunLog.open(options.run))
    findings = diagnose(run)
    print(as_json(run, findings) if options.json else as_text(run, findings))


def main(argv: list[str] | None = None) -> None:
    cli.run_command(
        examine,
        Options,
        argv,
        prog="python -m minilrm.doctor RUN",
        description=Options.__doc__,
        first="run",
    )
