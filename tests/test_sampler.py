"""Generation: the tokens, their probabilities, and everything that may reach into a running batch."""
import math
from dataclasses import replace

import pytest
import torch

from minilrm import sampler
from minilrm.model import ModelConfig, Transformer
from minilrm.sampler import Ban, Force, Picker, ToolError, generate, inverse_cdf, truncate, uniform_noise
from minilrm.tokenizer import Tokenizer

TOK = Tokenizer.train(["the cat sat on the mat, the cat"] * 9, vocab_size=292)
EOS = TOK.eos_id
PROMPTS = ["the cat", "a", "the mat, the cat sat", "no on"]  # of unequal length
# What the model below likes to say: a dozen tokens, among them the end, a half of "é", a tag and a word.
LIKED = [EOS, *TOK.encode("a.\n4é"), TOK.special_ids["<think>"], *TOK.encode(" t"), TOK.vocab_size - 1]


def liking(ids, seed=0):
    """A random model that gives almost all probability to these ids, and shares it out otherwise after each prompt.

    The first coordinate of the residual stream is made large and constant, so that it works as a bias of the output.
    """
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(ModelConfig(vocab_size=TOK.vocab_size, dim=24, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8,
                                    ffn_dim=32, max_seq_len=96, tie_embeddings=False))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.copy_(torch.randn(p.shape, generator=generator) * (0.35 if "lm_head" in name else 0.5))
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


def script(*rows):
    """An `allowed` hook that makes row i say rows[i], then end."""
    return lambda row, ids: Force([rows[row][len(ids)] if len(ids) < len(rows[row]) else EOS])


def saying(*texts, **options):
    return flat(run(["the"] * len(texts), allowed=script(*(TOK.encode(text, True) for text in texts)), **options))


@torch.no_grad()
def next_logits(prompt, ids, model=MODEL):
    """Logits after prompt and ids, from the whole sequence, without a cache."""
    return model(torch.tensor([TOK.encode(prompt) + list(ids)]))[0, -1]


# -- The tokens -------------------------------------------------------------------------------------------------------

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
    assert torch.equal(state, torch.get_rng_state())  # the global generator, which training uses, is left alone


def test_a_text_and_its_ids_are_the_same_prompt():
    assert run() == run([TOK.encode(prompt) for prompt in PROMPTS])


def test_a_text_cannot_smuggle_in_a_special_token():
    text = "the <think>"
    assert tokens(run([text])) == tokens(run([TOK.encode(text)])) != tokens(run([TOK.encode(text, allow_special=True)]))


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_logprobs_are_those_of_a_full_forward_pass(temperature):
    groups = run(n=4, temperature=temperature)
    assert len({len(ids) for ids in tokens(groups)}) > 3  # rows left the batch at different times
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for completion in group:
            ids = TOK.encode(prompt) + completion.token_ids
            with torch.no_grad():
                logits = MODEL(torch.tensor([ids]))[0, len(TOK.encode(prompt)) - 1:-1]
            wanted = (logits / temperature).log_softmax(-1).gather(1, torch.tensor(completion.token_ids)[:, None])
            torch.testing.assert_close(torch.tensor(completion.logprobs), wanted[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [{"top_k": 3}, {"top_p": 0.6}, {"top_p": 0.8, "top_k": 5, "temperature": 1.5}])
def test_logprobs_are_of_the_truncated_distribution(options):
    for prompt, group in zip(PROMPTS, run(n=4, **options), strict=True):
        for completion in group:
            for t, (token, logprob) in enumerate(zip(completion.token_ids, completion.logprobs, strict=True)):
                full = (next_logits(prompt, completion.token_ids[:t]) / options.get("temperature", 1)).log_softmax(-1)
                wanted = truncate(full[None], options.get("top_p", 1.0), options.get("top_k", 0))[0, token]
                assert logprob == pytest.approx(wanted.item(), abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 1.3])
def test_sampled_frequencies_are_the_softmax(temperature):
    """Chi-square of the first token of 4000 completions; a right sampler exceeds the bound once in about 10^6 seeds."""
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
    first, second = torch.tensor([[c.token_ids[0] for c in group] for group in
                                  run(PROMPTS[:1] * 1500, n=2, max_new_tokens=1)]).T
    chance = (next_logits(PROMPTS[0], []).softmax(-1) ** 2).sum().item()
    assert (first == second).double().mean().item() == pytest.approx(chance, abs=5 * math.sqrt(chance / 1500))


# -- Batches ----------------------------------------------------------------------------------------------------------

