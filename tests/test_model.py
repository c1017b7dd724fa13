"""The transformer: the same numbers as Hugging Face's Qwen3, with and without a cache, alone and in
a batch."""

from dataclasses import replace

import pytest
import torch

from minilrm import checkpoint, kernels
from minilrm.kernels import (
    EXPLICIT_UP_TO,
    SharedPrefix,
    attend,
    attend_explicit,
    attend_fused,
    join,
    normalise,
)
from minilrm.model import (
    SCALES,
    KVCache,
    ModelConfig,
    ScalarHead,
    Transformer,
    apply_rope,
    count_parameters,
    rope_tables,
)

TINY = ModelConfig(
    vocab_size=61,
    dim=24,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    head_dim=8,
    ffn_dim=40,
    max_seq_len=64,
)
SHAPES = {
    "tied": TINY,
    "untied": replace(TINY, tie_embeddings=False),
    "no grouping": replace(TINY, n_kv_heads=4),
    "one key head": replace(TINY, n_heads=3, n_kv_heads=1),
    "odd sizes": ModelConfig(
        vocab_size=37,
        dim=21,
        n_layers=3,
        n_heads=6,
        n_kv_heads=3,
        head_dim=10,
        ffn_dim=31,
        max_seq_len=50,
        rope_theta=777.0,
        norm_eps=1e-3,
    ),
    "head_dim above dim / heads": replace(
        TINY, n_heads=2, n_kv_heads=2, head_dim=34, rope_theta=1e6
    ),
}
FAMILIES = {
    "qwen2": replace(TINY, qk_norm=False, qkv_bias=True),
    "llama": replace(TINY, qk_norm=False),
}


def random_model(config, seed=0):
    """A model whose every number is random: norms of exactly 1 and biases of 0 would hide that they
    are not used."""
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(config)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(
                torch.randn(p.shape, generator=generator) * 0.3 + (1.0 if p.dim() == 1 else 0.0)
            )
    return model


def random_ids(config, *shape, seed=0):
    return torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


# -- Hugging Face ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", (SHAPES | FAMILIES).values(), ids=(SHAPES | FAMILIES).keys())
def test_transformers_opens_ours_and_gets_the_same_logits(config, tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = random_model(config)
    checkpoint.save(tmp_path / "ours", ours, None)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values())  # no weight was missing, left over, or of another size
    assert sum(p.numel() for p in theirs.parameters()) == count_parameters(ours)
    ids = random_ids(config, 3, 29)
    torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES.keys())
def test_ours_opens_theirs_and_gets_the_same_logits(config, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=config.vocab_size,
            hidden_size=config.dim,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            head_dim=config.head_dim,
            intermediate_size=config.ffn_dim,
            max_position_embeddings=config.max_seq_len,
            rms_norm_eps=config.norm_eps,
            tie_word_embeddings=config.tie_embeddings,
            pad_token_id=1,
            bos_token_id=None,
            eos_token_id=0,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        )
    ).eval()
    for p in theirs.parameters():
        p.add_(torch.randn_like(p) * 0.3)
    theirs.save_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="4KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    ids = random_ids(config, 3, 29)
    for name in ("whole", "shards"):
        ours, tokenizer, info = checkpoint.load(tmp_path / name)
        assert ours.config == config and tokenizer is None and info == checkpoint.Info()
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-5)


def test_decoding_greedily_gives_what_transformers_generate_gives(tmp_path):
    transformers = pytest.importorskip("transformers")
    from minilrm.sampler import generate
    from minilrm.tokenizer import Tokenizer

    tokenizer = Tokenizer.train(["a b c"], vocab_size=300)
    model = random_model(replace(TINY, vocab_size=tokenizer.vocab_size))
    checkpoint.save(tmp_path / "ours", model, tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32
    )
    assert theirs.generation_config.eos_token_id == tokenizer.eos_id
    prompt = [40, 41, 42]
    ours = generate(model, tokenizer, [prompt], max_new_tokens=20, temperature=0)[0][0]
    ids = theirs.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)[
        0, len(prompt) :
    ]
    assert ours.token_ids == ids.tolist()


# -- The cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("pieces", [(12,), (1,) * 12, (5, 7), (1, 4, 1, 6)], ids=str)
def test_a_cache_changes_nothing_however_the_tokens_come(config, pieces):
    model, ids = random_model(config), random_ids(config, 3, 12)
    cache, out = KVCache(config, 3, 12), []
    for piece in ids.split(pieces, dim=1):
        out.append(model(piece, cache=cache))
    assert cache.length == 12
    torch.testing.assert_close(torch.cat(out, dim=1), model(ids), atol=1e-4, rtol=1e-4)


