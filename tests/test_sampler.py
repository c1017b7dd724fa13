"""Generation: which tokens come, with which probabilities, whatever the batch. (Hooks:
test_sampler_hooks.py.)"""

import doctest
import importlib
import math
from dataclasses import replace

import pytest
import torch

from minilrm import checkpoint
from minilrm.model import SCALES, ModelConfig, Transformer
from minilrm.sampler import (
    Ban,
    Engine,
    Force,
    Picker,
    decoding,
    generate,
    inverse_cdf,
    truncate,
    uniform_noise,
)
from minilrm.sampler.hooks import Hooks
from minilrm.tokenizer import Tokenizer

TOK = Tokenizer.train(["the cat sat on the mat, the cat"] * 9, vocab_size=292)
EOS = TOK.eos_id
PROMPTS = ["the cat", "a", "the mat, the cat sat", "no on"]  # of unequal length
# What the model below likes to say: a dozen tokens, among them the end, a half of "é", a tag and a
# word.
LIKED = [
    EOS,
    *TOK.encode("a.\n4é"),
    TOK.special_ids["<think>"],
    *TOK.encode(" t"),
    TOK.vocab_size - 1,
]


def liking(ids, seed=0):
    """A random model that gives almost all probability to these ids, and shares it out otherwise
    after each prompt.

    The first coordinate of the residual stream is made large and constant, so that it works as a
    bias of the output.
    """
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(
        ModelConfig(
            vocab_size=TOK.vocab_size,
            dim=24,
            n_layers=2,
            n_heads=4,
            n_kv_heads=2,
            head_dim=8,
            ffn_dim=32,
            max_seq_len=96,
            tie_embeddings=False,
        )
    )
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.copy_(
                    torch.randn(p.shape, generator=generator) * (0.35 if "lm_head" in name else 0.5)
                )
        model.embed_tokens.weight[:, 0] = 6.0
        model.lm_head_weight[:, 0] = -3.0
        model.lm_head_weight[ids, 0] = 0.5
    return model


MODEL = liking(LIKED)


def run(prompts=PROMPTS, model=MODEL, **options):
    options = {"max_new_tokens": 24, "seed": 0, **options}
    return generate(model, TOK, prompts, **options)


def flat(groups):
    return [completion for group in groups for completion in group]


def tokens(groups):
    return [completion.token_ids for completion in flat(groups)]


@torch.no_grad()
def next_logits(prompt, ids, model=MODEL):
    """Logits after prompt and ids, from the whole sequence, without a cache."""
    return model(torch.tensor([TOK.encode(prompt) + list(ids)]))[0, -1]


# -- The tokens ------------------------------------------------------------------------------------


def test_greedy_is_the_argmax_of_the_whole_sequence_each_time():
    for prompt, (completion,) in zip(PROMPTS, run(temperature=0), strict=True):
        ids = []
        while len(ids) < 24 and ids[-1:] != [EOS]:
            ids.append(int(next_logits(prompt, ids).argmax()))
        assert completion.token_ids == ids
        assert completion.logprobs == [0.0] * len(ids)


def test_greedy_needs_no_seed():
    assert run(temperature=0, seed=None) == run(temperature=0, seed=1)


def test_the_same_seed_gives_the_same_and_another_one_another():
    assert run(n=3) == run(n=3)
    assert tokens(run(n=3)) != tokens(run(n=3, seed=1))
    assert tokens(run(n=3, seed=None)) != tokens(run(n=3, seed=None))
    state = torch.get_rng_state()
    run(seed=None)
    # the global generator, which training uses, is left alone
    assert torch.equal(state, torch.get_rng_state())


def test_a_text_and_its_ids_are_the_same_prompt():
    assert run() == run([TOK.encode(prompt) for prompt in PROMPTS])


def test_a_text_cannot_smuggle_in_a_special_token():
    text = "the <think>"
    assert (
        tokens(run([text]))
        == tokens(run([TOK.encode(text)]))
        != tokens(run([TOK.encode(text, allow_special=True)]))
    )


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_logprobs_are_those_of_a_full_forward_pass(temperature):
    groups = run(n=4, temperature=temperature)
    assert len({len(ids) for ids in tokens(groups)}) > 3  # rows left the batch at different times
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for completion in group:
            ids = TOK.encode(prompt) + completion.token_ids
            with torch.no_grad():
                logits = MODEL(torch.tensor([ids]))[0, len(TOK.encode(prompt)) - 1 : -1]
            wanted = (
                (logits / temperature)
                .log_softmax(-1)
                .gather(1, torch.tensor(completion.token_ids)[:, None])
            )
            torch.testing.assert_close(
                torch.tensor(completion.logprobs), wanted[:, 0], atol=1e-5, rtol=0
            )


