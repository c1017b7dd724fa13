"""minilrm: large reasoning models from scratch, on a laptop.

from minilrm import load, generate, get_task model, tokenizer, _ =
load("data/checkpoints/gsm8k-mini-base") print(generate(model, tokenizer, ["Question: What is 12 +
7?\\nAnswer:"], max_new_tokens=40)[0][0].text)
"""

import os

# Ask for huge pages for big tensors (read by torch when it is first imported; without effect
# outside Linux): fresh memory costs one page fault for 2 MB instead of 512, which made the first
# steps of a training half as long.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# On Apple's GPU (--device mps), let the CPU do the few operations that Metal lacks.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

from minilrm.checkpoint import load, save  # noqa: E402
from minilrm.model import ModelConfig, Transformer  # noqa: E402
from minilrm.sampler import Completion, generate  # noqa: E402
from minilrm.tasks import get_task  # noqa: E402
from minilrm.tokenizer import Tokenizer  # noqa: E402

__version__ = "0.1.0"
__all__ = [
    "Completion",
    "ModelConfig",
    "Tokenizer",
    "Transformer",
    "generate",
    "get_task",
    "load",
    "save",
]
