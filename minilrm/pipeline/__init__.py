"""DeepSeek-R1's pipeline in miniature.

    python -m minilrm.pipeline r1                    run what is missing, then write the page
    python -m minilrm.pipeline r1 --from sft-2       make this stage and all behind it anew
    python -m minilrm.pipeline r1 --only cold-start  run one stage

r1.py names the stages and does their work, stages.py runs them and knows what is done, page.py
measures what came of each.
"""

from pathlib import Path
from typing import Any

from minilrm import cli, files
from minilrm.errors import UserError
from minilrm.options import flag, options_table, to_dict
from minilrm.pipeline.page import write_page
from minilrm.pipeline.r1 import R1, Options
from minilrm.pipeline.stages import run

__all__ = ["R1", "Options", "main", "make"]

FREE = ("out", "only", "from_", "device", "threads", "eval_n")  # these may differ when it goes on


def make(options: Options) -> int:
    """Run the pipeline, or what is left of it; 0 if every stage is done, 130 after Ctrl-C."""
    recipe = R1(options)
    keep_to(options.out, {k: v for k, v in to_dict(options).items() if k not in FREE})
    print(options_table(options), flush=True)
    stages = recipe.stages()
    done = run(options.out, stages, options.only, options.from_)
    if done is None:
        return cli.INTERRUPTED
    if len(done) == len(stages):
        print(f"page: {write_page(options, recipe, done)}")
    return 0


def keep_to(folder: Path, wanted: dict[str, Any], what: str = "pipeline") -> None:
    """Write down what is asked for (pipeline.json); UserError where the folder was made for
    something else."""
    path = folder / f"{what}.json"
    if path.is_file():
        before = files.read_json(path)
        for name, value in wanted.items():
            if before.get(name) != value:
                raise UserError(
                    f"{folder} was made with {flag(name)} {before.get(name)}, not {value}; choose "
                    "another --out"
                )
        return
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is there and is no {what}; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json_atomic(path, wanted)


def main(argv: list[str] | None = None) -> None:
    cli.run_command(
        make,
        Options,
        argv,
        prog="python -m minilrm.pipeline r1",
        description=Options.__doc__,
        first="recipe",
    )