@pytest.mark.parametrize(
    "options", [{"top_k": 3}, {"top_p": 0.6}, {"top_p": 0.8, "top_k": 5, "temperature": 1.5}]
)
def test_logprobs_are_of_the_truncated_distribution(options):
    for prompt, group in zip(PROMPTS, run(n=4, **options), strict=True):
        for completion in group:
            for t, (token, logprob) in enumerate(
                zip(completion.token_ids, completion.logprobs, strict=True)
            ):
                full = (
                    next_logits(prompt, completion.token_ids[:t]) / options.get("temperature", 1)
                ).log_softmax(-1)
                wanted = truncate(full[None], options.get("top_p", 1.0), options.get("top_k", 0))[
                    0, token
                ]
                assert logprob == pytest.approx(wanted.item(), abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 1.3])
def test_sampled_frequencies_are_the_softmax(temperature):
    """Chi-square of the first token of 4000 completions; a right sampler exceeds the bound once in
    about 10^6 seeds."""
    count = 4000
    groups = run(PROMPTS[:1], n=count, max_new_tokens=1, temperature=temperature)
    first = torch.tensor([ids[0] for ids in tokens(groups)])
    expected = (next_logits(PROMPTS[0], []) / temperature).softmax(-1).double() * count
    seen = torch.bincount(first, minlength=TOK.vocab_size).double()
    rare = expected < 5  # pooled, as the test's approximation asks
    expected = torch.cat((expected[~rare], expected[rare].sum()[None]))
    seen = torch.cat((seen[~rare], seen[rare].sum()[None]))
    freedom = len(seen) - 1
    assert freedom >= 10
    assert ((seen - expected) ** 2 / expected).sum() < freedom + 5 * math.sqrt(2 * freedom) + 12


def test_rows_are_independent_of_each_other():
    """Two rows of the same prompt agree no more often than chance would have it."""
    first, second = torch.tensor(
        [
            [c.token_ids[0] for c in group]
            for group in run(PROMPTS[:1] * 1500, n=2, max_new_tokens=1)
        ]
    ).T
    chance = (next_logits(PROMPTS[0], []).softmax(-1) ** 2).sum().item()
    assert (first == second).double().mean().item() == pytest.approx(
        chance, abs=5 * math.sqrt(chance / 1500)
    )


# -- Batches ---------------------------------------------------------------------------------------


