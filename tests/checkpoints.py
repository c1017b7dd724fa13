"""What the tests of checkpoints share: a model of a few thousand numbers, and ways to hurt it."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from minilrm import checkpoint
from minilrm.errors import UserError
from minilrm.model import ModelConfig, Transformer
from minilrm.optim import pretraining_optimizers, set_lr
from minilrm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["the cat sat on the mat, the cat"] * 9, vocab_size=292)
TINY = ModelConfig(
    vocab_size=292,
    dim=16,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    head_dim=8,
    ffn_dim=20,
    max_seq_len=32,
)


def new_model(config: ModelConfig = TINY, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(config)


def save_one(folder: Path, **more) -> Path:
    return checkpoint.save(folder, new_model(), TOKENIZER, info=checkpoint.Info(task="toy"), **more)


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def refused(call, *parts: str) -> str:
    """The call is refused by a UserError of one line, which names all the parts."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.strip()
    for part in parts:
        assert part in message, message
    return message


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)


def rewrite(path: Path, **changes) -> None:
    """Change values of a JSON file; None takes a key away."""
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


def muon_and_adamw(model: nn.Module, factor: float = 1.0) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of pretraining, their learning rates times `factor`."""
    return pretraining_optimizers(
        model, muon_lr=0.02 * factor, adam_lr=3e-3 * factor, weight_decay=0.1
    )


def train(model: Transformer, optimizers: dict[str, torch.optim.Optimizer], steps: range) -> None:
    """Steps whose data depends on the step alone, with a learning rate that changes, as in a real
    run."""
    for step in steps:
        ids = torch.randint(0, 292, (4, 12), generator=torch.Generator().manual_seed(step))
        set_lr(optimizers, 1 - step / 10)
        logits = model(ids[:, :-1]).flatten(0, 1)
        nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
