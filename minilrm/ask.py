"""Ask a model a word problem and watch it think.

    python -m minilrm.ask            a conversation; an empty line or Ctrl-D ends it
    python -m minilrm.ask --question "Ana has 3 boxes of 4 pens. How many pens does she have?"
    echo "¿Cuántas ...?" | python -m minilrm.ask --samples 16          a vote among 16 answers
    python -m minilrm.ask --tools calculator,code       the model may call tools while it writes

The thinking streams in dim type, the answer follows in bold; a call of a tool and its result are
drawn apart; without a terminal, or with NO_COLOR set, all is in plain type. What a model writes is
only ever text, and so is what a tool says: a control character in it (one could move the cursor,
rename the window, or paint over what stands there) is shown as a symbol, never sent to the
terminal.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from minilrm import cli, files, machine
from minilrm.checkpoint import newest_valid, open_model
from minilrm.errors import UserError
from minilrm.inference import METHODS, Driver
from minilrm.inference.shown import cost_line, trace_lines
from minilrm.intervals import majority
from minilrm.model import Transformer, count_parameters
from minilrm.options import chat_option, device_option, option
from minilrm.painter import DIM, CallPainter, Painter, neutralise
from minilrm.sampler import Completion, Engine, generate
from minilrm.scorers import verifier
from minilrm.tasks import TASKS, Task, task_class
from minilrm.tasks.base import Problem
from minilrm.tokenizer import StreamDecoder, Tokenizer
from minilrm.tools import Tool, ToolCalls, named_tools
from minilrm.tools.calls import RESULT_TAGS
from minilrm.tools.named import NAMES, names_in


@dataclass
class Options:
    """Put a question to a model and watch it think."""

    checkpoint: str | None = option(
        None,
        "a checkpoint's or a run's folder, or a shipped name; if not given, the "
        "newest finished grpo run of the task, else the shipped base",
    )
    task: str = option("gsm8k-mini", "how the question is put and the answer read", choices=TASKS)
    question: str | None = option(None, "ask this one question, then end")
    temperature: float | None = option(None, "0 (greedy) if not given; with --samples 1", minimum=0)
    samples: int = option(1, "answer so many times and take a vote", minimum=1, maximum=512)
    method: str | None = option(
        None, "think longer: a method of minilrm.inference", choices=tuple(METHODS)
    )
    budget: int = option(400, "tokens that a method may spend", minimum=1)
    scorer: str = option("likelihood", "its verifier: likelihood, or the folder of a reward model")
    price: float | None = option(None, "money for a million tokens, for the cost line", minimum=0)
    think: bool = option(
        False, 'force thinking: begin the answer with "Let\'s think step by step."'
    )
    tools: str | None = option(
        None, f"what the model may call, of {', '.join(NAMES)}; with commas between"
    )
    database: Path | None = option(None, "the SQLite file of the tool database; read only")
    chat: bool = chat_option()
    hide_thinking: bool = option(False, "show the answer only")
    language: str | None = option(
        None, "of the question; seen from its words if not given", choices=("en", "es")
    )
    max_new_tokens: int | None = option(
        None, "longest answer; the task's own limit if not given", minimum=1
    )
    seed: int = option(0, "seed of the samples", minimum=0)
    device: str = device_option()
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )

    def __post_init__(self) -> None:
        if self.temperature is None:
            self.temperature = 0.0 if self.samples == 1 else 1.0
        if self.temperature == 0 and self.samples > 1:
            raise UserError(
                "--temperature 0 answers the same each time; a vote needs --temperature above 0"
            )
        if self.question is not None and not self.question.strip():
            raise UserError("--question is empty")
        if names_in(self.tools) and self.method:
            raise UserError("a --method calls no tools; use one of --tools and --method")


def main(options: Options) -> None:
    for stream in (sys.stdin, sys.stdout):
        # A stray byte in a pipe is no reason to die, nor a terminal without "ñ".
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    tools = named_tools(options.tools, options.database)
    device = machine.choose_device(options.device)
    machine.set_threads(options.threads)
    folder, model, tokenizer, _ = open_model(
        options.checkpoint or default_checkpoint(options.task), device
    )
    if options.chat:
        tokenizer.start_chat()
    hint = "" if options.checkpoint else " (choose another with --checkpoint)"
    print(f"model: {neutralise(str(folder))}{hint}", file=sys.stderr, flush=True)
    # Not `get_task`: a question needs no file of problems.
    asker = Asker(options, model, tokenizer, task_class(options.task)(), Painter(), tools)
    for number, question in enumerate(questions(options.question)):
        try:
            asker.ask(question, options.seed + number)
        except UserError as error:
            # Too long, or a question that the task cannot be asked: the conversation goes on.
            if options.question is not None:
                raise
            print(error, flush=True)


def default_checkpoint(task: str, runs: Path = Path("runs")) -> str:
    """The newest finished grpo run of a task that still has a checkpoint, else its shipped base.
    Unfinished runs have no summary.json. UserError if there is neither."""
    summaries = sorted(runs.glob("*/summary.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    for run in (summary.parent for summary in summaries):
        if is_grpo_run(run, task) and has_checkpoint(run):
            return str(run)
    if base := task_class(task).base:
        return base
    raise UserError(
        f"there is no finished grpo run of {task} in {runs}, and no base is shipped for it; name a "
        "checkpoint with --checkpoint"
    )


def is_grpo_run(run: Path, task: str) -> bool:
    try:
        config = files.read_json(run / "config.json")
    except UserError:
        return False  # not a run of ours, or a damaged one
    return config.get("command") == "grpo" and config.get("task") == task


def has_checkpoint(run: Path) -> bool:
    """Whether a run's checkpoints are still there, and one of them is whole."""
    try:
        newest_valid(run / "checkpoints")
    except UserError:
        return False
    return True