def test_n_completions_are_those_of_the_prompt_written_n_times():
    assert flat(run(n=5)) == flat(run([prompt for prompt in PROMPTS for _ in range(5)]))


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_the_work_may_be_split_anyhow(rows, monkeypatch):
    whole, streamed = run(n=3), []
    monkeypatch.setattr(decoding, "MAX_ROWS", rows)
    parts = run(n=3, stream=lambda row, token, sampled: streamed.append((row, token)))
    assert tokens(whole) == tokens(parts)
    for a, b in zip(flat(whole), flat(parts), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    # The hooks get the row's number in the whole, not in the part.
    assert [[token for r, token in streamed if r == row] for row in range(12)] == tokens(whole)


def test_a_large_model_decodes_fewer_rows_at_a_time(monkeypatch):
    """Keys and values of all rows together stay within the limit; of ours, 512 rows do."""
    engine = Engine(MODEL)
    assert decoding.rows_at_once(engine, 64) == 512
    c = MODEL.config
    row = 2 * c.n_layers * c.n_kv_heads * c.head_dim * 4 * 64
    monkeypatch.setattr(decoding, "CACHE_BYTES", 5 * row + 1)
    assert decoding.rows_at_once(engine, 64) == 5
    assert decoding.rows_at_once(Engine(MODEL, torch.bfloat16), 64) == 10
    assert decoding.rows_at_once(engine, 6400) == 1
    for shape in SCALES.values():
        largest = Engine(Transformer(shape))
        monkeypatch.undo()
        assert decoding.rows_at_once(largest, shape.max_seq_len) == decoding.MAX_ROWS


def test_a_row_says_the_same_in_other_company():
    """Place and prompt decide; what stands in the other rows, and when it ends, does not."""
    alone = tokens(run(["the cat", "a", "the cat"], n=2))
    other = tokens(run(["the cat", "the mat, the cat sat on the mat", "the cat"], n=2))
    assert alone[:2] == other[:2] and alone[4:] == other[4:] and alone[2:4] != other[2:4]
    ended = run(
        ["the cat", "a", "the cat"],
        n=2,
        allowed=lambda row, ids: Force([EOS]) if row in (2, 3) else None,
    )
    assert tokens(ended)[2:4] == [[EOS], [EOS]]
    assert tokens(ended)[:2] == alone[:2] and tokens(ended)[4:] == alone[4:]


def test_no_prompts_no_completions():
    assert run([]) == []


def test_decoding_in_half_precision_leaves_the_model_as_it_is():
    """And is what it says: its log-probs are those of the model in full precision, but for
    rounding."""
    before = {name: p.clone() for name, p in MODEL.state_dict().items()}
    groups = run(n=4, dtype=torch.bfloat16)
    assert all(
        p.dtype == torch.float32 and p.equal(before[name]) for name, p in MODEL.state_dict().items()
    )
    differences = []
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for c in group:
            ids = torch.tensor([TOK.encode(prompt) + c.token_ids])
            with torch.no_grad():
                wanted = MODEL(ids)[0, -len(c.token_ids) - 1 : -1].log_softmax(-1)
            differences += (
                wanted.gather(1, torch.tensor(c.token_ids)[:, None])[:, 0]
                - torch.tensor(c.logprobs)
            ).tolist()
    # 0 would mean that it decoded in full precision
    assert 0 < torch.tensor(differences).abs().mean() < 0.05
    half = liking(LIKED).to(torch.bfloat16)
    # a model that is in half precision needs no word
    assert all(c.token_ids for c in flat(run(model=half)))


@pytest.mark.parametrize(
    "finished, slots",
    [
        (0, 40),
        (4, 40),  # less than an eighth is not worth a copy of the cache
        (5, 40),
        (8, 32),
        (9, 32),  # at most as many as before, and multiples of 16
        (23, 32),
        (24, 16),
        (25, 15),
        (39, 1),
        (40, 0),
    ],
)
def test_finished_rows_leave_in_time(finished, slots):
    """Catches: a row that still runs left behind; sizes of all kinds, each of which costs a
    preparation."""
    engine = Engine(MODEL)
    cache, _ = decoding.begin(engine, [[40]], 40)
    batch = decoding.Batch(engine, cache, 4, Picker(0), Hooks(TOK), None, 0)
    for slot in range(0, 2 * finished, 2) if finished <= 20 else range(finished):
        batch.rows[slot] = None
    running = {row for row in batch.rows if row is not None}
    keep = batch.slots_to_keep()
    assert len(keep) == slots and keep == sorted(set(keep))
    if keep:
        batch.ids[:, 0] = torch.arange(40)
        new = batch.shrink(keep, torch.arange(40))
        assert running == {row for row in batch.rows if row is not None}
        assert new.tolist() == batch.ids[:, 0].tolist() == keep
        assert len(batch.rows) == batch.cache.rows == len(keep)


# -- Truncation ------------------------------------------------------------------------------------

PROBS = torch.tensor([[0.1, 0.4, 0.05, 0.3, 0.15]])


def kept(top_p=1.0, top_k=0, probs=PROBS):
    out = truncate(probs.log(), top_p, top_k).exp()[0]
    assert out.sum().item() == pytest.approx(1, abs=1e-6)
    chosen = out.nonzero().flatten()
    # renormalised, not changed
    torch.testing.assert_close(out[chosen], probs[0, chosen] / probs[0, chosen].sum())
    return chosen.tolist()


@pytest.mark.parametrize(
    "top_p, ids",
    [
        (0.3, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.69, [1, 3]),
        (0.71, [1, 3, 4]),
        (0.9, [0, 1, 3, 4]),
        (0.96, [0, 1, 2, 3, 4]),
        (1e-9, [1]),
    ],
)
def test_top_p_keeps_the_smallest_set_that_holds_it(top_p, ids):
    assert kept(top_p=top_p) == ids


@pytest.mark.parametrize(
    "top_k, ids", [(1, [1]), (2, [1, 3]), (4, [0, 1, 3, 4]), (5, [*range(5)]), (99, [*range(5)])]
)
def test_top_k_keeps_the_k_likeliest(top_k, ids):
    assert kept(top_k=top_k) == ids


def test_top_p_and_top_k_together_keep_what_both_keep():
    assert kept(top_p=0.96, top_k=3) == [1, 3, 4] and kept(top_p=0.41, top_k=3) == [1, 3]


def test_top_p_holds_for_random_distributions():
    torch.manual_seed(0)
    for _ in range(50):
        probs = torch.randn(1, 40).mul(2).softmax(-1)
        top_p = torch.rand(()).item() * 0.98 + 0.01
        mass = probs[0, kept(top_p=top_p, probs=probs)]
        assert mass.sum() >= top_p - 1e-6 and mass.sum() - mass.min() < top_p + 1e-6


def test_sampling_stays_within_the_truncation():
    (group,) = run(PROMPTS[:1], n=500, max_new_tokens=1, top_k=3)
    assert {c.token_ids[0] for c in group} == set(
        next_logits(PROMPTS[0], []).topk(3).indices.tolist()
    )


# -- From a uniform number to a token --------------------------------------------------------------


def test_the_inverse_of_the_cumulative_distribution():
    probs = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).expand(6, 4)
    u = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-24])
    assert inverse_cdf(probs, u).tolist() == [0, 0, 2, 2, 3, 3]


