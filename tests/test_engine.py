"""The engine, which is laid out for speed, against the model, which is laid out to be read: step by
step, with caches forked and joined, while the model learns, and under a beam search."""

import copy
import itertools

import pytest
import torch

from minilrm.model import apply_rope, rope_tables
from minilrm.sampler import Engine, generate, join
from minilrm.sampler import engine as engine_room
from minilrm.sampler.cache import BLOCK
from minilrm.sampler.fused import pair_order, rotate, turns
from tests.test_model import FAMILIES, SHAPES, TINY, random_ids, random_model
from tests.test_sampler import EOS, MODEL, PROMPTS, TOK, run

STEPS = BLOCK + 3  # the cache grows at least once
LENGTHS = (3, 8, 1)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def begin(model, n=2, dtype=None):
    """An engine that has read prompts of unequal length, n rows for each, and what is to come:
    (engine, cache, logits, the ids of the steps [rows, STEPS], each row's whole text)."""
    engine = Engine(model, dtype)
    prompts = [random_ids(model.config, length, seed=length).tolist() for length in LENGTHS]
    cache, logits = engine.prefill(prompts)
    rows = torch.arange(len(prompts)).repeat_interleave(n)
    rest = random_ids(model.config, len(rows), STEPS, seed=1)
    whole = [prompts[row] + ids.tolist() for row, ids in zip(rows, rest, strict=True)]
    return engine, cache.fork(rows), logits[rows], rest, whole


def alone(model, ids, steps):
    """The model's logits of one row by itself, of its last `steps` + 1 positions."""
    return model(torch.tensor([ids]))[0, -steps - 1 :]


# -- step by step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", (SHAPES | FAMILIES).values(), ids=(SHAPES | FAMILIES).keys())
def test_step_by_step_it_says_what_the_model_says_of_each_row_alone(config):
    """Catches: a weight forgotten when they are multiplied together, pairs reordered on one side
    only, positions or padding of the neighbour's prompt, a biased projection without its bias, a
    cache that loses columns as it grows."""
    model = random_model(config)
    engine, cache, logits, rest, whole = begin(model)
    said = [logits]
    for ids in rest.T:
        said.append(engine.step(ids, cache))
    said = torch.stack(said, dim=1)
    assert cache.length == max(LENGTHS) + STEPS and cache.bias.shape[-1] % BLOCK == 0
    for row, ids in enumerate(whole):
        torch.testing.assert_close(said[row], alone(model, ids, STEPS), atol=1e-4, rtol=1e-4)


def test_columns_that_hold_nothing_yet_are_zeros_behind_a_bias():
    """Fresh memory may hold NaN, and 0 * NaN is NaN: a bug that shows only now and then."""
    _, cache, _, _, _ = begin(random_model(TINY), n=1)
    begins = [max(LENGTHS) - length for length in LENGTHS]
    for _ in range(BLOCK + 1):
        for k, v in zip(cache.k, cache.v, strict=True):
            assert k.is_contiguous() and v.is_contiguous()
            assert k.shape[2] == v.shape[3] == cache.bias.shape[-1]
            assert not k[:, :, cache.length :].any() and not v[..., cache.length :].any()
            assert k[:, :, max(LENGTHS) - 1].all() and v[..., max(LENGTHS) - 1].all()
        seen = cache.bias[:, 0] == 0
        assert [row.nonzero().flatten().tolist() for row in seen] == [
            list(range(b, cache.length)) for b in begins
        ]
        assert cache.bias[~seen[:, None]].isneginf().all()
        cache.open_column()


def test_in_half_precision_it_is_nearer_to_the_model_than_the_models_own():
    """The residual stream stays in float32, as under autocast in training."""
    model = random_model(TINY)
    engine, cache, _, rest, whole = begin(model, dtype=torch.bfloat16)
    half, halved = random_model(TINY).to(torch.bfloat16), []
    error = []
    for t, ids in enumerate(rest.T):
        logits = engine.step(ids, cache)
        assert logits.dtype == torch.bfloat16
        for row in range(len(rest)):
            wanted = alone(model, whole[row], STEPS)[t + 1].log_softmax(-1)
            error.append((logits[row].float().log_softmax(-1) - wanted).abs().mean())
            own = alone(half, whole[row], STEPS)[t + 1].float().log_softmax(-1)
            halved.append((own - wanted).abs().mean())
    assert torch.stack(error).mean() < 0.9 * torch.stack(halved).mean() < 0.1


