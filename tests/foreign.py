"""Model folders as other projects publish them, in miniature: a byte-level BPE that the library
`tokenizers` trains here and now, and a random Llama of some thousand parameters beside it."""

import functools
import json
import os
import random

import pytest
import torch

from minilrm import checkpoint
from minilrm.model import ModelConfig, Transformer
from minilrm.tasks import get_task
from minilrm.tokenizer import ForeignTokenizer

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
tokenizers = pytest.importorskip("tokenizers")

# The cut into words of four families. GPT-2's is the library's own; the others stand so in their
# tokenizer.json.
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA.replace("{1,3}", "")
FAMILIES = ("gpt2", "llama", "qwen", "smollm")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NOT_CALLED_SPECIAL = ("<think>", "</think>")
SHAPE = ModelConfig(
    dim=32,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    head_dim=16,
    ffn_dim=64,
    max_seq_len=1200,
    qk_norm=False,
)


@functools.cache
def texts():
    """What the tokenizer is trained on: worked problems."""
    task = get_task("gsm8k-mini")
    problems = task.problems("validation", 100)
    return [task.render(p) + task.solution(p, random.Random(0), "steps") for p in problems]


def definition(family="gpt2"):
    """The contents of a `tokenizer.json`; the special tokens come after the others, 420 and on."""
    return json.loads(trained(family))


@functools.cache
def trained(family):
    """A `tokenizer.json` of 420 ordinary tokens, trained here and now."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=family == "llama"))
    pre = tokenizers.pre_tokenizers
    level = pre.ByteLevel(add_prefix_space=False, use_regex=family in ("gpt2", "smollm"))
    split = pre.Split(tokenizers.Regex(QWEN if family == "qwen" else LLAMA), behavior="isolated")
    made.pre_tokenizer = {
        "gpt2": level,
        "smollm": pre.Sequence([pre.Digits(individual_digits=True), level]),
    }.get(family, pre.Sequence([split, level]))
    if family == "qwen":
        made.normalizer = tokenizers.normalizers.NFC()
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(texts(), trainer)
    added = tokenizers.AddedToken
    made.add_special_tokens([added(name, special=True) for name in SPECIAL])
    made.add_tokens([added(name, special=False, normalized=False) for name in NOT_CALLED_SPECIAL])
    made.add_tokens([added("        ", special=False, normalized=False)])
    if family == "llama":  # a text begins with a special token
        first = ("<|im_start|>", made.token_to_id("<|im_start|>"))
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[first]
        )
    return made.to_str()


def folder(path, family="gpt2", *, ends=("<|endoftext|>",), **shape):
    """A plain Hugging Face folder: no minilrm.json, an embedding that is larger than the
    vocabulary."""
    contents = definition(family)
    text = json.dumps(contents, ensure_ascii=False)
    ids = {token["content"]: token["id"] for token in contents["added_tokens"]}
    ends = [ids[name] for name in ends]
    tokenizer = ForeignTokenizer(
        text, ends, size=512, beside={"tokenizer_config.json": '{"eos_token": "<|endoftext|>"}'}
    )
    config = SHAPE.__class__(**vars(SHAPE) | {"vocab_size": 512} | shape)
    checkpoint.save(path, likely_model(config, ends[0]), tokenizer)
    (path / "minilrm.json").unlink()
    return path


def likely_model(config, end):
    """A random model in which some tokens are likelier than others, and which ends now and then."""
    torch.manual_seed(0)
    model = Transformer(config)
    with torch.no_grad():
        model.embed_tokens.weight.mul_(20)
        usual = model.hidden(torch.randint(400, (32, 32))).mean((0, 1))
        model.embed_tokens.weight[end] = 4 * usual / usual.square().sum()
    return model
