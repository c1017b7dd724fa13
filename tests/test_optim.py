"""Learning rates, batches of like length, and the guard that keeps NaN out of the weights."""

import copy
import math
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from minilrm import machine, pretrain
from minilrm.batches import batches_by_length, pad
from minilrm.errors import UserError
from minilrm.loop import State, Trainer
from minilrm.model import ModelConfig, Transformer
from minilrm.optim import Guard, Muon, adamw, lr_factor, pretraining_optimizers, set_lr

CPU = torch.device("cpu")


# -- learning rates --------------------------------------------------------------------------------


def test_the_learning_rate_rises_then_falls_in_straight_lines():
    factors = [lr_factor(step, total=10, warmup=2) for step in range(10)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    # a first or last step at 0 would be a step for nothing
    assert all(factor > 0 for factor in factors)


def test_the_learning_rate_without_warmup_and_with_a_floor():
    assert [lr_factor(step, total=4, warmup=0) for step in range(4)] == pytest.approx(
        [1, 0.75, 0.5, 0.25]
    )
    floored = [lr_factor(step, total=100, warmup=10, final=0.1) for step in range(100)]
    assert max(floored) == 1 and floored[-1] == pytest.approx(0.11) and min(floored[10:]) >= 0.1
    shorter_than_its_warmup = [lr_factor(step, total=2, warmup=5) for step in range(2)]
    assert shorter_than_its_warmup == pytest.approx([0.2, 0.4])


def test_factors_do_not_pile_up():
    """Catches: multiplying the current learning rate, not the one that the optimizer was made
    with."""
    optimizers = adamw(nn.Linear(2, 2), lr=0.1)
    for factor in (0.5, 0.5, 1.0, 0.25):
        set_lr(optimizers, factor)
        assert optimizers["adamw"].param_groups[0]["lr"] == pytest.approx(0.1 * factor)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_has_one_optimizer_and_muon_only_the_blocks_matrices(tied):
    model = Transformer(
        ModelConfig(
            vocab_size=64,
            dim=16,
            n_layers=2,
            n_heads=2,
            n_kv_heads=1,
            head_dim=8,
            ffn_dim=24,
            tie_embeddings=tied,
        )
    )
    optimizers = pretraining_optimizers(model, 0.02, 0.003)
    held = {
        name: [p for g in o.param_groups for p in g["params"]] for name, o in optimizers.items()
    }
    assert sorted(map(id, held["muon"] + held["adamw"])) == sorted(map(id, model.parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(p.dim() == 2 and names[id(p)].startswith("layers.") for p in held["muon"])
    assert {id(model.embed_tokens.weight), id(model.output_weight)} <= set(map(id, held["adamw"]))


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_in_stacks_is_pytorchs_muon(nesterov):
    """Catches: a stack whose parts are mixed up, a tall matrix left on its side, one norm for the
    whole stack."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 24), (24, 8), (16, 16), (8, 24), (24, 8), (16, 16)]
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = copy.deepcopy(ours)
    how = {"lr": 0.02, "weight_decay": 0.1, "nesterov": nesterov}
    stacked, plain = Muon(ours, **how), torch.optim.Muon(theirs, **how)
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator) * 3
            other.grad = mine.grad.clone()
        ours[2].grad = theirs[2].grad = None  # as a frozen one
        stacked.step()
        plain.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=2e-3)  # bfloat16 inside: about 1 % of an update
    saved, wanted = stacked.state_dict()["state"], plain.state_dict()["state"]
    assert saved.keys() == wanted.keys()
    assert all(
        torch.equal(saved[i]["momentum_buffer"], wanted[i]["momentum_buffer"]) for i in saved
    )
    plain.load_state_dict(stacked.state_dict())


# -- batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [8192, 64])
@pytest.mark.parametrize("seed", [None, 0])
def test_batches_hold_every_row_once_within_the_budget(window, seed):
    lengths = np.random.default_rng(1).integers(1, 200, size=333)
    lengths[7] = 5000  # longer than the whole budget: alone, but not lost
    rng = None if seed is None else np.random.default_rng(seed)
    batches = list(batches_by_length(lengths, 1000, rng, window))
    assert sorted(i for rows in batches for i in rows) == list(range(333))
    sizes = [len(rows) * lengths[rows].max() for rows in batches]
    assert all(size <= 1000 or len(rows) == 1 for size, rows in zip(sizes, batches, strict=True))
    assert [len(rows) for rows in batches if 7 in rows] == [1]
    if window > 333:
        assert sum(sizes) < 1.15 * lengths.sum(), "rows of like length should share a batch"


def test_the_order_is_the_rngs():
    lengths = np.random.default_rng(1).integers(1, 50, size=200)

    def order(rng):
        return [rows.tolist() for rows in batches_by_length(lengths, 300, rng)]

    assert order(None) == order(None)
    assert (
        order(np.random.default_rng(3))
        == order(np.random.default_rng(3))
        != order(np.random.default_rng(4))
    )
    first = [max(lengths[rows]) for rows in order(np.random.default_rng(3))]
    assert first != sorted(first), (
        "from short to long in every epoch would be a curriculum nobody asked for"
    )


def test_nothing_to_batch_and_padding():
    assert list(batches_by_length([], 100)) == []
    assert pad([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad([np.array([7], dtype=np.uint16), [8, 9]], value=-1).tolist() == [[7, -1], [8, 9]]


# -- the guard -------------------------------------------------------------------------------------


@pytest.fixture
def guarded():
    """A model, its optimizer after one healthy step (so that there is momentum to spoil), and a
    guard."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizers, guard = adamw(model, lr=0.1), Guard(clip=1.0)
    give_gradient(model)
    guard.step(model, optimizers, 0.5)
    return model, optimizers, guard


def give_gradient(model, value=2.0, spoil=None):
    for p in model.parameters():
        p.grad = torch.full_like(p, value)
    if spoil is not None:
        model.weight.grad[1, 2] = spoil


def state_of(model, optimizers):
    return copy.deepcopy([model.state_dict(), optimizers["adamw"].state_dict()])


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return all(map(same, a, b)) if isinstance(a, list) else a == b


@pytest.mark.parametrize(
    "spoil, loss",
    [(math.nan, 0.5), (math.inf, 0.5), (-math.inf, 0.5), (None, math.nan), (None, math.inf)],
)
def test_a_poisoned_step_is_skipped(guarded, spoil, loss):
    """Catches: one NaN in one gradient entry, which after the step would be in every weight and in
    the momentum."""
    model, optimizers, guard = guarded
    before = state_of(model, optimizers)
    give_gradient(model, spoil=spoil)
    assert math.isnan(guard.step(model, optimizers, loss))
    assert same(state_of(model, optimizers), before)
    assert guard.in_a_row == 1
    # else the NaN would be in the next step's sum
    assert all(p.grad is None for p in model.parameters())
    give_gradient(model)
    assert guard.step(model, optimizers, 0.5) > 0
    assert not same(state_of(model, optimizers), before)
    assert guard.in_a_row == 0


def test_ten_in_a_row_stop_the_run_and_nine_do_not(guarded):
    model, optimizers, guard = guarded
    before = state_of(model, optimizers)
    for _ in range(9):
        give_gradient(model, spoil=math.nan)
        guard.step(model, optimizers, 0.5)
    give_gradient(model)
    guard.step(model, optimizers, 0.5)
    healthy = state_of(model, optimizers)
    for _ in range(9):
        give_gradient(model, spoil=math.nan)
        guard.step(model, optimizers, 0.5)
    give_gradient(model, spoil=math.nan)
    with pytest.raises(UserError, match="10 steps in a row.*learning rate"):
        guard.step(model, optimizers, 0.5)
    assert same(state_of(model, optimizers), healthy) and not same(healthy, before)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, -2e6])
def test_a_step_that_destroys_a_weight_ends_the_run(guarded, weight):
    """At an absurd learning rate gradient and loss are finite, and the weights are not worth a
    checkpoint. Catches: a check of the largest weight that NaN or a large negative one passes."""
    model, optimizers, guard = guarded
    optimizers["adamw"].step = lambda: model.weight.data[1, 2].fill_(weight)
    give_gradient(model)
    with pytest.raises(UserError, match="broken down.*lower learning rate"):
        guard.step(model, optimizers, 0.5)
    optimizers["adamw"].step = lambda: model.weight.data[1, 2].fill_(1e5)
    give_gradient(model)
    assert guard.step(model, optimizers, 0.5) > 0


def test_a_run_counts_its_skipped_steps(guarded):
    """Catches: a skipped step that nobody hears of."""
    model, optimizers, guard = guarded
    run = SimpleNamespace(model=model, optimizers=optimizers, guard=guard, state=State(), heads={})
    for spoil in (None, math.nan, math.inf, None, math.nan):
        give_gradient(model, spoil=spoil)
        Trainer.update_weights(run, 0.5)
    give_gradient(model)
    Trainer.update_weights(run, math.nan)  # its gradient is well, its loss is not
    assert run.state.skipped_steps == 4


def test_the_norm_is_clipped_for_the_step_and_told_as_it_was():
    model = nn.Linear(3, 2)
    weights = copy.deepcopy(model.state_dict())
    sgd = {"sgd": torch.optim.SGD(model.parameters(), lr=1.0)}
    give_gradient(model, 2.0)
    assert Guard(clip=0.5).step(model, sgd, 0.0) == pytest.approx(2 * math.sqrt(8))
    moved = torch.cat([(p - weights[name]).flatten() for name, p in model.state_dict().items()])
    assert moved.norm() == pytest.approx(0.5, rel=1e-4)
    give_gradient(model, 0.01)
    Guard(clip=0.5).step(model, sgd, 0.0)  # a small gradient is not blown up
    assert (
        moved - torch.cat([(p - weights[name]).flatten() for name, p in model.state_dict().items()])
    ).norm() == pytest.approx(0.01 * math.sqrt(8), rel=1e-4)


@pytest.mark.parametrize("meanwhile", [True, False])
def test_side_by_side_gives_the_same_bits_whoever_leaves_autocast_first(meanwhile):
    """Mistake: autocast's cache is shared by all threads. Cleared by another one between two uses
    of a weight, the weight is cast twice, and the two gradients are summed in float32 instead of
    bfloat16: the same seed gave other weights each time."""
    torch.manual_seed(0)
    weight = torch.randn(8, 8, requires_grad=True)
    rows = torch.randn(2, 64, 8)
    used, left = threading.Event(), threading.Event()

    def piece(i):
        # the other piece: in autocast and out of it, while the first is between its uses of the
        # weight, or later
        if i == 1:
            used.wait(10)
            with torch.autocast("cpu", torch.bfloat16):
                rows[0] @ weight
            left.set()
            return None
        with torch.autocast("cpu", torch.bfloat16):
            first = rows[0] @ weight
            if meanwhile:
                used.set()
                left.wait(10)
            gradient = torch.autograd.grad(
                (first + rows[1] @ weight).float().square().sum(), weight
            )[0]
        used.set()
        return gradient

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = next(iter(machine.side_by_side(piece, range(2), CPU)))
    finally:
        torch.set_num_threads(before)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        alone = torch.autograd.grad(
            (rows[0] @ weight + rows[1] @ weight).float().square().sum(), weight
        )[0]
    assert torch.equal(found, alone)


def test_side_by_side_keeps_the_order_and_gives_each_piece_one_core():
    """Catches: results in the order in which they were done, and threads within threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        done = list(
            machine.side_by_side(
                lambda i: (i, torch.get_num_threads(), torch.is_grad_enabled()), range(20), CPU
            )
        )
        assert done == [(i, 1, True) for i in range(20)]
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError):
            list(machine.side_by_side(lambda i: 1 / i, [1, 0, 2], CPU))
    finally:
        torch.set_num_threads(before)


def test_the_gradient_does_not_depend_on_the_number_of_threads(monkeypatch):
    """Catches: threads that add to one gradient at the same time, and a share whose denominator is
    its own."""
    # rounding to 8 bits would hide a small difference
    monkeypatch.setattr(machine, "bfloat16_pays", lambda device: False)
    torch.manual_seed(0)
    model = Transformer(
        ModelConfig(
            vocab_size=31, dim=16, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=24
        )
    )
    batch = [torch.randint(31, (5, 12)), torch.randint(31, (3, 20))]
    batch[0][0, 7:] = -1
    found, before = {}, torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            model.zero_grad()
            loss = pretrain.backward(model, batch, 107, CPU)
            found[threads] = loss, [p.grad.clone() for p in model.parameters()]
    finally:
        torch.set_num_threads(before)
    for threads in (2, 4):
        assert found[threads][0] == pytest.approx(found[1][0], rel=1e-6)
        for a, b in zip(found[threads][1], found[1][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