# -- asking ----------------------------------------------------------------------------------------


@dataclass
class Asker:
    """Puts questions to a model and paints what it says."""

    options: Options
    model: Transformer
    tokenizer: Tokenizer
    task: Task
    painter: "Painter"
    tools: dict[str, Tool] = field(default_factory=dict)

    def ask(self, question: str, seed: int) -> None:
        problem = self.task.question(question, self.options.language)
        # Not `task.encode`: a user's question never makes a special token.
        prompt = self.tokenizer.encode_prompt(
            self.task.render(problem, "cot" if self.options.think else "plain")
        )
        room = self.options.max_new_tokens or self.task.max_new_tokens
        longest = self.model.config.max_seq_len - room
        if len(prompt) > longest:
            raise UserError(
                f"the question is too long: {len(prompt)} tokens, and {longest} leave room for an "
                f"answer of {room}; ask it in fewer words"
            )
        if self.options.method:
            self.think_longer(problem, seed)
        elif self.options.samples > 1:
            self.vote(problem, prompt, room, seed)
        else:
            self.stream(prompt, room, seed)

    def sample(
        self,
        prompt: list[int],
        room: int,
        seed: int,
        stream: Callable[[int, int, bool], None] | None = None,
        calls: ToolCalls | None = None,
    ) -> list[Completion]:
        device = next(self.model.parameters()).device
        return generate(
            self.model,
            self.tokenizer,
            [prompt],
            n=self.options.samples,
            max_new_tokens=room,
            seed=seed,
            temperature=self.options.temperature or 0.0,
            stream=stream,
            intervene=calls,
            dtype=torch.bfloat16 if machine.bfloat16_pays(device) else None,
        )[0]

    def calls(self) -> ToolCalls | None:
        """The hook that runs the tools of one question; None where there are none."""
        known = set(RESULT_TAGS) <= self.tokenizer.special_ids.keys()
        special = self.task.special_tokens and known
        return ToolCalls(self.tokenizer, self.tools, special=special) if self.tools else None

    def stream(self, prompt: list[int], room: int, seed: int) -> None:
        """One answer: its thinking as it comes, with calls and results, then what is read off
        it."""
        calls, shown = self.calls(), Shown(self.painter, self.tokenizer, self.task.mark)
        hidden = self.options.hide_thinking or self.task.mark == ""
        stream = None if hidden else lambda row, token, sampled: shown.push(token, sampled)
        completion = self.sample(prompt, room, seed, stream, calls)[0]
        if not hidden:
            shown.end()
        elif calls and not self.options.hide_thinking:  # the whole text is the answer
            for call in calls.made(0):
                self.painter.paint(f"{call.tool}: {call.argument} -> {call.result}\n", DIM)
        self.painter.answer(self.task.read_answer(completion.sampled_text))
        self.tell_forgery(calls, 0)

    def tell_forgery(self, calls: ToolCalls | None, row: int) -> None:
        if calls and calls.forged(row) and not self.options.hide_thinking:
            self.painter.paint("(the model wrote a result itself, which no tool said)\n")

    def vote(self, problem: Problem, prompt: list[int], room: int, seed: int) -> None:
        """Several answers, each with its thinking, and the one with most votes."""
        calls = self.calls()
        completions = self.sample(prompt, room, seed, calls=calls)
        for row, completion in enumerate(() if self.options.hide_thinking else completions):
            self.painter.paint(f"[{row + 1}] ", DIM)
            if calls and calls.made(row):
                shown = Shown(self.painter, self.tokenizer, mark="")
                for token, chosen in zip(completion.token_ids, completion.mask, strict=True):
                    shown.push(token, bool(chosen))
                shown.end()
            else:
                self.painter.paint(completion.sampled_text.strip() + "\n", DIM)
            self.tell_forgery(calls, row)
        said = [self.task.read_answer(c.sampled_text) for c in completions]
        keys = [self.task.vote_key(problem, answer) for answer in said]
        counts = Counter(key for key in keys if key is not None)
        tally = ", ".join(f"{key} x{count}" for key, count in counts.most_common(8))
        self.painter.paint(f"votes: {tally or 'none'} (of {len(keys)})\n")
        self.painter.answer(majority(keys))

    def think_longer(self, problem: Problem, seed: int) -> None:
        """A method of inference: what it tried, its answer, and what that cost."""
        method, _ = METHODS[self.options.method or ""]
        device = next(self.model.parameters()).device
        scorer = verifier(self.options.scorer, self.task, self.tokenizer, device)
        driver = Driver(Engine(self.model), self.tokenizer, self.task, scorer, seed)
        [answer] = driver.solve(method, [problem], self.options.budget)
        if not self.options.hide_thinking:
            for line in trace_lines(self.task, problem, answer):
                self.painter.paint(line + "\n", DIM)
        self.painter.answer(answer.answer)
        cost = cost_line(answer, count_parameters(self.model), self.options.price)
        self.painter.paint(cost + "\n")


