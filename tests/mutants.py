"""Wrong versions of minilrm/objectives/, one line each: what students write, and what famous
teaching code has. (Those of minilrm/values.py are in test_values.py, and are printed here as well.)

`python -m tests.mutants` prints which check rejects which. A test suite is worth what it rejects:
add your own mistake here and see. A mutant is the source text with one piece replaced, run as a
module of its own; the checks are those that the real module passes in test_objectives.py,
test_objectives_batch.py and test_objectives_steps.py.
"""

import re
import time
import types
from pathlib import Path
from typing import NamedTuple

import pytest

from minilrm import objectives
from tests import test_objectives, test_objectives_batch, test_objectives_steps

FILES = [
    Path(objectives.__file__).with_name(f"{name}.py")
    for name in ("exact", "likelihood", "advantages", "policy", "preferences")
]
OURS = re.compile(r"^from minilrm\.objectives.*\n", re.MULTILINE)
# The package as one file, so that a mutant is one replacement in it.
SOURCE = "\n\n".join(OURS.sub("", file.read_text(encoding="utf-8")) for file in FILES)
CHECKS = test_objectives.CHECKS + test_objectives_batch.CHECKS + test_objectives_steps.CHECKS


class Mutant(NamedTuple):
    """What the student did, and the replacement that does it."""

    name: str
    story: str
    old: str
    new: str


