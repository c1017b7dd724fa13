"""Several devices as one: an optimizer step whose batch is cut into two shares is the step of the
whole batch, for every trainer; and the two ways that come to mind first are not."""

import copy
import doctest
import functools
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import miniature
import pytest
import torch
from miniature import options

from minilrm import devices, distill, grpo, objectives, ppo, pretrain, rewards, sft, traces
from minilrm.batches import Example

small = miniature.small
RATES = {"lr": 1e-3, "clip": 1e9}  # nothing is clipped: the gradients themselves are compared


class TwoDevices:
    """Two threads that stand for two processes: in the place of torch.distributed, they exchange
    their tensors here. Outside of them there is one process, as ever."""

    def __init__(self, patch):
        self.here, self.slots = threading.local(), [None, None]
        self.barrier, self.gone = threading.Barrier(2, timeout=20), False
        patch.setattr(devices, "count", lambda: 1 if self.rank() is None else 2)
        patch.setattr(devices, "rank", lambda: self.rank() or 0)
        patch.setattr(devices, "added", self.added)

    def rank(self):
        return getattr(self.here, "rank", None)

    def added(self, tensor):
        """What `all_reduce` does; it waits for the other one's part."""
        self.slots[self.rank()] = tensor.detach().clone()
        self.wait()
        one, other = self.slots
        self.wait()
        assert one.shape == other.shape and one.dtype == other.dtype, "they make different calls"
        return one + other

    def wait(self):
        if self.gone:
            self.barrier.abort()
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            pytest.fail("a device waits for a call that the other one does not make")

    def run(self, first, second):
        """What the two functions return, run at the same time as devices 0 and 1."""

        def device(rank, function):
            self.here.rank = rank
            try:
                return function()
            finally:
                self.gone = True
                if self.barrier.n_waiting:
                    self.barrier.abort()

        self.gone = False
        self.barrier.reset()
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(device, i, f) for i, f in enumerate((first, second))]
            return [one.result() for one in running]


@pytest.fixture
def two(monkeypatch):
    return TwoDevices(monkeypatch)


def watch_gradients(trainer):
    """The gradients that the optimizers get, one vector a step and optimizer, in a list."""
    seen = []
    for optimizer in trainer.optimizers.values():

        def step(optimizer=optimizer, take=optimizer.step):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            seen.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
            take()

        optimizer.step = step
    return seen


