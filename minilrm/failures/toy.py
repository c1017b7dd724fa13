r"""A task and a base so small that a run takes seconds: where the failures are shown and the
doctor's logs are recorded.

    Question: What is 4 + 5 - 2?
    Answer:
    <<4+5=9>>9
    <<9-2=7>>7
    #### 7

The base is a transformer of 0.15M parameters that has read such sums for some 20 seconds, and then,
for a few seconds, a corpus that mostly guesses. So it can work the sums out, but does so in four
answers of ten, and is right in two or three; reinforcement learning brings it to eight or nine
within forty steps of 8 questions x 8 answers, by teaching it to think first. What is small is the
size alone: loop, loss and log are grpo.py's own.
"""

import contextlib
import io
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint, grpo, machine, sft, tasks
from minilrm.batches import Example, example_batches
from minilrm.errors import UserError
from minilrm.failures.faults import replaced
from minilrm.model import ModelConfig, Transformer
from minilrm.optim import lr_factor, pretraining_optimizers, set_lr
from minilrm.progress import Progress
from minilrm.runlog import RunLog
from minilrm.tasks.arithmetic import Arithmetic
from minilrm.tasks.base import Problem, Task, problem_rng
from minilrm.tokenizer import Tokenizer

SHAPE = ModelConfig(
    dim=64, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=32, ffn_dim=160, max_seq_len=192
)
DEFAULTS: dict[str, Any] = {
    "task": "sums",
    "steps": 40,
    "prompts": 8,
    "group_size": 8,
    "lr": 5e-4,
    "warmup": 3,
    "lr_hold": 15,
    "eval_every": 20,
    "eval_n": 100,
    "eval_quick": 50,
    "collapse": 0.0,
    "save_every": 10_000,
    "threads": 1,
    "device": "cpu",
}

LONGEST = 100  # tokens of a document
# steps of 64 documents: the expert's reading, and what the others read on top
READING = {"expert": 260, "others": 80}

# How the documents that a base has read were written: the share of each way. `no_end`: the share of
# documents that go on with another question where the text should end.
CORPORA = {
    "expert": {"steps": 1.0},
    "plain": {"guess": 0.55, "steps": 0.35, "careless": 0.05, "ramble": 0.05},
    "sloppy": {"guess": 0.5, "steps": 0.1, "sloppy": 0.4},
    "restless": {"guess": 0.3, "steps": 0.7, "no_end": 0.6},
}


class Sums(Arithmetic):
    """Three small numbers, each added or taken away."""

    name = "sums"
    max_new_tokens = 48
    smallest, largest = 1, 5
    repeats = True

    def __init__(self):
        super().__init__(min_digits=1, max_digits=1, spanish=0.0, kinds=("chain",))

    def draw(self, rng: random.Random, kind: str, larger: bool = False) -> str:
        a, b, c = (rng.randint(self.smallest, self.largest) for _ in range(3))
        first = "-" if b <= a and rng.random() < 0.5 else "+"
        total = a + b if first == "+" else a - b
        return f"{a} {first} {b} {'-' if c <= total and rng.random() < 0.5 else '+'} {c}"


class HardSums(Sums):
    """Numbers of three digits, which the base has never seen."""

    name = "sums-hard"
    max_new_tokens = 64
    smallest, largest = 100, 999


NAMES = (Sums.name, HardSums.name)


@contextlib.contextmanager
def toy_tasks() -> Iterator[None]:
    """Inside, `get_task` knows the two tasks; they are too small to be offered to anybody else."""
    added = {task.name: f"{__name__}:{task.__name__}" for task in (Sums, HardSums)}
    tasks.TASKS.update(added)
    try:
        yield
    finally:
        for name in added:
            del tasks.TASKS[name]


# -- the base --------------------------------------------------------------------------------------


def answer(task: Task, problem: Problem, rng: random.Random, way: str) -> str:
    r"""What the corpus answers: a guess, the steps, steps with a slip, needless steps, or words
    after the answer.

    >>> task = Sums(); problem = task.sample(random.Random(3))
    >>> problem.prompt, answer(task, problem, random.Random(0), "sloppy")
    ('How much is 5 - 5 + 2?', '\n<<5-5=0>>0\n<<0+2=2>>2\n#### 2\nSo it is 2.')
    """
    if way == "guess":
        return f"\n#### {max(0, int(problem.answer) + rng.randint(-4, 4))}"
    if way == "careless":
        return task.solution(problem, rng, "careless")
    text, result = task.solution(problem, rng, "steps"), problem.answer
    if way == "ramble":
        more = 1 + sum(rng.random() < 0.5 for _ in range(2))
        return text.replace("\n####", f"\n<<{result}+0={result}>>{result}" * more + "\n####")
    return text + (f"\nSo it is {result}." if way == "sloppy" else "")