def test_completions_that_share_a_prompt_are_as_if_each_had_read_it():
    model, config = random_model(TINY), TINY
    prompts, rest = random_ids(config, 2, 6), random_ids(config, 3, 4, seed=1)
    rows, prefix = torch.tensor([0, 0, 1]), SharedPrefix()
    model.hidden(prompts, cache=prefix)
    prefix.expand(rows)
    own = torch.ones(4, 4, dtype=torch.bool).tril()
    mask = torch.cat((torch.ones(4, 6, dtype=torch.bool), own), dim=1)
    together = model(rest, positions=torch.arange(6, 10), mask=mask, cache=prefix)
    alone = model(torch.cat((prompts[rows], rest), dim=1))[:, 6:]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


# -- Who sees what ---------------------------------------------------------------------------------


def test_padding_and_company_change_nothing():
    model = random_model(TINY)
    rows = [random_ids(TINY, length, seed=length) for length in (9, 4, 7)]
    batch = torch.zeros(3, 9, dtype=torch.long)
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    together = model(batch)
    for i, row in enumerate(rows):
        torch.testing.assert_close(
            together[i, : len(row)], model(row[None])[0], atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("length", [12, 400], ids=["explicit", "fused"])
def test_the_future_cannot_change_the_past(length):
    config = replace(TINY, max_seq_len=512)
    model, ids = random_model(config), random_ids(config, 1, length)
    before = model(ids)
    place = length - 5
    ids[0, place] = (ids[0, place] + 1) % config.vocab_size
    after = model(ids)
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.equal(before[:, place:], after[:, place:])


def test_every_token_of_the_past_counts():
    """The mirror of the above: a mask that hides too much would pass it."""
    model, ids = random_model(TINY), random_ids(TINY, 1, 10)
    last = model(ids)[0, -1]
    for place in range(10):
        changed = ids.clone()
        changed[0, place] = (ids[0, place] + 1) % TINY.vocab_size
        assert not torch.allclose(model(changed)[0, -1], last, atol=1e-3)


@pytest.mark.parametrize("heads, key_heads", [(4, 4), (4, 2), (6, 3), (3, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_written_out_equals_the_kernel(heads, key_heads, masked):
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(2, heads, 7, 10),
        torch.randn(2, key_heads, 7, 10),
        torch.randn(2, key_heads, 7, 10),
    )
    mask = (torch.rand(2, 1, 7, 7) < 0.5) | torch.eye(7, dtype=torch.bool) if masked else None
    torch.testing.assert_close(
        attend_explicit(q, k, v, mask), attend_fused(q, k, v, mask), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    "keys, way", [(EXPLICIT_UP_TO, "attend_explicit"), (EXPLICIT_UP_TO + 1, "attend_fused")]
)
def test_attention_takes_the_faster_way_for_its_length(keys, way, monkeypatch):
    """Catches: short sequences through the kernel, which is several times slower on a CPU."""
    taken = []
    for name in ("attend_explicit", "attend_fused"):
        monkeypatch.setattr(kernels, name, lambda *_, name=name: taken.append(name))
    attend(torch.zeros(1, 2, 1, 4), torch.zeros(1, 1, keys, 4), torch.zeros(1, 1, keys, 4), None)
    assert taken == [way]


def test_attention_by_hand():
    """One query head, width 1, two keys: weights 1/4 and 3/4, since e^0 : e^(ln 3) = 1 : 3. The
    first sees itself."""
    q = torch.tensor([[[[1.0], [1.0]]]])
    k = torch.tensor([[[[0.0], [torch.tensor(3.0).log()]]]])
    v = torch.tensor([[[[8.0], [4.0]]]])
    torch.testing.assert_close(
        attend(q, k, v, None).flatten(), torch.tensor([8.0, 0.25 * 8 + 0.75 * 4])
    )


def test_attention_heads_use_the_key_heads_of_their_group():
    """Query heads 0, 1 share key head 0, query heads 2, 3 key head 1 (not 0, 2 and 1, 3)."""
    q, k = torch.randn(1, 4, 1, 6), torch.randn(1, 2, 1, 6)
    v = torch.stack((torch.zeros(1, 6), torch.ones(1, 6)))[None]
    assert attend(q, k, v, None)[0, :, 0, 0].tolist() == [0, 0, 1, 1]


# -- Rotary positions ------------------------------------------------------------------------------


def rotate(x, position, theta=10_000.0):
    return apply_rope(x, *rope_tables(torch.tensor([position]), x.shape[-1], theta))


def test_rope_knows_only_distances_and_keeps_lengths():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 16), torch.randn(1, 1, 1, 16)
    products = [(rotate(q, p + 5) * rotate(k, p)).sum() for p in (0, 1, 40, 300)]
    torch.testing.assert_close(torch.stack(products), products[0].expand(4), atol=1e-4, rtol=1e-4)
    # another distance, another product
    assert abs((rotate(q, 6) * rotate(k, 0)).sum() - products[0]) > 1e-3
    torch.testing.assert_close(rotate(q, 123).norm(), q.norm())


def test_rope_by_hand():
    assert torch.equal(
        rotate(torch.arange(8.0)[None, None, None], 0), torch.arange(8.0)[None, None, None]
    )
    # Width 4: pairs are (0, 2) and (1, 3), turned by position * 1 and position * theta^(-1/2).
    turned = rotate(torch.tensor([[[[1.0, 0.0, 0.0, 1.0]]]]), 2, theta=100.0).flatten()
    a, b = torch.tensor(2.0), torch.tensor(0.2)
    torch.testing.assert_close(turned, torch.stack((a.cos(), -b.sin(), a.sin(), b.cos())))


def test_positions_may_differ_from_row_to_row():
    model, ids = random_model(TINY), random_ids(TINY, 2, 6)
    shifted = model(ids, positions=torch.arange(6) + torch.tensor([[0], [9]]))
    # distances are what they were
    torch.testing.assert_close(shifted, model(ids), atol=1e-4, rtol=1e-4)


# -- Sizes and starting values ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "scale, millions", [("pico", 0.25), ("nano", 0.8), ("micro", 3.0), ("mini", 12.0)]
)
def test_the_scales_are_as_large_as_the_design_says(scale, millions):
    assert count_parameters(Transformer(SCALES[scale])) / 1e6 == pytest.approx(millions, rel=0.2)


def test_tied_weights_count_once():
    tied, untied = (
        count_parameters(Transformer(replace(TINY, tie_embeddings=tie))) for tie in (True, False)
    )
    assert untied - tied == TINY.vocab_size * TINY.dim


@pytest.mark.parametrize("scale", SCALES)
def test_a_new_model_knows_nothing_and_is_the_same_for_the_same_seed(scale):
    logits = []
    for _ in range(2):
        torch.manual_seed(3)
        logits.append(Transformer(SCALES[scale])(random_ids(SCALES[scale], 2, 16)))
    assert torch.equal(*logits)
    loss = torch.nn.functional.cross_entropy(
        logits[0].flatten(0, 1), random_ids(SCALES[scale], 32, seed=1)
    )
    assert loss.item() == pytest.approx(torch.tensor(1024.0).log().item(), abs=0.25)


def test_what_writes_into_the_residual_stream_starts_smaller_the_deeper_the_model():
    torch.manual_seed(0)
    block = Transformer(SCALES["nano"]).layers[1]  # 4 layers, so 8 writers
    assert block.mlp.up_proj.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert block.mlp.down_proj.weight.std().item() == pytest.approx((320 * 8) ** -0.5, rel=0.05)
    assert block.self_attn.o_proj.weight.std().item() == pytest.approx((128 * 8) ** -0.5, rel=0.05)


def test_every_weight_gets_a_gradient():
    with torch.enable_grad():
        model = random_model(replace(TINY, tie_embeddings=False, qk_norm=True))
        model(random_ids(TINY, 2, 8)).logsumexp(-1).sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_a_scalar_head_gives_a_number_a_position_and_starts_at_zero():
    hidden = torch.randn(2, 5, TINY.dim)
    head = ScalarHead(TINY.dim)
    assert head(hidden).shape == (2, 5) and not head(hidden).any()


def test_half_precision_is_close():
    model, ids = random_model(TINY), random_ids(TINY, 2, 10)
    whole = model(ids).log_softmax(-1)
    half = model.to(torch.bfloat16)(ids)
    assert half.dtype == torch.bfloat16
    assert (half.float().log_softmax(-1) - whole).abs().mean() < 0.1


@pytest.mark.parametrize("bias", [False, True])
def test_layers_that_read_the_same_input_are_one_product(bias):
    layers, x = [torch.nn.Linear(6, width, bias=bias) for width in (4, 2, 2)], torch.randn(2, 3, 6)
    one_by_one = torch.cat([layer(x) for layer in layers], dim=-1)
    torch.testing.assert_close(join(x, *layers), one_by_one)


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 5, 8)])
def test_the_written_out_gradient_of_the_norm_is_autograd_s(shape):
    """Catches: a term missing in the gradient of x / rms(x), or a weight's gradient not summed over
    what it was spread over."""
    torch.manual_seed(0)
    # in attention each head has a weight of its own: [H, d] against x [B, T, H, d]
    width = shape[1:-1][-1:]
    x, weight = torch.randn(shape, requires_grad=True), torch.randn(*width, 8, requires_grad=True)
    g = torch.randn(shape)
    with torch.enable_grad():
        ours = torch.autograd.grad(normalise(x, weight, 1e-6), (x, weight), g)
        plain = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight
        right = torch.autograd.grad(plain, (x, weight), g)
    for a, b in zip(ours, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_the_written_out_gradient_of_attention_is_that_of_finite_differences(kv_heads):
    """Catches: the softmax's gradient without its row sums, and key heads that hear from one of
    their query heads alone."""
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(2, heads, 5, 3, dtype=torch.float64, requires_grad=True)
        for heads in (4, kv_heads, kv_heads)
    )
    window = torch.ones(5, 5, dtype=torch.bool).tril() & torch.ones(5, 5, dtype=torch.bool).triu(-2)
    with torch.enable_grad():
        for mask in (None, window):
            assert torch.autograd.gradcheck(
                lambda *qkv, mask=mask: attend_explicit(*qkv, mask), (q, k, v)
            )