@pytest.mark.parametrize("head_dim, theta", [(10, 777.0), (32, 10_000.0)])
def test_a_rotation_by_complex_numbers_is_the_models(head_dim, theta):
    torch.manual_seed(0)
    x, positions, order = torch.randn(40, 3, head_dim), torch.arange(40), pair_order(head_dim)
    turn = turns(40, head_dim, theta)[positions][:, None]
    cos, sin = rope_tables(positions[:, None], head_dim, theta)
    wanted = apply_rope(x[:, :, None], cos[:, None], sin[:, None])[:, :, 0]
    torch.testing.assert_close(rotate(x[..., order], turn), wanted[..., order])
    assert sorted(order.tolist()) == list(range(head_dim))


def test_a_prompt_is_read_once_whatever_the_number_of_its_completions(monkeypatch):
    model, read = copy.deepcopy(MODEL), []
    hidden = model.hidden

    def watched(ids, **more):
        read.append(ids.shape)
        return hidden(ids, **more)

    monkeypatch.setattr(model, "hidden", watched)
    generate(model, TOK, [[40, 41], [42]], n=5, max_new_tokens=3)
    assert read == [(2, 2)]


# -- caches, forked and joined ---------------------------------------------------------------------


def test_rows_go_on_when_others_have_left():
    model = random_model(TINY)
    engine, cache, _, rest, whole = begin(model)
    left = torch.arange(len(rest))
    for t, keep in enumerate(([0, 2, 3, 5], [1, 2, 3], [0], [0])):
        cache, left = cache.fork(keep), left[keep]
        logits = engine.step(rest[left, t], cache)
        for logit, row in zip(logits, left, strict=True):
            wanted = alone(model, whole[row], STEPS)[t + 1]
            torch.testing.assert_close(logit, wanted, atol=1e-4, rtol=1e-4)


def test_a_fork_goes_its_own_way_and_leaves_the_row_it_came_from_alone():
    """Catches: forks that write into each other's columns, or into those of their origin."""
    model = random_model(TINY)
    engine, cache, _, rest, whole = begin(model, n=1)
    read = [ids[:-STEPS] for ids in whole]
    ways = cache.fork(torch.tensor([2, 1, 1]))
    for ids in ([3, 4, 5], [6, 7, 8]):
        said = engine.step(torch.tensor(ids), ways)
    for row, origin, ids in zip(said, (2, 1, 1), ([3, 6], [4, 7], [5, 8]), strict=True):
        wanted = alone(model, read[origin] + ids, 0)[0]
        torch.testing.assert_close(row, wanted, atol=1e-4, rtol=1e-4)
    assert cache.length == max(LENGTHS) and cache.rows == 3
    for t in range(2):
        said = engine.step(rest[:, t], cache)
    for row, ids in zip(said, whole, strict=True):
        wanted = alone(model, ids[: len(ids) - STEPS + 2], 0)[0]
        torch.testing.assert_close(row, wanted, atol=1e-4, rtol=1e-4)


def test_rows_from_different_places_of_a_search_go_on_together():
    """Catches: a joined row whose positions or beginning are those of the longest."""
    model = random_model(TINY)
    engine, cache, _, rest, whole = begin(model, n=1)
    read = [ids[:-STEPS] for ids in whole]
    later = cache.fork([2, 0])
    for t in range(BLOCK):  # into another block
        engine.step(rest[[2, 0], t], later)
    both = join([cache, later])
    assert (both.rows, both.length) == (5, later.length)
    assert both.bias.shape[-1] % BLOCK == 0 and both.bias.shape[-1] == both.k[0].shape[2]
    texts = [*read, read[2] + rest[2, :BLOCK].tolist(), read[0] + rest[0, :BLOCK].tolist()]
    for ids in ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]):
        said = engine.step(torch.tensor(ids), both)
        texts = [text + [i] for text, i in zip(texts, ids, strict=True)]
    for row, text in zip(said, texts, strict=True):
        torch.testing.assert_close(row, alone(model, text, 0)[0], atol=1e-4, rtol=1e-4)


