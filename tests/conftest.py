"""What all tests share: this clone on the path, one thread, the shipped tokenizer, a tiny model
nobody trained."""

import contextlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # from any working directory, installed or not
    sys.path.insert(0, str(ROOT))
os.environ.setdefault("MPLBACKEND", "Agg")
# One thread here and in the processes that tests start: two of these run side by side (-n 2).
os.environ["OMP_NUM_THREADS"] = "1"

import pytest  # noqa: E402
import torch  # noqa: E402

from minilrm import checkpoint, machine, rewards  # noqa: E402
from minilrm.model import ModelConfig, Transformer  # noqa: E402
from minilrm.tokenizer import Tokenizer  # noqa: E402

# Small matrices gain nothing from a second thread, and the same seed gives the same bits on the
# same number only.
torch.set_num_threads(1)

# What a test writes need not outlive a power cut, and to wait for the disk takes time.
# (What is asked of the disk, and in which order, tests/test_checkpoint_disk.py sees all the same.)
os.fsync = lambda descriptor: None

TINY = ModelConfig(
    dim=32, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=16, ffn_dim=64, max_seq_len=320
)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A shell that starts us in the background switches SIGINT off, and our loops rightly leave it
    so; here it is tested."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer.load(machine.data_folder() / "tokenizer")


@pytest.fixture(scope="session")
def base(tokenizer, tmp_path_factory):
    """The folder of a random model that is not quite shapeless: some tokens are likelier than
    others (so that a temperature makes a difference), and the end of text comes now and then (so
    that completions differ in length)."""
    torch.manual_seed(0)
    model = Transformer(TINY)
    with torch.no_grad():
        model.embed_tokens.weight.mul_(20)
        usual = model.hidden(torch.randint(64, TINY.vocab_size, (32, 32))).mean((0, 1))
        model.embed_tokens.weight[tokenizer.eos_id] = 4 * usual / usual.square().sum()
    return checkpoint.save(
        tmp_path_factory.mktemp("base") / "tiny",
        model,
        tokenizer,
        info=checkpoint.Info(task="gsm8k-mini"),
    )


def parity(episodes):
    """A reward that a random model earns about half of the time."""
    return [float(sum(e.completion_ids) % 2) for e in episodes]


def judge(value):
    """Pays each episode `value(episode)`."""
    function = rewards.Reward("test", lambda episodes: [value(e) for e in episodes], 1.0)
    return rewards.Judge([function])


def parity_of(episode):
    return parity([episode])[0]


def pay(patch, reward=parity):
    """Let training pay for this in the place of right answers, and for nothing else."""
    patch.setitem(rewards.REWARDS, "accuracy", reward)
    patch.setitem(rewards.REWARDS, "format", lambda episodes: [0.0] * len(episodes))


@pytest.fixture
def full_precision(monkeypatch):
    """Training and decoding in float32, whatever the processor likes better."""
    monkeypatch.setattr(machine, "autocast", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(machine, "bfloat16_pays", lambda device: False)