def questions(given: str | None) -> Iterator[str]:
    """The one question given, or one a line: typed after a prompt, or out of a pipe. An empty line
    ends it."""
    if given is not None:
        yield given
        return
    typed = sys.stdin.isatty() and sys.stdout.isatty()
    if typed:
        print("Type a problem; an empty line ends.")
    while True:
        try:
            question = input("\n> ") if typed else input()
        except EOFError:
            return
        if not question.strip():
            return
        if not typed:
            print(f"> {neutralise(question)}", flush=True)
        yield question


# -- showing ---------------------------------------------------------------------------------------


class Shown:
    """The thinking of one answer, painted token by token, with the calls of tools drawn apart."""

    def __init__(self, painter: Painter, tokenizer: Tokenizer, mark: str):
        self.painter, self.tokenizer = painter, tokenizer
        self.decoder = StreamDecoder(tokenizer)
        self.calls = CallPainter(painter.paint)
        self.thinking = Thinking(self.calls.said, mark)
        self.inserted: list[int] = []

    def push(self, token: int, sampled: bool) -> None:
        """The next token, sampled or inserted. What is inserted is shown when it is whole."""
        if not sampled:
            self.inserted.append(token)
            return
        self.show_inserted()
        if token not in self.tokenizer.end_ids:
            self.thinking.push(self.decoder.push(token))

    def show_inserted(self) -> None:
        """A result is no part of what is thought: no mark in it announces an answer."""
        if self.inserted and not self.thinking.over:
            self.thinking.push(self.decoder.flush())
            self.thinking.pause()
            self.calls.answered(self.tokenizer.decode(self.inserted))
        self.inserted = []

    def end(self) -> None:
        self.show_inserted()
        self.thinking.push(self.decoder.flush())
        self.thinking.end()
        self.calls.end()
        self.painter.paint("\n" if self.thinking.begun else "")


class Thinking:
    """The part of a stream before the answer's mark, passed on as it comes.

    The mark may arrive in pieces (`##`, then `##`), so a tail that could begin it is held back
    until that is decided.

    >>> said = []
    >>> thinking = Thinking(said.append)
    >>> for piece in (" 3 #", "1, 3*4", " = 12\\n##", "## 12"): thinking.push(piece)
    >>> said
    ['3', ' #1, 3*4', ' = 12']
    """

    def __init__(self, show: Callable[[str], None], mark: str = Task.mark):
        self.show, self.mark, self.held, self.begun, self.over = show, mark, "", False, False

    def push(self, piece: str) -> None:
        if self.over:
            return
        text = self.held + piece
        before, mark, _ = text.partition(self.mark) if self.mark else (text, "", "")
        self.over = bool(mark)
        # Line ends are held back with it: the one before the mark belongs to the answer.
        begun = max(
            (k for k in range(1, len(self.mark)) if text.endswith(self.mark[:k])), default=0
        )
        shown = before.rstrip() if mark else text[: len(text) - begun].rstrip()
        self.held = "" if mark else text[len(shown) :]
        if shown:
            self.show(shown if self.begun else shown.lstrip())
            self.begun = True

    def pause(self) -> None:
        """Something else comes between: what was held back is shown before it."""
        if not self.over and self.held:
            self.show(self.held)
        self.held, self.begun = "", True

    def end(self) -> None:
        """No more will come: what was held back was no mark."""
        if not self.over and self.held.strip():
            self.show(self.held.rstrip())


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.ask", description=Options.__doc__)