MUTANTS = [
    Mutant(*fields)
    for fields in [
        # -- log-probabilities ---------------------------------------------------------------------
        (
            "shift_logits",
            "pairs each token with the logits that stand at it, not before it",
            "logits[:, :-1], ids[:, 1:], temperature",
            "logits[:, 1:], ids[:, 1:], temperature",
        ),
        (
            "no_shift",
            "asks for the log-prob of the token just read",
            "logits[:, :-1], ids[:, 1:], temperature",
            "logits[:, :-1], ids[:, :-1], temperature",
        ),
        (
            "temperature_forgotten",
            "samples at tau, trains on the log-probs at 1",
            "logits if temperature == 1 else logits / temperature",
            "logits",
        ),
        (
            "temperature_multiplied",
            "multiplies by the temperature",
            "else logits / temperature",
            "else logits * temperature",
        ),
        (
            "logits_as_logprobs",
            "takes the chosen logit for the log-prob",
            "return chosen - logits.logsumexp(-1)",
            "return chosen",
        ),
        (
            "half_precision",
            "takes differences of log-probs in bfloat16",
            "return x if x.dtype == torch.float64 else x.float()",
            "return x",
        ),
        (
            "entropy_of_banned",
            "0 * -inf: entropy is NaN as soon as a token is banned",
            ".log_softmax(-1).clamp(min=-1e4)",
            ".log_softmax(-1)",
        ),
        (
            "entropy_sign",
            "maximises what it wants to minimise",
            "return -(log_p.exp() * log_p).sum(-1)",
            "return (log_p.exp() * log_p).sum(-1)",
        ),
        (
            "cross_entropy_all",
            "divides by all positions, padding included",
            "total / count(denominator, keep.sum())",
            "total / count(denominator, keep.numel())",
        ),
        # -- advantages ----------------------------------------------------------------------------
        (
            "std_without_bessel",
            "std over G instead of G - 1",
            ".square().sum(1, keepdim=True) / (n - 1)",
            ".square().sum(1, keepdim=True) / n",
        ),
        (
            "eps_in_variance",
            "adds eps under the root",
            "(variance.sqrt() + eps)",
            "(variance + eps).sqrt()",
        ),
        ("variance_for_std", "forgets the root", "(variance.sqrt() + eps)", "(variance + eps)"),
        (
            "mean_of_all_groups",
            "one baseline for all prompts",
            "inside(rewards, valid).sum(1, keepdim=True) / n\n",
            "inside(rewards, valid).sum() / n.sum()\n",
        ),
        (
            "rloo_keeps_itself",
            "leave-one-out that leaves none out",
            "centered = centered * n / (n - 1)",
            "centered = centered",
        ),
        (
            "rloo_upside_down",
            "(G-1)/G for G/(G-1)",
            "centered * n / (n - 1)",
            "centered * (n - 1) / n",
        ),
        (
            "batch_std_of_centered",
            "std of the advantages for that of the raw rewards",
            "rewards[valid].std()",
            "centered[valid].std()",
        ),
        (
            "divides_by_noise",
            "trusts the division where all rewards are equal",
            "inside(centered, valid & (highest > lowest))",
            "inside(centered, valid)",
        ),
        (
            "failed_graders_are_wrong",
            "counts a reward that does not exist in the group's size",
            "n = valid.sum(1, keepdim=True)",
            "n = torch.full_like(rewards[:, :1], rewards.shape[1])",
        ),
        (
            "failed_graders_teach",
            "gives an invalid completion an advantage",
            "inside(centered, valid & (highest > lowest))",
            "inside(centered, highest > lowest)",
        ),
        (
            "overlong_cliff",
            "starts to punish at max_length",
            "((max_length - cache - lengths) / cache)",
            "((max_length - lengths) / cache)",
        ),
        # -- single steps --------------------------------------------------------------------------
        (
            "steps_of_the_past",
            "sums the rewards of the steps before, not of those that follow",
            "row.flip(0).cumsum(0).flip(0) for row in scaled",
            "row.cumsum(0) for row in scaled",
        ),
        (
            "worst_so_far",
            "punishes right steps for a mistake before them",
            "row.flip(0).cummin(0).values.flip(0)",
            "row.cummin(0).values",
        ),
        (
            "own_step_alone",
            "a step answers for itself alone",
            "row.flip(0).cumsum(0).flip(0) for row in scaled",
            "row for row in scaled",
        ),
        (
            "one_step_late",
            "the token that ends a step belongs to the next one",
            "torch.searchsorted(torch.tensor(list(places)), torch.arange(length))",
            "torch.searchsorted(torch.tensor(list(places)), torch.arange(length), right=True)",
        ),
        (
            "each_completion_alone",
            "compares the steps of a completion with each other, not with the group's",
            "(row - together.mean()) / scale for row",
            "(row - row.mean()) / scale for row",
        ),
        # -- pairs ---------------------------------------------------------------------------------
        (
            "dpo_without_reference",
            "leaves the reference model out",
            "(chosen - ref_chosen) - (rejected - ref_rejected)",
            "chosen - rejected",
        ),
        (
            "dpo_sign",
            "prefers the rejected answer",
            "return -F.logsigmoid(margins).mean(), margins.detach()",
            "return -F.logsigmoid(-margins).mean(), margins.detach()",
        ),
        (
            "dpo_sum_of_pairs",
            "a sum over pairs for a mean",
            "return -F.logsigmoid(margins).mean(), margins.detach()",
            "return -F.logsigmoid(margins).sum(), margins.detach()",
        ),
        (
            "dpo_ratio_for_difference",
            "beta inside of one bracket alone",
            "beta * ((chosen - ref_chosen) - (rejected - ref_rejected))",
            "beta * (chosen - ref_chosen) - (rejected - ref_rejected)",
        ),
        (
            "bradley_terry_of_scores",
            "each score for itself, not their difference",
            "return -F.logsigmoid(chosen - rejected).mean()",
            "return -(F.logsigmoid(chosen) + F.logsigmoid(-rejected)).mean()",
        ),
        # -- KL ------------------------------------------------------------------------------------
        (
            "kl_backwards",
            "d = logp - ref_logp: k1 negated, k3 inverted",
            "d = ref_logp - logp\n",
            "d = logp - ref_logp\n",
        ),
        ("k1_sign", "estimates minus the KL", "return -d\n", "return d\n"),
        ("k2_half", "forgets the half", "return d.square() / 2", "return d.square()"),
        ("k3_sign", "exp(-d) + d - 1", "return torch.expm1(d) - d ", "return torch.expm1(-d) + d "),
        (
            "k3_without_d",
            "exp(d) - 1: right value on average, wrong gradient",
            "return torch.expm1(d) - d ",
            "return torch.expm1(d) ",
        ),
        (
            "k1_by_default",
            "k1 as a loss: its expected gradient is zero",
            'kl_kind: str = "k3"',
            'kl_kind: str = "k1"',
        ),
        (
            "kl_rewarded",
            "pushes away from the reference",
            "values + kl_coef * logged",
            "values - kl_coef * logged",
        ),
        (
            "jsd_swapped",
            "beta on the student",
            "log_t + math.log(beta), log_s + math.log(1 - beta)",
            "log_s + math.log(beta), log_t + math.log(1 - beta)",
        ),
        (
            "jsd_mixes_logs",
            "a mean of log-probs is not the log of the mixture",
            "torch.logaddexp(log_t + math.log(beta), log_s + math.log(1 - beta))",
            "beta * log_t + (1 - beta) * log_s",
        ),
        (
            "jsd_ends",
            "forward for reverse KL",
            "divergence = _kl(log_t, log_s)",
            "divergence = _kl(log_s, log_t)",
        ),
        (
            "teacher_learns",
            "lets the gradient into the teacher",
            "teacher_logits[keep].detach()",
            "teacher_logits[keep]",
        ),
        # -- aggregation ---------------------------------------------------------------------------
        (
            "sequence_over_padding",
            "per-sequence mean over the padded width",
            "sums / mask.sum(1).clamp(min=1)",
            "sums / mask.shape[1]",
        ),
        (
            "token_over_padding",
            "token mean over padding too",
            "sums.sum() / count(denominator, mask.sum())",
            "sums.sum() / count(denominator, mask.numel())",
        ),
        (
            "constant_is_longest",
            "divides by the longest in the batch, not by a constant",
            "(max_length * count(denominator, len(mask)))",
            "(mask.sum(1).max() * count(denominator, len(mask)))",
        ),
        (
            "dr_grpo_per_sequence",
            "'Dr. GRPO' that still averages per sequence",
            '"dr_grpo": ("constant"',
            '"dr_grpo": ("sequence"',
        ),
        (
            "dapo_per_sequence",
            "DAPO without its token mean",
            '"dapo": ("token"',
            '"dapo": ("sequence"',
        ),
        (
            "micro_batch_mean",
            "divides by the micro-batch's own count",
            "max(own if denominator is None else denominator, 1)",
            "max(own, 1)",
        ),
        (
            "empty_batch",
            "0 / 0 where all is masked",
            "max(own if denominator is None else denominator, 1)",
            "(own if denominator is None else denominator)",
        ),
        (
            "mask_by_product",
            "values * mask: 0 * NaN is NaN",
            "return torch.where(mask, values, 0.0)",
            "return values * mask",
        ),
        (
            "eos_masked",
            "masks from the EOS on, so that stopping is never trained",
            "mask = mask.bool()\n    # From",
            "mask = mask.bool() & mask.bool().roll(-1, 1)\n    # From",
        ),
        (
            "prompt_trained",
            "forgets the mask: prompt, tool text and padding are trained",
            "mask = mask.bool()\n    # From",
            "mask = torch.ones_like(mask).bool()\n    # From",
        ),
        # -- objectives ----------------------------------------------------------------------------
        (
            "max_for_min",
            "the optimistic bound",
            "torch.minimum(ratio * advantages,",
            "torch.maximum(ratio * advantages,",
        ),
        (
            "clip_alone",
            "clips without the min: wrong answers that grew likelier get no gradient",
            "torch.minimum(ratio * advantages, ratio.clamp(lower, upper) * advantages)",
            "ratio.clamp(lower, upper) * advantages",
        ),
        (
            "inverted_clip",
            "min of the ratios, then times A: inverted for negative advantages",
            "torch.minimum(ratio * advantages, ratio.clamp(lower, upper) * advantages)",
            "torch.minimum(ratio, ratio.clamp(lower, upper)) * advantages",
        ),
        (
            "no_clip",
            "no clip at all",
            "torch.minimum(ratio * advantages, ratio.clamp(lower, upper) * advantages)",
            "ratio * advantages",
        ),
        (
            "one_sided_clip",
            "PPO without the lower bound",
            "ratio.clamp(lower, upper) * advantages",
            "ratio.clamp(max=upper) * advantages",
        ),
        (
            "quotient_of_logs",
            "ratio = logp / old_logp",
            "return log_ratio.exp()",
            "return inside(logp / old_logp, mask)",
        ),
        (
            "ratio_upside_down",
            "old / new",
            "log_ratio = inside(logp - old_logp, mask)",
            "log_ratio = inside(old_logp - logp, mask)",
        ),
        (
            "old_not_detached",
            "ratio of logp and itself: no gradient at all",
            "logp.detach() if old_logp is None",
            "logp if old_logp is None",
        ),
        (
            "minus_forgotten",
            "descends where it should ascend",
            "values = -surrogate_terms(",
            "values = surrogate_terms(",
        ),
        (
            "neighbours_advantage",
            "repeats advantages in another order than the rows",
            "advantages.unsqueeze(1)",
            "advantages.roll(1).unsqueeze(1)",
        ),
        (
            "advantages_learn",
            "lets the gradient into the value head",
            "if advantages.dim() == 1 else advantages).detach()",
            "if advantages.dim() == 1 else advantages)",
        ),
        (
            "dapo_clips_low",
            "DAPO without clip-higher",
            '("token", 0.2, 0.28)',
            '("token", 0.2, 0.2)',
        ),
        (
            "gspo_ppo_clip",
            "a token's clip on a sequence's ratio",
            '("sequence", 3e-4, 4e-4)',
            '("sequence", 0.2, 0.2)',
        ),
        (
            "gspo_sum",
            "product of the ratios instead of their geometric mean",
            "mean = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)",
            "mean = log_ratio.sum(1, keepdim=True)",
        ),
        (
            "gspo_over_padding",
            "mean over the padded width",
            "log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)",
            "log_ratio.sum(1, keepdim=True) / mask.shape[1]",
        ),
        (
            "gspo_gradient_twice",
            "no stop-gradient on the mean",
            "mean.detach() + inside",
            "mean + inside",
        ),
        (
            "cispo_no_stop",
            "CISPO without its stop-gradient",
            "ratio.clamp(max=upper).detach() *",
            "ratio.clamp(max=upper) *",
        ),
        (
            "cispo_drops_tokens",
            "CISPO as a clip: clipped tokens lose their gradient",
            "ratio.clamp(max=upper).detach() * advantages * logp",
            "ratio.clamp(max=upper) * advantages",
        ),
        (
            "cispo_lower_bound",
            "CISPO with PPO's lower bound",
            "ratio.clamp(max=upper).detach()",
            "ratio.clamp(0.8, upper).detach()",
        ),
        (
            "cispo_no_cap",
            "CISPO without its cap",
            "ratio.clamp(max=upper).detach()",
            "ratio.detach()",
        ),
        (
            "reinforce_detached",
            "a loss without a gradient",
            "return advantages * logp\n",
            "return advantages * logp.detach() + 0 * logp\n",
        ),
        (
            "reinforce_probability",
            "p for log p",
            "return advantages * logp\n",
            "return advantages * logp.exp()\n",
        ),
        # -- stats ---------------------------------------------------------------------------------
        (
            "clipped_any_sign",
            "counts ratios out of bounds whose gradient flows on",
            "(ratio > 1 + high) & (advantages > 0)",
            "(ratio > 1 + high)",
        ),
        (
            "stats_of_micro_batch",
            "means of micro-batches, which do not add up",
            '"token", None, tokens)',
            '"token", None)',
        ),
    ]
]


