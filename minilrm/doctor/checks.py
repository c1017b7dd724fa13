"""The known states of a run, one small pure function each: `check(run) -> Finding | None`.

A check speaks only on figures that every run of grpo or ppo logs (TRL's names where it has one),
and its thresholds stand above it. START and END are the means over the first and the last fifth of
the steps (run.py). CHECKS lists them, the most specific first, since a run that is cut off, say, is
also one that does not learn.

The thresholds were chosen on recorded runs of the toy task of minilrm/failures and tested on other
seeds (`python -m studies.doctor`).
"""

from collections.abc import Callable

import numpy as np

from minilrm.doctor.finding import Finding, broken, course, improved, problem
from minilrm.doctor.run import FIRST, Run

# Mean distance of the reward from what accuracy and format allow, in parts of the largest reward.
NOISE_OFF = 0.02
# Share of the reward's changes from step to step that go with accuracy and length; without noise
# near 1.
EXPLAINED = 0.65


def reward_noise(run: Run) -> Finding | None:
    """The reward is not the one of the options, and goes with nothing that is logged.

    The options' reward lies between the weight of accuracy times accuracy, and the weight of format
    more, in every step. Anything else that is paid for (length, say) breaks that as well, but then
    the reward still goes up and down with what it pays for.
    """
    if run.option("shuffle_rewards"):
        return problem(
            "reward_noise",
            "the options say shuffle_rewards: rewards were handed out at random",
            "that is the control; leave --shuffle-rewards out to learn",
        )
    low, reward = run.weight("accuracy") * run.column("accuracy"), run.column("reward")
    high = low + run.weight("format")
    least = low - (1.0 if run.option("overlong_cache") else 0.0)
    off = float(np.mean(np.maximum(least - reward, 0) + np.maximum(reward - high, 0)))
    largest = run.weight("accuracy") + run.weight("format")
    explained = explained_share(reward, low, run.column("completions/mean_length"))
    # said so that NaN is no finding
    if not (off >= NOISE_OFF * largest and explained <= EXPLAINED):
        return None
    return problem(
        "reward_noise",
        f"the reward is on average {off:.2f} away from what accuracy and format allow, and only "
        f"{explained:.0%} of its changes from step to step go with accuracy and length",
        "check the grader by hand on twenty completions, right and wrong ones; a flaky one has "
        "to be mended, more completions per question (--group-size) only average the noise out",
    )


def explained_share(figure: np.ndarray, *causes: np.ndarray) -> float:
    """R^2 of the least-squares fit of a figure's changes by those of others; 1 where it does not
    change.

    >>> explained_share(np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.0, 2.0, 6.0, 4.0]))
    1.0
    """
    changes, others = np.diff(figure), np.stack([np.diff(cause) for cause in causes], axis=1)
    if not np.isfinite(changes).all() or not np.isfinite(others).all():
        return float("nan")
    total = float((changes**2).sum())
    left = changes - others @ np.linalg.lstsq(others, changes, rcond=None)[0]
    return round(1 - float((left**2).sum()) / total, 6) if total else 1.0


# Nats per token between the sampler's and the trainer's log-probs; bfloat16 alone makes 0.002 to
# 0.01.
DISAGREE = 0.03


def sampler_mismatch(run: Run) -> Finding | None:
    """Sampler and trainer disagree from the first step on: they do not compute the same
    distribution."""
    first = run.first("sampling/logp_difference")
    if run.steps_per_batch > 1 or not first > DISAGREE:
        return None
    return problem(
        "sampler_mismatch",
        f"sampler and trainer differ by {first:.3f} nats per token in the first steps, "
        "before anything could have moved apart",
        "compute the log-probs at the temperature the tokens were sampled at, without top-p or "
        "top-k, with the same weights and the same shift; precision alone makes 0.01 at most",
    )


# With several updates per batch, the share of tokens outside the clip range: always, and where
# accuracy broke down.
OFF_POLICY, BROKE_OFF = 0.1, 0.02
# Nats per token from the policy that sampled, on average over the updates of a batch; healthy: 0.01
# at most.
DRIFT = 0.05


def stale_policy(run: Run) -> Finding | None:
    """The answers were sampled by another policy than the one that learns from them."""
    if run.steps_per_batch > 1:
        clipped, drift = run.mean("clip_ratio/region_mean"), run.mean("sampling/logp_difference")
        # GSPO's narrow range clips a third of them by design.
        too_many = clipped > OFF_POLICY and run.options.get("objective") != "gspo"
        if not (too_many or clipped > BROKE_OFF and broken(run) or drift > DRIFT):
            return None
        return problem(
            "stale_policy",
            f"{clipped:.0%} of the tokens lie outside the clip range, {drift:.3f} nats per token "
            f"from the sampler's on average, accuracy went {course(run, 'accuracy')}: within the "
            f"{run.steps_per_batch:g} optimizer steps per batch the policy moves far from the one "
            "that sampled",
            "fewer --updates and --epochs per batch, or a lower --lr",
        )
    later = run.values("sampling/logp_difference")[FIRST:]
    if not len(later) or not later.mean() > DISAGREE:
        return None
    return problem(
        "stale_policy",
        f"sampler and trainer differ by {later.mean():.3f} nats per token on average, and did not "
        "at the start: the sampler works with old weights",
        "give the sampler the new weights after every step, or keep the old log-probs and let "
        "the ratio be clipped",
    )