def test_n_completions_are_those_of_the_prompt_written_n_times():
    assert flat(run(n=5)) == flat(run([prompt for prompt in PROMPTS for _ in range(5)]))


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_the_work_may_be_split_anyhow(rows, monkeypatch):
    whole, streamed = run(n=3), []
    monkeypatch.setattr(sampler, "MAX_ROWS", rows)
    parts = run(n=3, stream=lambda row, token, sampled: streamed.append((row, token)))
    assert tokens(whole) == tokens(parts)
    for a, b in zip(flat(whole), flat(parts), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    # The hooks get the row's number in the whole, not in the part.
    assert [[token for r, token in streamed if r == row] for row in range(12)] == tokens(whole)


def test_a_row_says_the_same_in_other_company():
    """Place and prompt decide; what stands in the other rows, and when it ends, does not."""
    alone = tokens(run(["the cat", "a", "the cat"], n=2))
    other = tokens(run(["the cat", "the mat, the cat sat on the mat", "the cat"], n=2))
    assert alone[:2] == other[:2] and alone[4:] == other[4:] and alone[2:4] != other[2:4]
    ended = run(["the cat", "a", "the cat"], n=2, allowed=lambda row, ids: Force([EOS]) if row in (2, 3) else None)
    assert tokens(ended)[2:4] == [[EOS], [EOS]]
    assert tokens(ended)[:2] == alone[:2] and tokens(ended)[4:] == alone[4:]


def test_no_prompts_no_completions():
    assert run([]) == []


def test_decoding_in_half_precision_leaves_the_model_as_it_is():
    groups = run(n=2, dtype=torch.bfloat16)
    assert all(p.dtype == torch.float32 for p in MODEL.parameters())
    half = liking(LIKED).to(torch.bfloat16)
    assert tokens(groups) == tokens(run(n=2, model=half))


# -- How a completion ends --------------------------------------------------------------------------------------------

def test_the_end_of_text_is_a_token_but_no_text():
    (completion,) = saying("the cat")
    assert completion.finish_reason == "eos"
    assert completion.token_ids == [*TOK.encode("the cat"), EOS] and completion.mask == [1] * len(completion.token_ids)
    assert completion.text == completion.sampled_text == "the cat"
    assert len(completion.logprobs) == len(completion.token_ids)


def test_out_of_room():
    (completion,) = saying("the cat sat on the mat", max_new_tokens=5)
    assert completion.finish_reason == "length" and len(completion.token_ids) == 5
    (completion,) = saying("cat", max_new_tokens=len(TOK.encode("cat")) + 1)
    assert completion.finish_reason == "eos"  # the end came just in time


def test_sampled_completions_end_at_the_first_end_of_text():
    completions = flat(run(n=16))
    assert {c.finish_reason for c in completions} == {"eos", "length"}
    for c in completions:
        assert (c.token_ids.index(EOS) == len(c.token_ids) - 1 if c.finish_reason == "eos" else
                EOS not in c.token_ids and len(c.token_ids) == 24)
        assert c.text == c.sampled_text == TOK.decode([i for i in c.token_ids if i != EOS])


@pytest.mark.parametrize("text, stop, left", [
    ("the cat sat", ["cat"], "the "),
    ("the cat sat", ["at", "t "], "the c"),          # the first to be completed
    ("the cat, the mat", [", the", "mat"], "the cat"),
    ("4é.4", ["é"], "4"),                            # its bytes are two tokens
    ("a\n\n4", ["\n\n"], "a"),
    ("the <think>", ["<think>"], "the "),            # one special token
    ("the cat", ["dog", "the catt"], "the cat"),     # never completed
    ("the", ["the"], ""),
])
def test_a_stop_string_ends_the_text_before_itself(text, stop, left):
    (completion,) = saying(text, stop=stop)
    assert completion.text == completion.sampled_text == left
    assert completion.finish_reason == ("stop" if left != text else "eos")
    if left != text:  # the tokens are kept up to the one that completed it, for they were sampled and are trained on
        said = TOK.decode(completion.token_ids)
        assert any(s in said for s in stop) and not any(s in TOK.decode(completion.token_ids[:-1]) for s in stop)
        assert len(completion.mask) == len(completion.logprobs) == len(completion.token_ids)


def test_a_stop_string_in_the_prompt_does_not_count():
    (completion,) = flat(run(["the cat"], allowed=script(TOK.encode("4")), stop=["the", "t4"]))
    assert (completion.text, completion.finish_reason) == ("4", "eos")


def test_a_stop_string_ends_its_own_row_only():
    first, second = saying("the cat sat", "a mat.", stop=["cat"])
    assert (first.text, first.finish_reason) == ("the ", "stop")
    assert (second.text, second.finish_reason) == ("a mat.", "eos")


# -- Banning and forcing ----------------------------------------------------------------------------------------------

def test_banned_ids_are_not_said_and_the_rest_makes_up_the_distribution():
    banned = [LIKED[1], LIKED[2], EOS]
    for prompt, group in zip(PROMPTS, run(n=4, allowed=lambda row, ids: Ban(banned)), strict=True):
        for completion in group:
            assert not set(banned) & set(completion.token_ids) and completion.finish_reason == "length"
            for t, (token, logprob) in enumerate(zip(completion.token_ids, completion.logprobs, strict=True)):
                logits = next_logits(prompt, completion.token_ids[:t])
                logits[banned] = float("-inf")
                assert logprob == pytest.approx(logits.log_softmax(-1)[token].item(), abs=1e-5)


def test_a_ban_of_one_row_leaves_the_others_alone():
    free, bound = tokens(run(n=2)), tokens(run(n=2, allowed=lambda row, ids: Ban(LIKED) if row == 3 else None))
    assert free[:3] == bound[:3] and free[4:] == bound[4:] and not set(LIKED) & set(bound[3])


def test_one_forced_id_is_certain_and_several_share_the_probability():
    (completion,) = flat(run(["the"], allowed=lambda row, ids: Force([40]), max_new_tokens=3))
    assert completion.token_ids == [40] * 3 and completion.mask == [1] * 3
    assert completion.logprobs == pytest.approx([0, 0, 0], abs=1e-6)
    pair = LIKED[1:3]
    (group,) = run(["the"], n=200, allowed=lambda row, ids: Force(pair), max_new_tokens=1)
    wanted = next_logits("the", [])[pair].log_softmax(-1)
    assert {c.token_ids[0] for c in group} == set(pair)
    for c in group:
        assert c.logprobs[0] == pytest.approx(wanted[pair.index(c.token_ids[0])].item(), abs=1e-5)


def test_forcing_and_banning_hold_for_greedy_too():
    best = run(["the"], temperature=0)[0][0].token_ids[0]
    (completion,) = flat(run(["the"], temperature=0, max_new_tokens=1, allowed=lambda row, ids: Ban([best])))
    assert completion.token_ids[0] != best


def test_the_hook_sees_what_was_said_so_far():
    seen = {}

    def allowed(row, ids):
        seen.setdefault(row, []).append(ids)

    for row, ids in enumerate(tokens(run(n=3, allowed=allowed))):
        assert seen[row] == [ids[:t] for t in range(len(ids))]


def test_a_hook_that_makes_no_sense_is_told_so():
    with pytest.raises(ValueError, match="no token"):
        run(allowed=lambda row, ids: Force([]))
    with pytest.raises(ValueError, match="no token"):
        run(allowed=lambda row, ids: Ban(range(TOK.vocab_size)))
    with pytest.raises(TypeError, match="Ban, Force or None"):
        run(allowed=lambda row, ids: [3])


# -- Inserted text ----------------------------------------------------------------------------------------------------

ADDED = TOK.encode("= 4, ")


def after(length, extra=ADDED, rows=None):
    """An `intervene` hook that adds something once a row is so long."""
    return lambda row, ids: extra if len(ids) == length and (rows is None or row in rows) else None


def test_inserted_tokens_are_in_the_text_and_the_context_but_were_not_said():
    k, groups = len(ADDED), run(n=4, intervene=after(3), allowed=lambda row, ids: Ban([EOS]))
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for c in group:
            assert c.token_ids[3:3 + k] == ADDED
            assert c.mask == [1] * 3 + [0] * k + [1] * (21 - k)
            assert c.logprobs[3:3 + k] == [0.0] * k and all(x < 0 for x in c.logprobs[:3] + c.logprobs[3 + k:])
            assert c.text == TOK.decode(c.token_ids)
            assert c.sampled_text == TOK.decode(c.token_ids[:3] + c.token_ids[3 + k:])
            t = 3 + k  # what comes next depends on what was inserted
            logits = next_logits(prompt, c.token_ids[:t])
            logits[EOS] = float("-inf")
            assert c.logprobs[t] == pytest.approx(logits.log_softmax(-1)[c.token_ids[t]].item(), abs=1e-5)


def test_an_insertion_leaves_other_rows_alone():
    plain, touched = tokens(run(n=2)), tokens(run(n=2, intervene=after(1, rows={1, 4})))
    changed = [row for row in range(8) if plain[row] != touched[row]]
    assert changed == [row for row in (1, 4) if plain[row] != [EOS]]


def test_nobody_is_asked_while_inserted_text_is_fed():
    asked, wanted = [], []

    def allowed(row, ids):
        asked.append(len(ids))
        return Ban([EOS])

    def intervene(row, ids):
        wanted.append(len(ids))
        return ADDED if len(ids) == 2 else None

    run(["the"], intervene=intervene, allowed=allowed, max_new_tokens=10)
    end = 2 + len(ADDED)
    assert asked == [0, 1, *range(end, 10)]
    assert wanted == [1, 2, *range(end, 11)]


def test_inserted_text_counts_towards_the_length_and_may_be_cut():
    (completion,) = flat(run(["the"], intervene=after(2, ADDED * 5), max_new_tokens=6, allowed=lambda r, i: Ban([EOS])))
    assert completion.token_ids[2:] == (ADDED * 5)[:4] and completion.finish_reason == "length"


def test_an_inserted_end_of_text_ends_nothing():
    (completion,) = flat(run(["the"], intervene=after(2, [EOS]), max_new_tokens=6, allowed=lambda r, i: Ban([EOS])))
    assert completion.token_ids[2] == EOS and len(completion.token_ids) == 6


def test_a_tool_that_fails_ends_its_row():
    def intervene(row, ids):
        if row == 1 and len(ids) == 2:
            raise ToolError("no such tool")

    plain, broken = saying("the cat sat", "a mat."), saying("the cat sat", "a mat.", intervene=intervene)
    assert broken[0] == plain[0]
    assert broken[1].finish_reason == "tool_error" and broken[1].token_ids == plain[1].token_ids[:2]


def test_stop_strings_see_inserted_text_too():
    (completion,) = flat(run(["the"], intervene=after(2, TOK.encode("STOP.")), stop=["STOP"],
                             allowed=lambda r, i: Ban([EOS])))
    assert completion.finish_reason == "stop" and completion.text == completion.sampled_text
    assert completion.text == TOK.decode(completion.token_ids[:2])


def test_the_stream_gets_every_token_in_order():
    streamed = {}
    groups = run(n=3, intervene=after(2), stop=["."],
                 stream=lambda row, token, sampled: streamed.setdefault(row, []).append((token, sampled)))
    for row, completion in enumerate(flat(groups)):
        assert streamed[row] == [(i, bool(m)) for i, m in zip(completion.token_ids, completion.mask, strict=True)]


# -- Truncation -------------------------------------------------------------------------------------------------------

PROBS = torch.tensor([[0.1, 0.4, 0.05, 0.3, 0.15]])


def kept(top_p=1.0, top_k=0, probs=PROBS):
    out = truncate(probs.log(), top_p, top_k).exp()[0]
    assert out.sum().item() == pytest.approx(1, abs=1e-6)
    chosen = out.nonzero().flatten()
    torch.testing.assert_close(out[chosen], probs[0, chosen] / probs[0, chosen].sum())  # renormalised, not changed
    return chosen.tolist()


@pytest.mark.parametrize("top_p, ids", [(0.3, [1]), (0.39, [1]), (0.41, [1, 3]), (0.69, [1, 3]), (0.71, [1, 3, 4]),
                                        (0.9, [0, 1, 3, 4]), (0.96, [0, 1, 2, 3, 4]), (1e-9, [1])])
def test_top_p_keeps_the_smallest_set_that_holds_it(top_p, ids):
    assert kept(top_p=top_p) == ids


@pytest.mark.parametrize("top_k, ids", [(1, [1]), (2, [1, 3]), (4, [0, 1, 3, 4]), (5, [*range(5)]), (99, [*range(5)])])
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
    assert {c.token_ids[0] for c in group} == set(next_logits(PROMPTS[0], []).topk(3).indices.tolist())


# -- From a uniform number to a token ---------------------------------------------------------------------------------

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
    assert torch.equal(u, uniform_noise(30, 40, seed=5)) and torch.equal(u[:7], uniform_noise(7, 40, seed=5))


def test_temperature_sharpens_before_anything_is_cut():
    logits, u = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([0.5])
    _, logprob = Picker(temperature=0.5)(logits, u)
    assert logprob.item() == pytest.approx(torch.tensor([0.0, 2.0, 4.0]).log_softmax(-1)[2].item(), abs=1e-6)


# -- What is refused --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [
    {"temperature": -0.1}, {"temperature": math.nan}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"n": 0},
    {"max_new_tokens": 0}, {"prompts": ["a", ""]}, {"prompts": [[]]}, {"prompts": "the cat"}, {"stop": "the"},
    {"stop": ["a", ""]}, {"max_new_tokens": 96}, {"prompts": ["a" * 80]},
], ids=str)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError):
        run(**options)


def test_a_prompt_and_its_completion_may_fill_the_context():
    model = liking([40])
    model.config = replace(model.config, max_seq_len=10)
    assert len(run([[40] * 4], model=model, max_new_tokens=6, allowed=lambda r, i: Ban([EOS]))[0][0].token_ids) == 6
    with pytest.raises(ValueError, match="context of 10"):
        run([[40] * 5], model=model, max_new_tokens=6)
