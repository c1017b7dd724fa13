"""`python -m minilrm`: which commands there are."""

import difflib
import sys
from importlib.util import find_spec

COMMANDS = {
    "pretrain": "train a base model from random weights on a task's corpus",
    "sft": "fine-tune a model on chains of thought (supervised)",
    "grpo": "teach a model to reason by reinforcement learning from rule-based rewards (GRPO)",
    "ppo": "the same with a critic that values every token (actor-critic, PPO)",
    "dpo": "learn from pairs of a better and a worse answer (DPO)",
    "reward_model": "train a judge of whole answers, or of single steps",
    "preference_model": "train a judge of whole answers from which of two is better",
    "feedback": "be that judge: thumbs up or down, a step at a time",
    "compare": "every method of thinking longer, at equal tokens",
    "distill": "teach a small model what a larger one can do: traces, logits, or on-policy",
    "pipeline": "run DeepSeek-R1's recipe in seven stages, resumable, with a page at its end",
    "speedrun": "go from random weights through all of it on two cores; keep records",
    "reflection": "measure whether a model thinks again, and what that is worth",
    "evaluate": "measure a checkpoint: pass@1, pass@k, majority vote, with intervals",
    "page": "one page that runs the model and shows it thinking; or watch a training",
    "ask": "put a question to a model and watch it think",
    "checkpoint": "turn a GGUF file into a model folder",
    "report": "draw the page of a run again, or compare several runs on one",
    "doctor": "say in which known state a run is, on what evidence, and what to change",
    "failures": "run a classic bug beside a healthy run and draw both",
    "corpus": "write training documents of a task to look at",
}


def available() -> dict[str, str]:
    """The commands whose module is there, with a line each."""
    return {verb: line for verb, line in COMMANDS.items() if find_spec(f"minilrm.{verb}")}


def listing() -> str:
    """The page that a bare `python -m minilrm` prints."""
    course = []  # in a clone; a wheel has the commands alone
    if find_spec("course"):
        course = [
            "  The course: python -m course.grade (exercises), python -m course (instructors)"
        ]
    lines = [f"  python -m minilrm.{verb:<12}  {line}" for verb, line in available().items()]
    return "\n".join(
        [
            "minilrm: large reasoning models from scratch. The commands; each has a --help:",
            "",
            *lines,
            *course,
        ]
    )


def main(argv: list[str]) -> int:
    """Print the list. A word on the command line is a verb in the wrong place: say where it
    goes."""
    if not argv or argv[0] in ("-h", "--help"):
        print(listing())
        return 0
    close = difflib.get_close_matches(argv[0], available(), n=1)
    advice = (
        f"did you mean `python -m minilrm.{close[0]}`?"
        if close
        else "`python -m minilrm` lists the commands"
    )
    print(f"error: `python -m minilrm` takes no command {argv[0]!r}; {advice}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