# Share of completions cut off at the limit, and share of the answered ones that go on after the
# answer.
RUNS_ON = 0.5


def eos_not_learnt(run: Run) -> Finding | None:
    """Completions go on after their answer until they are cut off."""
    answered = [text for text in run.texts if run.task.answers_in(text)]
    going_on = [text for text in answered if run.task.runs_on(text)]
    cut_off = run.end("completions/clipped_ratio")
    if (
        not cut_off >= RUNS_ON
        or len(answered) < len(run.texts) / 4
        or len(going_on) < RUNS_ON * len(answered)
    ):
        return None
    return problem(
        "eos_not_learnt",
        f"{cut_off:.0%} of the completions end at the limit, and {len(going_on)} of "
        f"{len(answered)} answered ones go on after the answer",
        "see that the end-of-text token ends every training document, and that the mask of the "
        "loss holds it; the reward for the format (--reward format=0.1) then teaches to stop",
    )


CUT_OFF = 0.2  # share of completions cut off
LONGER, TWICE = 1.4, 2.0  # END over START of the mean length: with more cut off, and without


def length_runaway(run: Run) -> Finding | None:
    """Length grows towards the limit and takes no accuracy with it."""
    before, after = run.start("completions/mean_length"), run.end("completions/mean_length")
    more_cut = run.end("completions/clipped_ratio") - run.start("completions/clipped_ratio")
    astray = after >= TWICE * before and not improved(run) and not broken(run)
    if not (after >= LONGER * before and more_cut >= CUT_OFF or astray):
        return None
    return problem(
        "length_runaway",
        f"mean length went from {before:.0f} to {after:.0f} tokens, completions cut off from "
        f"{run.start('completions/clipped_ratio'):.0%} to "
        f"{run.end('completions/clipped_ratio'):.0%}, while accuracy went "
        f"{course(run, 'accuracy')}",
        "look for what pays for length: a bonus, or --aggregation sequence, which lets long "
        "wrong answers off; charge for it (--overlong-cache), or use --aggregation token",
    )


def truncation(run: Run) -> Finding | None:
    """Completions are cut off before they come to an answer, from the start."""
    cut_off = run.first("completions/clipped_ratio")
    open_ended = [text for text in run.texts if not run.task.answers_in(text)]
    marked = f" behind {run.task.mark}" if run.task.mark else ""
    still, limit = run.end("completions/clipped_ratio"), run.option("max_new_tokens")
    if not cut_off >= CUT_OFF or improved(run) and still < CUT_OFF:
        return None
    return problem(
        "truncation",
        f"{cut_off:.0%} of the completions were cut off at first and {still:.0%} at last "
        f"(limit{f': {limit:g} tokens' if limit else ' of the task'}); {len(open_ended)} of "
        f"{len(run.texts)} transcripts have no answer{marked}",
        "raise --max-new-tokens to twice the mean length of right answers, or the policy learns to "
        "be short instead of right",
    )


FORM = 0.15  # rise of the share of well-formed answers
NO_GAIN = 0.05  # accuracy that rose by less did not rise


def format_only(run: Run) -> Finding | None:
    """The form is learnt, the answers stay as wrong as they were."""
    form = run.format_rate()
    gain = run.end("accuracy") - run.start("accuracy")
    if not len(form) or gain >= NO_GAIN:
        return None
    before, after = form[:FIRST].mean(), form[-run.window :].mean()
    pays_more = run.weight("format") > run.weight("accuracy")
    if after - before < FORM and not (pays_more and after >= CERTAIN):
        return None
    return problem(
        "format_only",
        f"the share of well-formed answers went from {before:.0%} to {after:.0%}, accuracy "
        f"{course(run, 'accuracy')}",
        "lower the weight of format in --reward (0.1 of the accuracy's is plenty); if accuracy is "
        "near 0, choose easier questions or a better base first",
    )


# accuracy of a task that is too hard; share of groups whose rewards are all equal
RARE, EQUAL = (0.02, 0.7)


def too_hard(run: Run) -> Finding | None:
    """Next to no answer is right, so there is nothing to prefer."""
    accuracy = run.mean("accuracy")
    # right at first and never again is another state
    if not (accuracy < RARE and run.first("accuracy") < RARE):
        return None
    return problem(
        "too_hard",
        f"{accuracy:.1%} of all completions were right; {run.mean('frac_reward_zero_std'):.0%} of "
        "the groups had equal rewards",
        "start where one answer in five is right: easier questions, a better base (pretrain or "
        "sft on worked solutions), or more completions per question (--group-size)",
    )


CERTAIN = 0.9  # accuracy of a task that leaves nothing to learn


