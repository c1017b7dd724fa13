"""One of two processes that share the work of a step, with torch.distributed and gloo between them.

    python tests/two_processes.py FOLDER BASE      with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT

All cases of `test_processes.py` run in one pair of processes, since to import torch takes longer
than any of them. What a process has found it writes into FOLDER/<its number>.jsonl: a line a case,
with the case's name. FOLDER/run is a run that both made together. The last act of process 1 is to
die without a word, in the middle of a step.
"""

import contextlib
import copy
import itertools
import os
import signal
import sys
from pathlib import Path

import conftest  # noqa: F401  this clone on the path, one thread
import torch
from miniature import LOOPS, miniature, options

from minilrm import (
    devices,
    distill,
    dpo,
    grpo,
    machine,
    objectives,
    preference_model,
    pretrain,
    reward_model,
    sft,
    traces,
)
from minilrm.batches import Example
from minilrm.cli import fail
from minilrm.errors import UserError
from minilrm.files import append_jsonl

RATES = {"lr": 1e-3, "clip": 1e9}  # nothing is clipped: the gradients themselves are compared
REWARDS = [0.0, 1.0, 0.5, 0.0, 1.0, 1.1, 0.0, 0.1, 0.0, 0.3, 1.0, 1.0, 0.0, 0.0, 1.0, 0.2]
NORMALIZATIONS = (*objectives.NORMALIZATIONS, "reward")
FEW = {"steps": 1, "eval_n": 2, "out": None, "threads": 1, "device": "cpu"}


@contextlib.contextmanager
def alone():
    """Inside, this process takes the whole batch, as if it were the only one."""
    grouped, launched = devices.grouped, devices.launched
    devices.grouped, devices.launched = lambda: False, lambda: 1
    try:
        yield
    finally:
        devices.grouped, devices.launched = grouped, launched


def share_of(items, whole):
    return list(items) if whole else list(devices.share(items))


class Gradients:
    """The gradients that a trainer's optimizers are given; the weights stay where they are."""

    def __init__(self, trainer):
        self.trainer, self.seen = trainer, []
        for optimizer in trainer.optimizers.values():
            optimizer.step = lambda optimizer=optimizer: self.seen.append(flat_gradient(optimizer))

    def of_step(self):
        self.seen.clear()
        torch.manual_seed(0)
        self.trainer.step(0)
        return torch.cat(self.seen)


def flat_gradient(optimizer):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def compare(name, step):
    """Note how far the gradient of a step of both is from that of the same step of one process, as
    a share of its norm. `step(whole)` takes the step, of the whole batch or of a share of it."""
    with alone():
        wanted = step(True)
    found = step(False)
    note(name, distance=float((found - wanted).norm() / wanted.norm()), norm=float(wanted.norm()))


def note(name, **found):
    append_jsonl(FOLDER / f"{devices.rank()}.jsonl", {"case": name, **found}, sync=False)


# -- rollouts --------------------------------------------------------------------------------------


def answered(trainer, equal):
    """Five groups with rewards; process 0 has three of them and process 1 two, which are, if they
    are to be `equal`, without variance. The policy has moved since it sampled, by a known way."""
    with alone():
        groups = trainer.sample(0)
    for i, group in enumerate(groups):
        for j, e in enumerate(group):
            e.reward = 1.0 if equal and i % 2 else REWARDS[(5 * i + 3 * j) % len(REWARDS)]
            way = torch.sin(torch.arange(len(e.logprobs)) * (1.0 + i) + j)
            e.old_logprobs = torch.tensor(e.logprobs) + 0.3 * way
    groups[2][1].valid = False
    return groups


def rollouts(command, cases, **made):
    """Compare a step of grpo or ppo for each of some choices of options."""
    asked = {"prompts": 5, "group_size": 4, **RATES, **made}
    trainer = LOOPS[command].Trainer(options(command, BASE, None, **asked))
    if trainer.reference is not None:  # or the KL term would be 0
        torch.manual_seed(5)
        for p in trainer.reference.parameters():
            p.data += 0.02 * torch.randn_like(p)
    sampled = {equal: answered(trainer, equal) for equal in (False, True)}
    gradients, first = Gradients(trainer), trainer.options
    for case, equal in itertools.product(cases, (False, True)):

        def step(whole, case=case, equal=equal):
            trainer.options = first.replace(**case)
            trainer.sample = lambda step: copy.deepcopy(share_of(sampled[equal], whole))
            return gradients.of_step()

        words = " ".join(f"{name}={value}" for name, value in (made | case).items())
        compare(f"{command} {words}{' equal' if equal else ''}", step)


def all_rollouts():
    rollouts(
        "grpo",
        [
            {"objective": o, "aggregation": a, "normalize": "std"}
            for o in objectives.OBJECTIVES
            for a in objectives.AGGREGATIONS
        ]
        + [
            {"objective": "grpo", "aggregation": a, "normalize": n}
            for a in objectives.AGGREGATIONS
            for n in NORMALIZATIONS
            if n != "std"
        ],
    )
    rollouts("grpo", [{}, {"updates": 2, "epochs": 2}], kl_coef=0.1)
    rollouts("grpo", [{}], kl_coef=0.1, kl_in="reward", kl_kind="k1", normalize="none")
    for critic in ("shared", "separate"):
        rollouts("ppo", [{}, {"whiten": False}, {"updates": 2}], critic=critic)


# -- texts, pairs, judges --------------------------------------------------------------------------


def texts():
    for command, made in (("sft", {"batch": 5}), ("pretrain", {"accumulate": 3})):
        asked = {"clip": 1e9, **made}
        trainer = LOOPS[command].Trainer(options(command, BASE, None, **asked))
        gradients = Gradients(trainer)

        def step(whole, trainer=trainer, gradients=gradients):
            trainer.stream = None  # pretrain reads on from where it was
            return gradients.of_step()

        compare(command, step)


