"""A real model, where there is one: SmolLM2-135M-Instruct (or another) in the folder that the
environment variable MINILRM_REAL names. The ids, the logits and the greedy answers are those of
`transformers`.

    python -m minilrm.checkpoint import SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2
    MINILRM_REAL=smollm2 python -m pytest tests/test_real_model.py
"""

import os

import pytest
import torch

from minilrm import checkpoint
from minilrm.sampler import generate
from minilrm.tokenizer import ForeignTokenizer

FOLDER = os.environ.get("MINILRM_REAL", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="MINILRM_REAL names no model")
QUESTIONS = ("What is the capital of France?", "Tom has 3 boxes of 4 pens. How many pens?")


@pytest.fixture(scope="module")
def ours():
    opened = checkpoint.open_model(FOLDER)
    assert isinstance(opened.tokenizer, ForeignTokenizer)
    return opened


@pytest.fixture(scope="module")
def theirs():
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    return tokenizer, model.eval()


@pytest.fixture(scope="module")
def prompts(ours):
    ours.tokenizer.start_chat()
    return [ours.tokenizer.encode_prompt(question) for question in QUESTIONS]


def test_the_ids_are_those_of_transformers(ours, theirs, prompts):
    library, _ = theirs
    for question, ids in zip(QUESTIONS, prompts, strict=True):
        turns = [{"role": "user", "content": question}]
        wanted = library.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        assert ids == wanted
    for text in (*QUESTIONS, "  x = 12345\n\n\tit's ¿cuántas? 日本 🙂", "<|im_end|>"):
        wanted = library(text, add_special_tokens=False).input_ids
        assert ours.tokenizer.encode(text, allow_special=True) == wanted
    assert ours.tokenizer.eos_id not in ours.tokenizer.encode("<|im_end|><|endoftext|>")


def test_the_logits_are_those_of_transformers(ours, theirs, prompts):
    with torch.no_grad():
        for ids in prompts:
            logits = theirs[1](torch.tensor([ids])).logits
            found = ours.model(torch.tensor([ids]))
            torch.testing.assert_close(found, logits, rtol=1e-3, atol=1e-3)


def test_greedy_answers_are_those_of_transformers(ours, theirs, prompts):
    answers = generate(ours.model, ours.tokenizer, prompts, max_new_tokens=24, temperature=0)
    for ids, (answer,) in zip(prompts, answers, strict=True):
        written = theirs[1].generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)
        wanted = written[0][len(ids) :].tolist()
        assert answer.token_ids == wanted
        assert answer.text == theirs[0].decode(wanted, skip_special_tokens=True)
