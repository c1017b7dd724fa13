"""The gallery: what each failure is, why it does what it does, how to switch it on, and the test
that would have caught it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from minilrm.failures import faults
from minilrm.failures.faults import Fault


@dataclass(frozen=True)
class Failure:
    """One bug.

    title: what was done, in a line. why: what follows from it, and how to notice. test: the one of
    the project's own tests, as pytest names it, that fails on this bug; of a setting, the one that
    proves the fact behind it. watch: the logged figure that shows it best, beside accuracy.
    options: what both runs are given; wrong: what only the broken one is. fault: switches the bug
    on. corpus: what the base of both has read (toy.CORPORA).
    """

    name: str
    title: str
    test: str
    watch: str
    why: str
    fault: Fault = faults.none
    wrong: Mapping = field(default_factory=dict)
    options: Mapping = field(default_factory=dict)
    corpus: str = "plain"

    @property
    def is_setting(self) -> bool:
        """True if options alone are wrong, and no line of code."""
        return self.fault is faults.none


OVER_A_BATCH = "tests/test_objectives_batch.py::test_objectives_over_a_batch"

FAILURES = [
    Failure(
        "wrong-sign",
        "the minus before the objective is forgotten",
        "tests/test_grpo_step.py::test_the_policy_moves_towards_what_is_rewarded",
        "entropy",
        "Optimizers minimise; the objective of a policy gradient is to be maximised. Without the "
        "minus, each step makes the answers that earned more than their group *less* likely. "
        "Nothing crashes, and the loss is as small as ever. First entropy rises, since what is "
        "pushed down has to go somewhere; when nothing is right any more, the policy ends in "
        "some noise that earns nothing either. A reward that falls from the very first steps on, "
        "in every seed, is the mark of a sign; a learning rate that is too high lets it rise "
        "first.",
        faults.wrong_sign,
    ),
    Failure(
        "quotient-of-logs",
        "the ratio is computed as log p / log p_old",
        "tests/test_objectives.py::test_objectives[table_of_clips]",
        "entropy",
        "The ratio of two probabilities is exp(log p - log p_old). The quotient of the logs is "
        "also 1 at the start, so the first loss looks right. Its gradient does not: log p_old is "
        "negative, so it points the wrong way, and it is weighted by 1 / |log p_old|, which is "
        "largest for the tokens that were nearly certain. Code with this line has been published.",
        faults.quotient_of_logs,
    ),
    Failure(
        "old-not-detached",
        "the old log-probs carry the same gradient as the new ones",
        f"{OVER_A_BATCH}[on_policy_gradient_is_reinforce]",
        "grad_norm",
        "On-policy, old and new log-probs are the same numbers, so it is natural to write logp - "
        "logp. But then the two gradients cancel and the policy never moves: the ratio is 1, the "
        "loss is what it should be, and the norm of the gradient is exactly 0. The old log-probs "
        "have to be a constant (detach). Look at grad_norm before anything else.",
        faults.old_not_detached,
    ),
    Failure(
        "shifted-logprobs",
        "each token is paired with the logits that stand at it, not before it",
        "tests/test_objectives.py::test_objectives[logprobs_are_of_the_next_token]",
        "sampling/logp_difference",
        "The logits at position t speak about token t + 1. Off by one, training asks for the "
        "probability of a token from the logits computed after reading it, and rewards a model "
        "for repeating what it has just said. The loss is smooth and of the right size. What "
        "gives it away at the first step is that the sampler's own log-probs of the same tokens "
        "differ, and not by rounding: by several nats.",
        faults.shifted_logprobs,
    ),
    Failure(
        "temperature-forgotten",
        "answers are sampled at temperature 0.5, their log-probs computed at 1",
        "tests/test_grpo_step.py::test_the_sampling_temperature_is_the_trainers",
        "sampling/logp_difference",
        "At temperature tau the sampling policy is softmax(z / tau), and the gradient of its "
        "reward needs the log-probs of that policy. Those at temperature 1 belong to another "
        "one. In a small model that learns fast, accuracy does not show it at all, which is why "
        "this one lives long in real code. The disagreement between sampler and trainer does, "
        "from the first step on: it should be 0 up to rounding. With several updates on a batch "
        "the ratio, and so the clip, starts from the wrong place.",
        faults.temperature_forgotten,
        options={"temperature": 0.5},
    ),
    Failure(
        "eos-masked",
        "the end-of-text token is left out of the loss",
        f"{OVER_A_BATCH}[masked_tokens_have_no_gradient_and_eos_has]",
        "completions/clipped_ratio",
        "Whoever takes the end-of-text token for padding masks it away, and then nothing says "
        "that to stop was right. The base here often writes on after its answer, which spoils "
        "it. Both runs imitate right answers alone (expert iteration: --normalize reward). The "
        "healthy one learns to stop within ten steps; the broken one sees only what comes before "
        "the end, and goes on rambling. Under GRPO's comparison the same bug hardly shows in "
        "this task, as wrong answers are pushed down, and with them whatever is said in the "
        "place of the end. A test sees it in either case.",
        faults.eos_masked,
        options={"normalize": "reward"},
        corpus="restless",
    ),
    Failure(
        "padding-trained",
        "padding counts as if it had been sampled",
        f"{OVER_A_BATCH}[masked_tokens_have_no_gradient_and_eos_has]",
        "grad_norm",
        "Completions of one batch are padded to the longest. Without the mask, a short answer "
        "drags a tail of padding tokens through the loss, each with the answer's advantage. "
        "Nobody said them, so their log-probs are far down, and where the log-prob is low the "
        "gradient is long: most of it is about tokens that are not there. Compare grad_norm with "
        "that of a run you trust.",
        faults.padding_trained,
    ),
    Failure(
        "neighbours-advantage",
        "each group is taught with the advantages of another",
        "tests/test_grpo_step.py::test_it_is_that_of_the_formula",
        "entropy",
        "Repeating prompts row by row (repeat_interleave) and rewards block by block (repeat), "
        "or sorting by length and forgetting to sort the rewards, pairs answers with advantages "
        "that are not theirs. They still have mean 0 and std 1, so every printed statistic is "
        "right; they are noise. The policy drifts wherever chance pushes it, mostly away from "
        "what it could do.",
        faults.neighbours_advantage,
    ),
    Failure(
        "no-baseline",
        "the bare reward for the advantage, and every answer earns 1 on top",
        "tests/test_objectives.py::test_objectives[advantages]",
        "entropy",
        "A constant in the reward changes nothing where the group's mean is taken off. Where it "
        "is not, every answer is pushed up, wrong ones too, by whatever happened to be sampled. "
        "Expected over all samples the constant has no gradient; over 64 samples it is larger "
        "than the signal. What is sampled more is pushed more, so entropy falls whether or not "
        "the answers are right.",
        faults.no_baseline,
    ),
    Failure(
        "inverted-clip",
        "min(rho, clip(rho)) * A in place of min(rho A, clip(rho) A)",
        "tests/test_objectives.py::test_objectives[table_of_clips]",
        "sampling/logp_difference",
        "For a positive advantage the two are the same. For a negative one the minimum has to be "
        "taken after the multiplication: PPO stops pushing a bad answer down once it is 20 % "
        "less likely, but never stops if it became more likely. The inverted form does the "
        "opposite: no bound on the way down, and no gradient where a bad answer has grown more "
        "likely. It needs several optimizer steps per batch to show, as here, eight: the policy "
        "then strays further from its samples within a batch, until it collapses.",
        faults.inverted_clip,
        options={"epochs": 8, "lr": 7e-4},
    ),
    Failure(
        "stale-rollouts",
        "answers come from a copy of the policy that is refreshed every 20 steps",
        "tests/test_failures.py::test_each_step_samples_from_the_policy_as_it_is",
        "sampling/logp_difference",
        "A sampling engine that keeps its own copy of the weights has to be told of every "
        "update. If it is told late, and the loss takes the answers for the policy's own (ratio "
        "1), the same old samples are pushed again and again, however far the policy has moved. "
        "The sampler's and the trainer's log-probs drift apart between refreshes, a saw-tooth: "
        "that is the figure to log. Accuracy here is that of the copy that samples; it hides how "
        "far the policy itself is gone until the next refresh. With the old log-probs kept and a "
        "clipped ratio, mild staleness is harmless.",
        lambda: faults.stale_rollouts(20),
    ),
    Failure(
        "learning-rate",
        "the learning rate is twenty times too high",
        "tests/test_grpo_step.py::test_a_collapse_stops_the_run_and_keeps_the_best",
        "entropy",
        "One step then moves the policy so far that the samples it came from say nothing about "
        "where it went. Accuracy is gone within a few steps, and entropy leaps up or goes to 0. "
        "From there hardly any group has a right answer, so there is hardly a way back. Small "
        "models take 1e-4 to 1e-3 here; the 1e-6 of large ones is a matter of their size.",
        wrong={"lr": 1e-2},
    ),
    Failure(
        "kl-too-large",
        "the weight of the KL term is 3, and not 0.01",
        f"{OVER_A_BATCH}[kl_term]",
        "kl",
        "The penalty grows with the distance from the reference, so there is always one at which "
        "it balances the reward. With a large weight that is right beside the reference: KL "
        "stays near 0, and so does what is learnt. Nothing else looks wrong. Recipes for "
        "verifiable rewards mostly have no KL term at all.",
        wrong={"kl_coef": 3.0},
        options={"kl_coef": 0.01},
    ),
    Failure(
        "k1-loss",
        "the k1 estimate as a KL loss",
        "tests/test_objectives.py::test_objectives[expected_gradient_of_the_kl_estimates]",
        "kl",
        "k1 = log p - log p_ref is the unbiased estimate of the KL, so it looks like the best to "
        "put into the loss. But the expected gradient of log p under its own samples is zero: "
        "the term holds nothing back and only adds noise. Here both runs have the weight 1. k2 "
        "holds the policy near its reference, as asked; with k1, KL grows to several times as "
        "much. Accuracy does not suffer, rather the contrary, since on this task nothing worth "
        "keeping is lost. The leash is broken all the same.",
        wrong={"kl_kind": "k1"},
        options={"kl_coef": 1.0, "kl_kind": "k2"},
    ),
    Failure(
        "reward-noise",
        "the grader says the opposite in 45 of 100 cases",
        "tests/test_failures.py::test_each_answer_earns_what_the_options_say",
        "reward_std",
        "Symmetric noise leaves the expected gradient pointing the same way, only shorter, by 1 "
        "- 2p, while its variance stays. So the signal drowns, and the reward curve hides it: it "
        "sits at one half whatever the policy does. Divided by the group's std the noise is as "
        "loud as the signal would be, and a policy led by noise drifts away from what it could "
        "do. Compare reward with accuracy: they should be the same number up to the format's "
        "share.",
        lambda: faults.reward_noise(flipped=0.45),
    ),
    Failure(
        "format-dominates",
        "the reward for the form is ten times that for the right answer",
        "tests/test_grpo_step.py::test_the_reward_is_the_weighted_sum_of_the_options",
        "completions/think_rate",
        "A policy takes the cheapest way to its reward. The base here often adds a needless "
        "sentence after a worked answer, which costs the format's share, and never after a "
        "guess. Paid for form, it learns to guess, and stops thinking altogether: the reward "
        "climbs close to its maximum while accuracy stays at that of guessing. The format's "
        "weight has to be small against the accuracy's.",
        wrong={"reward": {"accuracy": 0.1, "format": 1.0}},
        options={"normalize": "none"},
        corpus="sloppy",
    ),
    Failure(
        "length-bonus",
        "every token earns 0.03",
        "tests/test_failures.py::test_each_answer_earns_what_the_options_say",
        "completions/mean_length",
        "Long answers were right more often, so why not pay for length? Because then length is "
        "what is learnt: needless lines, then repetition up to the limit, where the answer is "
        "cut off and can no longer be right. Reward goes up all the while.",
        faults.length_bonus,
        options={"max_new_tokens": 72},
    ),
]