# -- a beam ----------------------------------------------------------------------------------------


def beam(engine, prompt, width, max_new_tokens, eos):
    """The likeliest continuations of a prompt (ids), best first: [(log-probability, ids)].

    Finished ones are put aside, and the beam goes on with as many fewer rows.
    """
    cache, logits = engine.prefill([prompt])
    texts, scores, finished = [[]], torch.zeros(1), []
    for t in range(max_new_tokens):
        total = scores[:, None] + logits.log_softmax(-1)  # [rows, V]
        scores, best = total.flatten().topk(min(width - len(finished), total.numel()))
        rows, ids = best // total.shape[1], best % total.shape[1]
        texts = [texts[row] + [i] for row, i in zip(rows.tolist(), ids.tolist(), strict=True)]
        going = [i for i, text in enumerate(texts) if text[-1] != eos and t + 1 < max_new_tokens]
        finished += [(float(scores[i]), texts[i]) for i in range(len(texts)) if i not in going]
        if not going:
            break
        texts, scores = [texts[i] for i in going], scores[going]
        cache = cache.fork(rows[going])
        logits = engine.step(ids[going], cache)
    return sorted(finished, reverse=True)


def test_a_beam_of_width_1_is_greedy_decoding():
    engine = Engine(MODEL)
    for prompt, (completion,) in zip(PROMPTS, run(temperature=0), strict=True):
        greedy = completion.token_ids
        ((score, ids),) = beam(engine, TOK.encode(prompt), 1, 24, EOS)
        assert ids == greedy and score < 0
        end = greedy[3]  # taken for the end of text
        ((_, ids),) = beam(engine, TOK.encode(prompt), 1, 24, end)
        assert ids == greedy[: greedy.index(end) + 1]


def test_a_beam_as_wide_as_the_tree_finds_the_likeliest_of_all_texts():
    config = SHAPES["one key head"]
    model, eos, steps = random_model(config), 2, 2
    texts = [[eos]] + [
        list(ids)
        for ids in itertools.product(range(config.vocab_size), repeat=steps)
        if ids[0] != eos
    ]
    ids = torch.tensor([[5, 6, 7] + (text + [eos])[:steps] for text in texts])
    logprobs = model(ids)[:, 2:-1].log_softmax(-1).gather(2, ids[:, 3:, None])[..., 0]
    scores = [x[: len(text)].sum().item() for x, text in zip(logprobs, texts, strict=True)]
    found = beam(Engine(model), [5, 6, 7], len(texts), steps, eos)
    assert sorted(ids for _, ids in found) == sorted(texts)
    assert found[0][1] == texts[max(range(len(texts)), key=scores.__getitem__)]
    assert found[0][0] == pytest.approx(max(scores), abs=1e-4)


# -- a model that learns ---------------------------------------------------------------------------


def optimizer_step(model):
    with torch.enable_grad():
        model(torch.tensor([[1, 2, 3]])).logsumexp(-1).sum().backward()
    torch.optim.AdamW(model.parameters(), lr=0.1).step()


def other_weights(model):
    model.load_state_dict(random_model(model.config, seed=7).state_dict())


def behind_autograds_back(model):
    model.layers[1].mlp.up_proj.weight.data[0, 0] += 3.0


def swapped(model):
    model.embed_tokens.weight[[1, 3]] = model.embed_tokens.weight[[3, 1]]


def replaced(model):
    torch.nn.utils.vector_to_parameters(
        1.5 * torch.nn.utils.parameters_to_vector(model.parameters()), model.parameters()
    )


CHANGES = [optimizer_step, other_weights, behind_autograds_back, swapped, replaced]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_engine_never_answers_from_old_weights(change, dtype):
    """Catches: fused weights, or a half-precision copy, kept while the model learns."""
    model = random_model(TINY)
    engine = Engine(model, dtype)
    old, before = engine.prefill([[1, 2, 3]])
    change(model)
    cache, logits = engine.prefill([[1, 2, 3]])
    fresh = Engine(copy.deepcopy(model), dtype)
    fresh_cache, wanted = fresh.prefill([[1, 2, 3]])
    assert torch.equal(logits, wanted) and not torch.equal(logits, before)
    ids = torch.tensor([4])
    assert torch.equal(engine.step(ids, cache), fresh.step(ids, fresh_cache))
    with pytest.raises(ValueError, match="filled by other weights; prefill"):
        engine.step(ids, old)
    with pytest.raises(ValueError, match="filled by the same weights"):
        join([old, cache])


