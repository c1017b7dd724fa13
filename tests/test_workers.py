"""Decoding in several processes: the same completions as in one, whatever becomes of the others."""

import io
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest
import torch

from minilrm import machine
from minilrm.model import SCALES, Transformer
from minilrm.sampler import Completion, Engine, generate, serve, workers
from minilrm.sampler.decoding import decode
from minilrm.sampler.workers import DecodingProcess, Workers, beside_this, shares_of
from minilrm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(["what is 12 + 7? the answer is 19. "] * 20, vocab_size=400)
    model = Transformer(replace(SCALES["pico"], vocab_size=len(tokenizer), max_seq_len=64))
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def helper():
    return Workers(1)


@pytest.fixture
def ready(helper):
    """The helper, with its process ready to take a share."""
    helper.start(wait=True)
    return helper


PROMPTS = [f"what is {i} + {i}?" for i in range(9)]
HOW = {"n": 8, "max_new_tokens": 16, "seed": 3}


def without_logprobs(groups: list[list[Completion]]) -> list:
    return [
        [(c.text, c.sampled_text, c.token_ids, c.mask, c.finish_reason) for c in group]
        for group in groups
    ]


def never_taken(*_):
    """A request that its process does not begin with."""
    return Future()


# -- the same completions --------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.0])
@pytest.mark.parametrize("prompts, n", [(PROMPTS, 8), (PROMPTS[:1], 70)], ids=["many", "one"])
def test_who_decodes_a_row_does_not_matter(policy, ready, temperature, prompts, n):
    """Catches: a worker that counts its rows from 0, and so draws the first share's random numbers
    once more."""
    model, tokenizer = policy
    how = HOW | {"n": n, "temperature": temperature}
    alone = generate(model, tokenizer, prompts, workers=None, **how)
    shared = generate(model, tokenizer, prompts, workers=ready, **how)
    assert len(ready.processes) == 1 and ready.peaks_mb[0] > 10
    assert without_logprobs(shared) == without_logprobs(alone)
    for a, b in zip([c for g in shared for c in g], [c for g in alone for c in g], strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    if temperature:
        different = {tuple(c.token_ids) for g in shared for c in g}
        assert len(different) > 60  # no share repeats another


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=str)
def test_a_share_is_the_same_to_the_last_bit_whoever_decodes_it(policy, ready, dtype, monkeypatch):
    """Catches: completions that depend on how soon a process is ready."""
    model, tokenizer = policy
    how = HOW | {"workers": ready, "dtype": dtype}
    shared = generate(model, tokenizer, PROMPTS, **how)
    assert ready.peaks_mb
    monkeypatch.setattr(DecodingProcess, "send", never_taken)
    assert generate(model, tokenizer, PROMPTS, **how) == shared and not ready.peaks_mb


def test_new_weights_are_used_at_once(policy, ready):
    """Catches: a worker that keeps the weights of the first step."""
    model, tokenizer = policy
    engine = Engine(model)
    before = model.embed_tokens.weight.detach().clone()
    try:
        for _ in range(2):
            alone = without_logprobs(generate(model, tokenizer, PROMPTS, workers=None, **HOW))
            for asked in (model, engine):
                shared = generate(asked, tokenizer, PROMPTS, workers=ready, **HOW)
                assert ready.peaks_mb and without_logprobs(shared) == alone
            with torch.no_grad():
                model.embed_tokens.weight.mul_(3)
    finally:
        model.embed_tokens.weight.data.copy_(before)


def test_without_a_seed_no_share_repeats_another(policy, ready):
    model, tokenizer = policy
    how = HOW | {"seed": None}
    groups = generate(model, tokenizer, PROMPTS[:1] * 9, workers=ready, **how)
    assert ready.peaks_mb and len({tuple(c.token_ids) for g in groups for c in g}) > 60


@pytest.mark.parametrize("prompts, n, parts", [(5, 8, 2), (3, 8, 3), (2, 9, 4), (1, 2, 3)])
def test_shares_are_nearly_equal_and_leave_no_row_out(prompts, n, parts):
    shares = shares_of(prompts, n, parts)
    rows = [(p, i) for share in shares for p in share.prompts for i in share.numbers]
    assert sorted(rows) == [(p, i) for p in range(prompts) for i in range(n)]
    sizes = [len(share.prompts) * len(share.numbers) for share in shares]
    assert max(sizes) - min(sizes) <= max(prompts, n) and len(shares) <= parts and min(sizes) > 0


# -- when work is shared ---------------------------------------------------------------------------


def test_few_rows_and_hooks_stay_in_this_process(policy):
    """Catches: a hook that is silently not asked."""
    model, tokenizer = policy
    idle = Workers(1)
    seen: list[int] = []
    generate(model, tokenizer, PROMPTS[:2], workers=idle, **HOW)
    generate(
        model,
        tokenizer,
        PROMPTS,
        workers=idle,
        stream=lambda row, i, sampled: seen.append(row),
        **HOW,
    )
    assert idle.processes is None and len(set(seen)) == len(PROMPTS) * HOW["n"]


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def idle(row, ids):
    """A hook that does nothing."""