def test_what_has_no_probability_is_never_sampled():
    """Not at the ends either, where rounding in the sum could let it."""
    torch.manual_seed(0)
    for _ in range(20):
        probs = torch.rand(64, 1024).mul(8).softmax(-1)
        probs[:, :3] = probs[:, -3:] = 0
        for u in (0.0, 1 - 2**-24):
            ids = inverse_cdf(probs, torch.full((64,), u))
            assert (probs.gather(1, ids[:, None]) > 0).all()


def test_every_row_and_step_has_its_own_number():
    u = uniform_noise(30, 40, seed=5)
    assert u.shape == (30, 40) and u.min() >= 0 and u.max() < 1 and len(u.unique()) > 1190
    assert torch.equal(u, uniform_noise(30, 40, seed=5)) and torch.equal(
        u[:7], uniform_noise(7, 40, seed=5)
    )


def test_temperature_sharpens_before_anything_is_cut():
    logits, u = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([0.5])
    _, logprob = Picker(temperature=0.5)(logits, u)
    assert logprob.item() == pytest.approx(
        torch.tensor([0.0, 2.0, 4.0]).log_softmax(-1)[2].item(), abs=1e-6
    )


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"n": 0},
        {"max_new_tokens": 0},
        {"prompts": ["a", ""]},
        {"prompts": [[]]},
        {"prompts": "the cat"},
        {"stop": "the"},
        {"stop": ["a", ""]},
        {"max_new_tokens": 96},
        {"prompts": ["a" * 80]},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError):
        run(**options)


def test_a_prompt_and_its_completion_may_fill_the_context():
    model = liking([40])
    model.config = replace(model.config, max_seq_len=10)
    assert (
        len(
            run([[40] * 4], model=model, max_new_tokens=6, allowed=lambda r, i: Ban([EOS]))[0][
                0
            ].token_ids
        )
        == 6
    )
    with pytest.raises(ValueError, match="context of 10"):
        run([[40] * 5], model=model, max_new_tokens=6)


# -- Examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "room",
    ["kernels", "model"]
    + [f"sampler.{name}" for name in ("generation", "engine", "cache", "picking", "hooks")]
    + ["sampler.fused", "sampler.workers"],
)
def test_the_examples_in_the_docstrings_are_true(room):
    model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
    given = {
        "model": model,
        "tokenizer": tokenizer,
        "generate": generate,
        "prompts": ["Question: What is 2 + 2?\nAnswer:"],
        "cache": Engine(model).prefill([[40], [41, 42], [43, 44, 45]])[0],
    }
    module = importlib.import_module(f"minilrm.{room}")
    failed, run = doctest.testmod(module, extraglobs=given)
    assert run and not failed