def test_a_text_goes_on_with_the_weights_that_read_it():
    """Catches: an engine that shares memory with its model, so that half a text is one model's."""
    model = random_model(TINY)
    engine, cache, _, rest, whole = begin(model)
    wanted = [alone(model, ids, STEPS)[1] for ids in whole]
    for p in model.parameters():
        p.mul_(1.7)
    for said, right in zip(engine.step(rest[:, 0], cache), wanted, strict=True):
        torch.testing.assert_close(said, right, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=str)
def test_generate_says_the_same_by_an_engine_and_lays_out_weights_once(dtype, monkeypatch):
    made, how = [], {"n": 3, "max_new_tokens": 12, "seed": 0}
    make = engine_room.FusedTransformer
    monkeypatch.setattr(
        engine_room, "FusedTransformer", lambda *args: made.append(1) or make(*args)
    )
    model = copy.deepcopy(MODEL)
    engine = Engine(model, dtype)
    for _ in range(3):
        assert generate(engine, TOK, PROMPTS, **how) == generate(
            model, TOK, PROMPTS, dtype=dtype, **how
        )
    assert len(made) == 4  # one for the engine, three for the model
    model.embed_tokens.weight.mul_(1.3)
    assert generate(engine, TOK, PROMPTS, **how) == generate(
        model, TOK, PROMPTS, dtype=dtype, **how
    )


def test_the_models_weights_are_copied_not_touched():
    model = random_model(TINY)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    engine, cache, _, rest, _ = begin(model)
    engine.step(rest[:, 0], cache)
    assert all(p.equal(before[name]) for name, p in model.state_dict().items())
    fused = engine.weights
    own = [fused.embedding, fused.head]
    own += [w for b in fused.blocks for w in (b.qkv, b.gate_up, b.scale, b.out, b.down)]
    assert not {w.data_ptr() for w in own} & {p.data_ptr() for p in model.parameters()}


def test_an_engine_made_while_gradients_or_inference_are_on_works_under_any_other():
    """Catches: tensors of inference mode that cannot be written to outside of it."""
    model = random_model(TINY)
    with torch.inference_mode():
        engine = Engine(model, torch.bfloat16)
        inside = random_model(TINY)  # its parameters count no writes
    for mode in (torch.enable_grad, torch.inference_mode):
        with mode():
            for made in (engine, Engine(inside)):
                cache, logits = made.prefill([[1, 2], [3]])
                logits[0, 5] = float("-inf")
                assert not made.step(logits.argmax(-1), cache.fork([1, 0])).requires_grad


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("prompts", [[], [[1], []], [[1] * 65]], ids=["none", "empty", "too long"])
def test_prompts_that_cannot_be_read_are_refused(prompts):
    with pytest.raises(ValueError, match="empty prompt|exceeds the context of 64"):
        Engine(random_model(TINY)).prefill(prompts)


def test_steps_that_make_no_sense_are_refused():
    model = random_model(TINY)
    engine = Engine(model)
    cache, _ = engine.prefill([[1] * 62, [2]])
    with pytest.raises(ValueError, match="2 rows take as many ids"):
        engine.step(torch.tensor([1]), cache)
    with pytest.raises(ValueError, match="filled by other weights"):
        Engine(model).step(torch.tensor([1, 2]), cache)
    for _ in range(2):
        engine.step(torch.tensor([1, 2]), cache)
    with pytest.raises(ValueError, match="fills the context of 64"):
        engine.step(torch.tensor([1, 2]), cache)
    engine.step(torch.tensor([2]), cache.fork([1]))  # the short row has room
    with pytest.raises(ValueError, match="at least one cache"):
        join([])


def test_an_engine_decodes_in_its_own_precision():
    with pytest.raises(ValueError, match="decodes in torch.float32, not in torch.bfloat16"):
        run(model=Engine(MODEL), dtype=torch.bfloat16)