def distance(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


TIMELESS = ("loss", "grad_norm", "val/grad_norm", "kl", "ratio/mean", "clip_ratio/region_mean")


def assert_one_step(two, whole, parts, tolerance=1e-6):
    """One step of `whole` alone and of `parts` as two devices: the same gradients, weights, figures
    and counts."""
    seen = [watch_gradients(trainer) for trainer in (whole, *parts)]
    wanted = whole.step(0)
    found = two.run(*(functools.partial(part.step, 0) for part in parts))
    assert sum(vector.norm() for vector in seen[0]) > 0
    for part, metrics, vectors in zip(parts, found, seen[1:], strict=True):
        assert len(vectors) == len(seen[0])
        for vector, expected in zip(vectors, seen[0], strict=True):
            assert (vector - expected).norm() <= tolerance * expected.norm() + 1e-9
        assert part.state.tokens_trained == whole.state.tokens_trained > 0
        for key in (key for key in TIMELESS if key in wanted):
            assert metrics[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-6), key
        for one, other in zip(part.model.parameters(), whole.model.parameters(), strict=True):
            assert (one - other).norm() <= 1e-3 * RATES["lr"] * other.numel() ** 0.5


# -- rollouts --------------------------------------------------------------------------------------

REWARDS = [0.0, 1.0, 0.5, 0.0, 1.0, 1.1, 0.0, 0.1, 0.0, 0.3, 1.0, 1.0, 0.0, 0.0, 1.0, 0.2]


@pytest.fixture
def answered(base, small, full_precision):
    """`make(module, equal, **options)`: three trainers at the same point, and what each of them has
    sampled: five groups, of which device 0 has three and device 1 two. `equal`: the groups of
    device 1 have equal rewards, so that there is nothing to learn there."""

    def make(module, equal=False, **more):
        name = module.Trainer.command
        made = {"prompts": 5, "group_size": 4, "aggregation": None} | RATES | more
        if module is ppo:
            del made["aggregation"]
        trainers = [module.Trainer(options(name, base, None, **made)) for _ in range(3)]
        groups = trainers[0].sample(0)
        for i, group in enumerate(groups):
            for j, e in enumerate(group):
                e.reward = 1.0 if equal and i % 2 else REWARDS[(5 * i + 3 * j) % len(REWARDS)]
        groups[2][1].valid = False
        shares = groups, groups[0::2], groups[1::2]
        for trainer, share in zip(trainers, shares, strict=True):
            mine = copy.deepcopy(share)
            trainer.sample = lambda step, mine=mine: mine
            trainer.state.tokens_generated = 0
        return trainers

    return make


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("aggregation", [None])  # test_processes.py has all of them
@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_a_grpo_step_cut_in_two_is_the_step_of_the_whole(
    two, answered, objective, aggregation, equal
):
    """Catches: denominators of the share (a mean of means), and a device with nothing to teach that
    the other one waits for."""
    how = {"objective": objective, "aggregation": aggregation, "equal": equal}
    assert_one_step(two, *split(answered(grpo, **how)))


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("normalize", [*objectives.NORMALIZATIONS, "reward"])
def test_advantages_are_those_of_the_whole_batch(two, answered, normalize, equal):
    """Catches: the standard deviation of the share's rewards in the place of the batch's."""
    assert_one_step(two, *split(answered(grpo, normalize=normalize, equal=equal)))


@pytest.mark.parametrize(
    "more",
    [
        {"kl_coef": 0.1},
        {"kl_coef": 0.1, "kl_in": "reward", "kl_kind": "k1", "normalize": "none"},
        {"updates": 2},
        {"updates": 5, "epochs": 2, "objective": "gspo"},
        {"updates": 3, "objective": "dapo", "kl_coef": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("equal", [False, True])
def test_several_updates_and_the_kl_term_too(two, answered, more, equal):
    """Catches: devices that cut their shares into different numbers of optimizer steps, and then
    wait for each other. (From the second step on Adam makes the last digits larger.)"""
    tolerance = 1e-3 if "updates" in more else 1e-6
    assert_one_step(two, *split(answered(grpo, equal=equal, **more)), tolerance=tolerance)


@pytest.mark.parametrize("critic", ["separate", "shared"])
@pytest.mark.parametrize("more", [{}, {"whiten": False}, {"kl_coef": 0.1}, {"updates": 2}], ids=str)
def test_a_ppo_step_cut_in_two_is_the_step_of_the_whole(two, answered, critic, more):
    """Catches: advantages whitened by the share's own mean and standard deviation."""
    tolerance = 1e-3 if "updates" in more else 1e-6
    assert_one_step(two, *split(answered(ppo, critic=critic, **more)), tolerance=tolerance)


def split(trainers):
    whole, *parts = trainers
    return whole, parts


@pytest.mark.parametrize("empty", [0, 1])
@pytest.mark.parametrize("module", [grpo, ppo])
def test_a_device_whose_episodes_are_all_invalid_is_waited_for_by_nobody(
    two, answered, module, empty
):
    """Catches: figures that only a device with a loss knows, and so adds up alone."""
    whole, *parts = answered(module, **({"normalize": "batch"} if module is grpo else {}))
    for place, group in enumerate(whole.sample(0)):
        if place % 2 == empty:
            for e in (*group, *parts[empty].sample(0)[place // 2]):
                e.valid = False
    assert_one_step(two, whole, parts)


@pytest.mark.parametrize("way", ["mean", "sum"])
@pytest.mark.parametrize("module", [grpo, ppo])
def test_the_ways_that_come_to_mind_first_are_wrong(answered, module, way):
    """The mean, or the sum, of what each device makes of its share alone: off by tens of per cent.
    So the tests above can fail."""
    trainers = answered(module, equal=True)
    whole, one, other = (watch_gradients(trainer) for trainer in trainers)
    for trainer in trainers:
        trainer.step(0)
    if not other:  # nothing to teach, and so no step at all
        other = [torch.zeros_like(one[0])]
    naive = (one[0] + other[0]) * (0.5 if way == "mean" else 1.0)
    assert distance(naive, whole[0]) > 0.1


def test_dynamic_sampling_asks_the_questions_that_one_process_would_ask(
    two, base, small, full_precision
):
    """DAPO's redraw, where device 1 alone has zero-std groups, and where device 0 has one of its
    own. Catches: as many new groups for both, which one of them has no place for."""

    def redrawn(trainer, groups):
        return trainer.sample_dynamically(0, copy.deepcopy(groups))

    for alike in ({1, 3}, {0, 1, 3}, {2}, {0, 1, 2, 3, 4}):
        made = {"prompts": 5, "group_size": 4, "dynamic_sampling": 1} | RATES
        whole, *parts = (grpo.Trainer(options("grpo", base, None, **made)) for _ in range(3))
        first = whole.sample(0)
        for i, group in enumerate(first):
            for j, e in enumerate(group):
                e.reward = 1.0 if i in alike else float(j)
        wanted, figures = redrawn(whole, first)
        keys = [group[0].problem.key for group in wanted]
        stayed = [key == group[0].problem.key for key, group in zip(keys, first, strict=True)]
        assert stayed == [i not in alike for i in range(5)]
        shares = ((part, first[rank::2]) for rank, part in enumerate(parts))
        found = two.run(*(functools.partial(redrawn, *share) for share in shares))
        for rank, (groups, others) in enumerate(found):
            assert [group[0].problem.key for group in groups] == keys[rank::2]
            assert others == figures


def test_rewards_are_shuffled_over_the_whole_batch(two, base, small, full_precision):
    """Catches: a control in which each device deals its own share's rewards alone."""
    trainer = grpo.Trainer(options("grpo", base, None, prompts=5, group_size=4))
    whole = trainer.sample(0)
    for i, group in enumerate(whole):
        for j, e in enumerate(group):
            e.reward = float(10 * i + j)
    whole[1][2].valid = False
    shares = [copy.deepcopy(whole[rank::2]) for rank in (0, 1)]
    rewards.shuffle(whole, seed=3)
    two.run(*(functools.partial(rewards.shuffle, share, seed=3) for share in shares))
    for rank, share in enumerate(shares):
        found, wanted = ([[e.reward for e in g] for g in of] for of in (share, whole[rank::2]))
        assert found == wanted
    assert {int(e.reward) // 10 for g in shares[0] for e in g} == {0, 1, 2, 3, 4}


# -- texts -----------------------------------------------------------------------------------------


def three(module, base, **more):
    name = module.Trainer.command
    asked = module.Trainer.complete(options(name, base, None, **RATES | more), {})
    return split([module.Trainer(asked) for _ in range(3)])


def test_an_sft_step_cut_in_two_is_the_step_of_the_whole(two, base, small, full_precision):
    assert_one_step(two, *three(sft, base, batch=5))


def test_a_pretraining_step_cut_in_two_is_the_step_of_the_whole(two, base, small, full_precision):
    """Catches: both devices reading the same documents."""
    rates = {"clip": 1e9, "accumulate": 3}
    trainers = [pretrain.Trainer(options("pretrain", base, None, **rates)) for _ in range(3)]
    for trainer in trainers[1:]:
        trainer.model.load_state_dict(trainers[0].model.state_dict())
    assert_one_step(two, *split(trainers))


@pytest.mark.parametrize("way", distill.WAYS)
def test_a_distillation_step_cut_in_two_is_the_step_of_the_whole(
    two, base, small, full_precision, tokenizer, way
):
    whole, parts = three(distill, base, batch=5, way=way, lmbda=1.0 if way == "on-policy" else 0.0)
    rows = [
        Example([20 + i, 21], [*range(30 + i, 35 + 2 * i), tokenizer.eos_id], [1] * (6 + i))
        for i in range(5)
    ]
    for trainer, own in zip((whole, *parts), (rows, rows[0::2], rows[1::2]), strict=True):
        # The teacher is another model than the student, or there would be nothing to learn.
        torch.manual_seed(3)
        for p in trainer.teacher.parameters():
            p.add_(0.05 * torch.randn_like(p))
        trainer.pool = traces.Pool(rows)
        trainer.own_samples = lambda step, own=own: (own, {})
    assert_one_step(two, whole, parts)


def test_the_mean_of_local_means_is_not_the_mean_of_an_sft_batch(base, small, full_precision):
    whole, parts = three(sft, base, batch=5)
    wanted, examples = watch_gradients(whole), whole.draw(0)
    whole.step(0)
    local = []
    for rank, part in enumerate(parts):
        seen = watch_gradients(part)
        part.draw = lambda step, rank=rank: examples[rank::2]
        part.step(0)
        local += seen
    assert distance((local[0] + local[1]) / 2, wanted[0]) > 0.03
    assert distance(local[0] + local[1], wanted[0]) > 0.5


# -- the pieces ------------------------------------------------------------------------------------


def test_the_stand_in_notices_a_device_that_makes_fewer_calls(two):
    with pytest.raises(pytest.fail.Exception, match="waits for a call"):
        two.run(lambda: devices.total(1) + devices.total(2), lambda: devices.total(1))


def test_counts_moments_and_records_are_those_of_all(two):
    values = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])

    def see(share, figures):
        return (
            devices.total(len(share)),
            devices.totals(figures),
            devices.moments(share),
            devices.joined(devices.share("abcde")),
            devices.local(range(5)),
        )

    one, other = two.run(
        lambda: see(values[:4], {"loss": 0.5, "ratio": float("nan")}),
        lambda: see(values[4:], {"loss": 0.25, "kl": 2.0}),
    )
    for count, figures, (mean, std), letters, _ in (one, other):
        assert count == 5 and type(count) is int and letters == list("abcde")
        assert figures == {"loss": 0.75, "ratio": pytest.approx(float("nan"), nan_ok=True), "kl": 2}
        assert mean == pytest.approx(6.2) and std == pytest.approx(float(values.std()))
    assert (one[-1], other[-1]) == ([0, 1, 2], [0, 1])


def test_one_process_gets_back_what_it_gave():
    """The same objects, or the same bits: training on one device is what it was."""
    values, figures = torch.randn(7), {"loss": 0.1}
    assert devices.count() == 1 and devices.rank() == 0
    assert devices.total(3) == 3 and devices.totals(figures) == figures
    mean, std = devices.moments(values)
    assert mean.equal(values.mean()) and std.equal(values.std())
    with warnings.catch_warnings(action="error"):  # torch warns of the spread of one value
        mean, std = devices.moments(values[:1])
    assert mean.equal(values[0]) and std.isnan() and std.shape == () and std.dtype == values.dtype
    assert devices.share([3, 1]) == devices.joined([3, 1]) == [3, 1]
    assert devices.local([4, 0]) == [4, 0]
    weight = torch.nn.Parameter(torch.ones(2))
    devices.sum_gradients([weight])
    assert weight.grad is None


def test_worked_examples():
    assert doctest.testmod(devices).failed == 0