def documents(
    task: Task, tokenizer: Tokenizer, corpus: str, step: int, batch: int = 64
) -> list[Example]:
    """The examples of one step of the base's training: question, answer, and (mostly) the end of
    the text."""
    ways = dict(CORPORA[corpus])
    no_end, examples = ways.pop("no_end", 0.0), []
    for i in range(batch):
        rng = problem_rng(0, step * batch + i, f"toy/{corpus}")
        texts: list[str] = []
        for _ in range(3 if no_end else 1):
            problem = task.sample(rng, "train")
            texts += [
                task.render(problem),
                answer(task, problem, rng, rng.choices(list(ways), list(ways.values()))[0]),
            ]
        # where the text should end, two more questions, cut off in the middle of the last
        if no_end and rng.random() < no_end:
            head = tokenizer.encode(texts[0])
            rest = tokenizer.encode(texts[1]) + tokenizer.encode(
                "\n\n" + "\n\n".join(map("".join, (texts[2:4], texts[4:])))
            )
            rest = rest[: LONGEST - len(head)]
            examples.append(Example(head, rest, [1] * len(rest)))
        else:
            examples.append(sft.build_example(task, tokenizer, *texts[:2]))
    return examples


def make_base(folder: Path, corpus: str = "plain") -> Path:
    """The base that has read this corpus, as a checkpoint in `folder`; what is there is used again.

    All the others read on from the expert's, so that all can do the sums, and differ in how they
    answer. Raises UserError if there is no such corpus.
    """
    if corpus not in CORPORA:
        raise UserError(f"there is no corpus {corpus!r}; there are: {', '.join(CORPORA)}")
    place = Path(folder) / f"base-{corpus}"
    if (place / "config.json").is_file():
        return place
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    machine.seed_everything(0)
    if corpus == "expert":
        tokenizer, model = Tokenizer.load(machine.data_folder() / "tokenizer"), Transformer(SHAPE)
    else:
        _, model, tokenizer, _ = checkpoint.open_model(make_base(folder, "expert"))
    steps = READING.get(corpus, READING["others"])
    with float32():
        read(model.train(), tokenizer, corpus, steps, peak=1.0 if corpus == "expert" else 0.3)
    return checkpoint.save(
        place,
        model,
        tokenizer,
        info=checkpoint.Info(task=Sums.name, notes={"corpus": corpus, "steps": steps}),
    )


def read(model: Transformer, tokenizer: Tokenizer, corpus: str, steps: int, peak: float) -> None:
    """Train on the answers of a corpus; `peak` is the highest learning rate, in parts of the
    usual."""
    task, device = Sums(), torch.device("cpu")
    optimizers = pretraining_optimizers(model, muon_lr=0.02, adam_lr=3e-3)
    with Progress(steps, label=f"base ({corpus})") as bar:
        for step in range(steps):
            examples = documents(task, tokenizer, corpus, step)
            set_lr(optimizers, peak * lr_factor(step, steps, warmup=10, final=0.05))
            tokens = sum(e.length for e in examples)
            for ids, mask in example_batches(examples, max_tokens=16_384):
                sft.loss_of(model, ids, mask, tokens, device).backward()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            bar.update()


@contextlib.contextmanager
def float32() -> Iterator[None]:
    """Inside, nothing is computed in bfloat16: at this size it costs more than it saves, and not
    every processor has it."""
    with (
        replaced(machine, "autocast", lambda right: lambda device: contextlib.nullcontext()),
        replaced(machine, "bfloat16_pays", lambda right: lambda device: False),
    ):
        yield


# -- a run -----------------------------------------------------------------------------------------


def run(
    out: Path,
    init: Path,
    fault: Callable[[], AbstractContextManager] = contextlib.nullcontext,
    **options,
) -> RunLog:
    """`grpo.train` on the toy task, less its page, with a fault switched on; `options` are
    grpo.Options' own and go over DEFAULTS."""
    chosen = DEFAULTS | options | {"init": str(init), "out": Path(out)}
    with (
        toy_tasks(),
        float32(),
        fault(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        result = grpo.train(grpo.Options(**chosen))
    if not result.finished:  # a run of seconds is not worth resuming
        raise KeyboardInterrupt
    return RunLog.open(result.folder)
