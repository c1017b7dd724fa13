"""See it think: one page that runs the model, and a page that watches a training.

    python -m minilrm.page --out page.html
    python -m minilrm.page --out page.html --checkpoint countdown-base --checkpoint runs/grpo-...
    python -m minilrm.page --watch runs/

The first two write one HTML file with everything inside it: weights in bfloat16, tokenizer,
problems, and the transformer in plain JavaScript. It opens by a double click, without a server,
without the network, and with nothing installed. The third serves the curves, samples and groups of
the runs in a folder to a browser on this machine, and reads on while they train.

    web/page.js      the transformer, the tokenizer and sampling: model.py once more
    web/judge.js     answers read, graded and put to the vote, as the tasks do
    web/tree.js      beam, best-first and Monte-Carlo tree search, as in inference/search.py
    web/shell.js     what the views share: elements, problems, the loop that keeps the page alive
    web/*.js         one file a view: think, chains, search, compare; and watch
    packing.py       a checkpoint -> what the page holds of it
    writer.py        the parts -> one file, with the policy that lets no other script run
    watching.py      the server

What a model wrote goes into the page as text, never as HTML, and nothing that it wrote is run.
"""

from dataclasses import dataclass
from pathlib import Path

from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.files import refuse_to_overwrite, write_bytes_atomic
from minilrm.options import CommandOptions, option
from minilrm.page.packing import pack
from minilrm.page.watching import watch
from minilrm.page.writer import thinking_page

__all__ = ["Options", "main", "pack", "thinking_page", "watch"]

DEFAULT = ("countdown-base", "gsm8k-mini-base")


@dataclass
class Options(CommandOptions):
    out: Path | None = option(None, "the file to write, for example page.html")
    checkpoint: list[str] = option(
        list(DEFAULT),
        "checkpoints, runs or shipped names; give the one before reinforcement learning first, "
        "then the one after it",
    )
    label: list[str] = option([], "what the page calls them, in the same order")
    task: str | None = option(
        None, "what they are asked; what each checkpoint was trained for if not given"
    )
    problems: int = option(
        24, "validation problems of each task inside the page", minimum=1, maximum=1000
    )
    watch: Path | None = option(None, "serve the runs in this folder instead, for example runs/")
    port: int = option(8787, "the port of --watch; 0: a free one", minimum=0, maximum=65535)


def command(options: Options) -> None:
    """Write the page, or watch."""
    if (options.watch is None) == (options.out is None):
        raise UserError("say --out FILE to write a page, or --watch FOLDER to follow its runs")
    if options.watch is not None:
        watch(options.watch, options.port)
        return
    assert options.out is not None
    refuse_to_overwrite(options.out)
    if options.label and len(options.label) != len(options.checkpoint):
        raise UserError("--label names each checkpoint: give as many labels as checkpoints")
    labels: list[str | None] = [*options.label] or [None] * len(options.checkpoint)
    packed = [
        pack(where, task=options.task, label=label, n_problems=options.problems)
        for where, label in zip(options.checkpoint, labels, strict=True)
    ]
    page = thinking_page(packed)
    write_bytes_atomic(options.out, page)
    print(f"{options.out}: {len(page) / 1e6:.1f} MB; open it in a browser")


def main(argv: list[str] | None = None) -> None:
    run_command(
        command,
        Options,
        argv,
        prog="python -m minilrm.page",
        description="Write one HTML file that runs the model and shows it thinking, or watch "
        "trainings in the browser.",
    )