class Asked:
    """Stands in for `Workers`: notes how many rows it was given."""

    def __init__(self):
        self.rows = []

    def decode(self, engine, tokenizer, prompts, how, places=None):
        self.rows.append(len(prompts) * how.n)
        return []


def test_by_default_a_batch_is_shared_on_several_threads(policy, two_threads, monkeypatch):
    """Catches: notebooks that decode on one core, since only commands know of workers."""
    (model, tokenizer), asked = policy, Asked()
    monkeypatch.setattr(workers, "pool", lambda count, owner: asked)
    for options in (
        {},
        {"workers": "auto"},
        {"workers": None},
        {"n": 2},
        {"max_new_tokens": 15},
        {"intervene": idle},
    ):
        how = HOW | options
        generate(model, tokenizer, PROMPTS, **how)
    generate(Engine(model), tokenizer, PROMPTS, **HOW)
    assert asked.rows == [72] * 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    generate(model, tokenizer, PROMPTS, **HOW)
    assert asked.rows == [72] * 3


def test_a_tokenizer_or_model_of_the_users_own_class_stays_here(policy, two_threads, monkeypatch):
    """Catches: a worker that decodes by the class it knows, and so says something else."""

    class Shouting(Tokenizer):
        def decode(self, ids):
            return super().decode(ids).upper()

    class Deeper(Transformer):
        pass

    (model, tokenizer), asked = policy, Asked()
    monkeypatch.setattr(workers, "pool", lambda count, owner: asked)
    shouting = Shouting(tokenizer.merges, tokenizer.specials)
    groups = generate(model, shouting, PROMPTS, **HOW)
    assert all(c.text == c.text.upper() for group in groups for c in group)
    deeper = Deeper(model.config)
    deeper.load_state_dict(model.state_dict())
    assert generate(deeper, tokenizer, PROMPTS, **HOW) and asked.rows == []


def test_workers_is_auto_or_none_or_workers(policy):
    model, tokenizer = policy
    with pytest.raises(ValueError, match='workers is "auto", None, or a Workers'):
        generate(model, tokenizer, PROMPTS, workers="all", **HOW)