def run(mutant, source=SOURCE):
    """The module that the replacement makes."""
    found = source.count(mutant.old)
    assert found == 1, (
        f"{mutant.name}: the text to replace stands {found} times in the file, it must stand once"
    )
    module = types.ModuleType(f"mutant_{mutant.name}")
    exec(compile(source.replace(mutant.old, mutant.new), module.__name__, "exec"), module.__dict__)
    return module


def rejected_by(module, checks=CHECKS):
    """The name of the first check that the module fails, or None. A crash is a rejection too."""
    for check in checks:
        try:
            check(module)
        except (Exception, pytest.fail.Exception):
            return check.__name__.removeprefix("check_")
    return None


def main():
    from tests import test_values  # which imports this file

    start, rejected, every = time.perf_counter(), 0, [(MUTANTS, SOURCE, CHECKS)]
    every += [(test_values.MUTANTS, test_values.SOURCE, test_values.CHECKS)]
    print(f"{'mutant':28} {'rejected by':55} what was done")
    for mutants, source, checks in every:
        for mutant in mutants:
            by = rejected_by(run(mutant, source), checks)
            rejected += by is not None
            print(f"{mutant.name:28} {by or 'NOTHING: a check is missing':55} {mutant.story}")
    print(
        f"{rejected} of {sum(len(mutants) for mutants, _, _ in every)} rejected, "
        f"{time.perf_counter() - start:.1f} s"
    )


if __name__ == "__main__":
    main()