def saturated(run: Run) -> Finding | None:
    """The base can do the task already."""
    accuracy, equal = run.start("accuracy"), run.start("frac_reward_zero_std")
    if not (accuracy >= CERTAIN and run.mean("accuracy") >= CERTAIN and equal >= 0.5):
        return None
    return problem(
        "saturated",
        f"accuracy was {accuracy:.2f} in the first steps, and {equal:.0%} of the groups had equal "
        "rewards",
        "harder questions; where all answers of a group are right there is nothing to learn from "
        "it",
    )


HELD = 0.02  # nats per token from the reference at the end
DEAR = 0.1  # what they cost per completion, in parts of the reward for a right answer


def kl_pinning(run: Run) -> Finding | None:
    """The KL term holds the policy at its reference: nothing is learnt, or what is learnt costs too
    much to go on."""
    weight, distance = run.option("kl_coef"), run.end("kl")
    dear = weight * distance * run.end("completions/mean_length") >= DEAR * run.weight("accuracy")
    if not weight or not distance < HELD or improved(run) and not dear:
        return None
    return problem(
        "kl_pinning",
        f"kl_coef is {weight:g}; the policy ended {distance:.4f} nats per token from its "
        f"reference, and accuracy went {course(run, 'accuracy')}",
        "lower --kl-coef to 0.01 or 0: a verifiable reward needs no leash",
    )


HIGH_LR = 2e-3  # of AdamW; models of 0.1 to 16M parameters take 5e-5 to 1e-3
RISEN, COLLAPSED = 1.5, 0.3  # END over START of the entropy


def lr_too_high(run: Run) -> Finding | None:
    """Accuracy breaks down, or never came up, with a learning rate or an entropy that explains
    it."""
    best, end = run.best("accuracy"), run.end("accuracy")
    rises = run.end("entropy") > RISEN * run.start("entropy")
    falls = run.end("entropy") < COLLAPSED * run.start("entropy")
    rose = run.best("entropy") > RISEN * run.start("entropy")  # and may have fallen since
    # What breaks within the first steps has no better stretch to fall from; then the entropy tells.
    steep = run.option("lr") >= HIGH_LR and not improved(run) and (broken(run) or rose or falls)
    if not (best >= RARE and (steep or broken(run) and rises)):
        return None
    return problem(
        "lr_too_high",
        f"accuracy was {best:.2f} at its best and {end:.2f} at last; entropy went "
        f"{course(run, 'entropy', '.3f')}; the learning rate is {run.option('lr'):g}, the largest "
        f"gradient norm {max(run.values('grad_norm'), default=0):.3g}",
        "a third of the learning rate, or a tenth. If accuracy falls there too, from the first "
        "steps, suspect a sign: run the tests of the loss",
    )


def entropy_collapse(run: Run) -> Finding | None:
    """The policy says nearly the same each time, and it is not the right thing."""
    before, after = run.start("entropy"), run.end("entropy")
    equal = run.end("frac_reward_zero_std")
    if (
        not (after < COLLAPSED * before and equal >= EQUAL)
        or improved(run)
        or run.end("accuracy") >= CERTAIN
    ):
        return None
    return problem(
        "entropy_collapse",
        f"entropy went from {before:.3f} to {after:.3f} nats per token and {equal:.0%} of the "
        f"groups have equal rewards, with accuracy {course(run, 'accuracy')}",
        "compare within groups (no --normalize reward), a lower --lr, a higher --temperature, "
        "clip-higher (--clip-high 0.28); see that no entropy term has the wrong sign",
    )


def no_progress(run: Run) -> Finding | None:
    """Accuracy did not rise, and nothing above says why."""
    if improved(run) or run.end("accuracy") >= CERTAIN:
        return None
    return problem(
        "no_progress",
        f"accuracy went {course(run, 'accuracy')} in {run.steps} steps, gradient norm "
        f"{run.mean('grad_norm'):.3g}, entropy {course(run, 'entropy', '.3f')}",
        "more steps, or three times the learning rate. A gradient norm of 0 means that nothing "
        "is trained; else suspect a formula, and run the tests (python -m pytest tests)",
    )


SMALL = 0.05  # largest size of a mean loss that is 0 but for chance and lengths


def loss_is_zero(run: Run) -> Finding | None:
    """The loss is about 0: on-policy, with advantages whose mean is 0, it must be. (PPO's holds the
    critic's, too.)"""
    size = abs(run.mean("loss"))
    if run.steps_per_batch > 1 or not size < SMALL or "value_coef" in run.options:
        return None
    return Finding(
        "loss_is_zero",
        "note",
        f"the mean loss is {run.mean('loss'):.3f}",
        "nothing: on-policy the ratio is 1 and a group's advantages add up to 0, so the loss is "
        "0 but for the lengths, and says nothing. Its gradient does; look at reward and accuracy "
        "instead",
    )


CHECKS: tuple[Callable[[Run], Finding | None], ...] = (
    reward_noise,
    sampler_mismatch,
    stale_policy,
    lr_too_high,
    eos_not_learnt,
    truncation,
    length_runaway,
    format_only,
    too_hard,
    saturated,
    kl_pinning,
    entropy_collapse,
    no_progress,
    loss_is_zero,
)