def distillation():
    eos = sft.Trainer(options("sft", BASE, None)).tokenizer.eos_id
    rows = [
        Example([20 + i, 21], [*range(30 + i, 35 + 2 * i), eos], [1] * (6 + i)) for i in range(5)
    ]
    for way in distill.WAYS:
        own = 1.0 if way == "on-policy" else 0.0
        asked = options("distill", BASE, None, batch=5, way=way, lmbda=own, **RATES)
        trainer = distill.Trainer(distill.Trainer.complete(asked, {}))
        torch.manual_seed(3)
        for p in trainer.teacher.parameters():  # another model than the student
            p.data += 0.05 * torch.randn_like(p)
        trainer.pool, gradients = traces.Pool(rows), Gradients(trainer)

        def step(whole, trainer=trainer, gradients=gradients):
            trainer.own_samples = lambda step: (share_of(rows, whole), {})
            return gradients.of_step()

        compare(f"distill {way}", step)


def pairs_and_judges():
    """Each process asks its share of the questions: together, those that one process would ask."""
    shipped = {**FEW, "task": "countdown", "init": "countdown-base", **RATES}
    pairs = dpo.Trainer(dpo.Options(**shipped, pairs=6, samples=4))
    pairs.max_new_tokens = 60
    with torch.no_grad():
        for p in pairs.model.parameters():  # away from the reference
            p += 0.01 * torch.sin(torch.arange(p.numel()).view_as(p) * 1.0)
    gradients = Gradients(pairs)
    compare("dpo", lambda whole: gradients.of_step())
    ordered = preference_model.Trainer(
        preference_model.Options(**shipped, pairs=6, samples=4, batch=5)
    )
    ordered.max_new_tokens = 60
    gradients = Gradients(ordered)
    compare("preference_model", lambda whole, gradients=gradients: gradients.of_step())
    for labels in ("exact", "outcome"):
        judge = reward_model.Trainer(
            reward_model.Options(**shipped, prompts=5, samples=2, labels=labels)
        )
        judge.max_new_tokens = 60
        gradients = Gradients(judge)
        compare(f"reward_model {labels}", lambda whole, gradients=gradients: gradients.of_step())


# -- what processes say to each other --------------------------------------------------------------


def refuse_together():
    """What one of them refuses, all refuse; and what cannot be shared."""
    said = []
    for number in (0, 1):
        try:
            with devices.agreement():
                if devices.rank() == number:
                    raise UserError(f"no such file, says {number}")
        except UserError as error:
            said.append(str(error))
    for asked in ({"prompts": 1}, {"seed": devices.rank()}):
        try:
            grpo.train(options("grpo", BASE, FOLDER / "refused", **asked))
        except UserError as error:
            said.append(str(error))
    note("refused", said=said, folder=(FOLDER / "refused").exists())


# -- whole runs ------------------------------------------------------------------------------------


def interrupted_run():
    """Ctrl-C comes to process 1 alone, in its third step."""
    draw, calls = sft.Trainer.draw, []

    def hooked(trainer, step):
        calls.append(step)
        if len(calls) == 3 and devices.rank() == 1:
            signal.raise_signal(signal.SIGINT)
        return draw(trainer, step)

    sft.Trainer.draw = hooked
    result = sft.train(options("sft", BASE, FOLDER / "run"))
    sft.Trainer.draw = draw
    note("interrupted", finished=result.finished, folder=str(result.folder), steps=len(calls))


def shared_pool():
    """The teacher's traces: each process has a share of the problems answered."""

    def train(name):
        return distill.train(options("distill", BASE, FOLDER / name, way="traces", steps=1))

    note("distilled", finished=train("distilled").finished)
    if devices.rank() == 0:
        with alone():
            train("distilled-alone")


def muon_run():
    """Muon's weights and states, bit by bit: numbers to compare between the processes."""
    asked = options("pretrain", BASE, None, accumulate=2)
    trainer = pretrain.Trainer(asked)
    devices.copy_first(trainer.parameters())
    for step in range(3):
        trainer.step(step)
    devices.refuse_drift(trainer.parameters())
    states = trainer.optimizers["muon"].state.values()
    tensors = [*trainer.parameters(), *(state["momentum_buffer"] for state in states)]
    note("muon", sums=[float(t.detach().double().sum()) for t in tensors])
    with torch.no_grad():
        trainer.model.norm.weight += devices.rank()
    try:
        devices.refuse_drift(trainer.parameters())
    except UserError as error:
        note("drift", said=str(error))


def die():
    """Process 1 ends in the middle of a step, as by kill -9."""
    step = sft.Trainer.step

    def hooked(trainer, number):
        if devices.rank() == 1 and number == 1:
            os._exit(9)
        return step(trainer, number)

    sft.Trainer.step = hooked
    sft.train(options("sft", BASE, FOLDER / "dead"))


def main():
    # Sums in float64 would hide nothing that float32 shows, and autocast would round.
    machine.autocast = lambda device: contextlib.nullcontext()
    machine.bfloat16_pays = lambda device: False
    with devices.group("cpu"), miniature() as patch:
        patch.setattr("minilrm.loop.run.write_report", lambda folder: folder)
        all_rollouts()
        texts()
        distillation()
        pairs_and_judges()
        refuse_together()
        interrupted_run()
        shared_pool()
        muon_run()
        try:
            die()
        except UserError as error:
            fail(str(error), alone=isinstance(error, devices.Lost))


if __name__ == "__main__":
    FOLDER, BASE = Path(sys.argv[1]), Path(sys.argv[2])
    main()