@pytest.mark.parametrize(
    "threads, cores, count", [(64, 2, 1), (2, 64, 1), (64, 16, 15), (64, 1, None), (1, 8, None)]
)
def test_there_are_no_more_processes_than_cores(threads, cores, count, monkeypatch):
    """Catches: OMP_NUM_THREADS=64 on two cores, which started 63."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(machine, "available_cores", lambda: cores)
    found = beside_this(torch.device("cpu"))
    assert (found and found.count) == count
    assert found is beside_this(torch.device("cpu"))  # the same each time, for the whole session
    assert beside_this(torch.device("cuda")) is None
    most = beside_this(torch.device("cpu"), most=machine.MOST_THREADS)
    assert (most.count if most else 0) <= machine.MOST_THREADS - 1


def test_generate_alone_starts_few_processes_on_a_large_machine(policy, monkeypatch):
    """Catches: 63 copies of torch in memory, since a notebook sets no number of threads."""
    (model, tokenizer), asked, counts = policy, Asked(), []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(machine, "available_cores", lambda: 64)
    monkeypatch.setattr(workers, "pool", lambda count, owner: counts.append(count) or asked)
    generate(model, tokenizer, PROMPTS, **HOW)
    assert counts == [machine.MOST_THREADS - 1]


# -- under fire ------------------------------------------------------------------------------------


def test_an_interrupted_batch_leaves_no_answer_behind(policy, ready, monkeypatch):
    """Catches: after Ctrl-C, completions of the batch before, taken for those of the next
    prompts."""
    model, tokenizer = policy

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with monkeypatch.context() as broken:
        broken.setattr(workers, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(model, tokenizer, PROMPTS, workers=ready, **HOW)
    assert torch.get_num_threads() == threads and ready.processes is None
    others = [prompt.replace("what", "that") for prompt in PROMPTS]
    alone = without_logprobs(generate(model, tokenizer, others, workers=None, **HOW))
    ready.start(wait=True)
    shared = generate(model, tokenizer, others, workers=ready, **HOW)
    assert ready.peaks_mb and without_logprobs(shared) == alone


def test_two_threads_that_generate_at_once_get_their_own_answers(policy, ready):
    """Catches: a pipe on which one thread reads the answer to the other."""
    (model, tokenizer), got = policy, {}
    jobs = {word: [prompt.replace("what", word) for prompt in PROMPTS] for word in ("what", "that")}

    def ask(word):
        got[word] = generate(model, tokenizer, jobs[word], workers=ready, **HOW)

    threads = [threading.Thread(target=ask, args=(word,)) for word in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for word, prompts in jobs.items():
        alone = generate(model, tokenizer, prompts, workers=None, **HOW)
        assert without_logprobs(got[word]) == without_logprobs(alone)


def test_a_worker_that_dies_costs_nothing_but_time(policy, ready, capsys):
    """Catches: a run that hangs, or loses a share, when a process is killed (by the system, for
    memory)."""
    model, tokenizer = policy
    before = generate(model, tokenizer, PROMPTS, workers=ready, **HOW)
    ready.processes[0].popen.kill()
    ready.processes[0].popen.wait()
    threads = torch.get_num_threads()
    for _ in range(2):
        assert generate(model, tokenizer, PROMPTS, workers=ready, **HOW) == before
        assert ready.processes == []
    assert capsys.readouterr().err.count("going on without") == 1
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("refused", [BlockingIOError, RuntimeError])
def test_where_no_process_may_be_started_it_is_done_here(policy, ready, refused, monkeypatch):
    """Catches: `generate` that fails under a limit on processes or threads."""

    def refuse():
        raise refused("Resource temporarily unavailable")

    (model, tokenizer), before = policy, len(threading.enumerate())
    monkeypatch.setattr(workers, "start_process", refuse)
    alone = Workers(1)
    here = generate(model, tokenizer, PROMPTS, workers=alone, **HOW)
    assert here == generate(model, tokenizer, PROMPTS, workers=ready, **HOW)
    assert alone.processes == [] and len(threading.enumerate()) == before


def test_a_share_is_decoded_alike_wherever_it_is(policy, monkeypatch):
    """Catches: other batches, or more threads, where a process is missing: both round otherwise."""
    (model, tokenizer), seen = policy, []

    def noted(*args, places, numbers):
        seen.append((places[0], numbers, torch.get_num_threads()))
        return decode(*args, places=places, numbers=numbers)

    monkeypatch.setattr(workers, "decode", noted)
    threads, missing = torch.get_num_threads(), Workers(1)
    missing.processes = []
    try:
        torch.set_num_threads(2)
        generate(model, tokenizer, PROMPTS, workers=missing, **HOW)
        assert seen == [(0, range(8), 1), (5, range(8), 1)] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_fork_of_this_process_leaves_its_parents_workers_alone(monkeypatch):
    """Catches: a child of `os.fork` that ends, and kills what its parent decodes with."""
    process = DecodingProcess()
    with monkeypatch.context() as fork:
        fork.setattr(os, "getpid", lambda: -1)
        process.stop()
    assert process.popen.poll() is None
    process.stop()
    assert process.popen.poll() is not None


# -- orphans ---------------------------------------------------------------------------------------

JOB = {"weights": 6, "prompts": []}
WHOLE = json.dumps(JOB).encode() + b"\nabcdef"


@pytest.mark.parametrize("length", [0, 1, 10, len(WHOLE) - 6, len(WHOLE) - 1])
def test_a_job_that_breaks_off_is_none(length):
    """Catches: weights that are cut short, and a traceback about them."""
    assert serve.read_job(io.BytesIO(WHOLE[:length])) is None
    assert serve.read_job(io.BytesIO(WHOLE)) == (JOB, b"abcdef")


ORPHANS = """
import json, os, signal, sys, threading, torch
from minilrm.model import SCALES, Transformer
from minilrm.sampler import Engine, workers
from minilrm.sampler.decoding import Sampling
from minilrm.tokenizer import Tokenizer

tokenizer = Tokenizer.train(["a b c"], vocab_size=300)
engine = Engine(Transformer(SCALES["pico"]))
how = Sampling(512, 500, 1.0, 1.0, 0, 0, ())
fields, weights = workers.common_fields(engine, tokenizer, how)
share = workers.shares_of(64, 512, 1)[0]
line = json.dumps(fields | workers.fields_of(share, [[1]] * 64, range(64))).encode() + b"\\n"
if sys.argv[1] == "ends":
    workers.Workers(1).start()
else:  # is killed in the middle of a message, and of a job that takes minutes
    messages = line[:100], line + weights[:1000], line + weights
    processes = [workers.DecodingProcess() for _ in messages]
    for process, message in zip(processes, messages):
        process.ready.wait()
        process.popen.stdin.write(message)
        process.popen.stdin.flush()
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("way", ["killed", "ends"])
def test_a_process_that_is_gone_leaves_no_worker_and_no_traceback(way):
    """Catches: SIGTERM during an evaluation, and a traceback about incomplete weights; workers that
    decode to the end for no one; a program that waits for workers which are still starting."""
    ended = subprocess.run(  # waits until all that inherited its stderr have ended, too
        [sys.executable, "-c", ORPHANS, way],
        stderr=subprocess.PIPE,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.stderr == b"" and (ended.returncode == 0) == (way == "ends")
