"""The model card of a checkpoint: the README.md that a model's page on the Hugging Face Hub shows.

Its head (between two `---`) is what the Hub reads; the rest is for people. With it a checkpoint can
be uploaded by one command, without what only training needs:

    hf upload NAME/my-model runs/sft-gsm8k-mini-.../checkpoints/step-000200 \\
        --exclude "optimizer.safetensors" "trainer.json"

The card says nothing that the run does not know: no licence, and a score only where one was
measured. Nor does it name a path of the machine on which the model was trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minilrm.checkpoint.record import Info

CARD = "README.md"


def model_card(config: Mapping[str, Any], parameters: int, info: Info) -> str:
    """The text of a card, out of config.json, the number of parameters and what minilrm.json says.

    >>> card = model_card({"architectures": ["Qwen3ForCausalLM"]}, 1000, Info(task="countdown"))
    >>> card.splitlines()[:4]
    ['---', 'library_name: transformers', 'pipeline_tag: text-generation', 'tags:']
    """
    task = info.task or "no task in particular"
    parts = [
        head(info),
        f"# A small model for {task}",
        about(config, parameters, info),
        "## How to use it\n\n" + USE.format(task=info.task or "TASK"),
        scores(info),
        options(info),
        "## What it is not\n\n" + LIMITS.format(task=task),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def head(info: Info) -> str:
    """The lines that the Hub reads."""
    tags = ["minilrm", *([info.task] if info.task else [])]
    lines = ["library_name: transformers", "pipeline_tag: text-generation", "tags:"]
    # A JSON text is a YAML text, whatever a task is called.
    return "\n".join(["---", *lines, *(f"- {json.dumps(tag)}" for tag in tags), "---"])


def about(config: Mapping[str, Any], parameters: int, info: Info) -> str:
    """One paragraph: what it is, and where it comes from."""
    kind = ", ".join(config.get("architectures") or ["a transformer"])
    said = [f"{parameters:,} parameters ({kind}), trained with minilrm."]
    if info.init:
        said.append(f"Training began at: {without_folders(info.init)}.")
    if info.step is not None:
        said.append(f"This is the checkpoint of step {info.step}.")
    return " ".join(said)


def scores(info: Info) -> str:
    """A table of the numbers that were measured."""
    rows = [(name, value) for name, value in info.scores.items() if is_number(value)]
    if not rows:
        return ""
    table = "\n".join(f"| {name} | {value:.6g} |" for name, value in rows)
    return "## What was measured\n\n| | |\n|---|---:|\n" + table


def options(info: Info) -> str:
    """The options of the run that tell how the model was made, and nothing of the machine."""
    told = {
        name: value
        for name, value in info.options.items()
        if is_number(value) or (isinstance(value, str) and value == without_folders(value))
    }
    if not told:
        return ""
    return "## Options of the run\n\n```json\n" + json.dumps(told, indent=2) + "\n```"


def without_folders(text: str) -> str:
    """A path as its last name; any other text as it is.

    >>> without_folders("/home/somebody/runs/base"), without_folders("gsm8k-mini-base")
    ('base', 'gsm8k-mini-base')
    """
    return " ".join(
        Path(word.replace("\\", "/")).name if "/" in word or "\\" in word else word
        for word in text.split()
    )


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```

With minilrm: `python -m minilrm.ask --checkpoint .`, and to measure it
`python -m minilrm.evaluate --checkpoint . --task {task} --split test`."""

LIMITS = """It answers problems of one kind ({task}) and knows of nothing else. It is meant for
learning how such models are made. Nobody has looked at what it says to other questions."""
