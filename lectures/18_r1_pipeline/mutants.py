"""The mutants of lecture 18: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math
import random

import torch

from course.grade import mutant

# -- language_share --------------------------------------------------------------------------------


def shared(words, own, other, question, empty=0.0):
    ours = sum(w in own for w in words)
    theirs = sum(w in other and w not in question for w in words)
    return ours / (ours + theirs) if ours + theirs else empty


@mutant("language_share", "counts in neither part")
def neutral_words_count(words, own, other, question):
    return sum(w in own for w in words) / len(words) if words else 0.0


@mutant("language_share", "you count different words")
def each_word_once(words, own, other, question):
    return shared(set(words), own, other, question)


@mutant("language_share", "the share of the *other* language")
def the_other_language(words, own, other, question):
    return 1 - shared(words, own, other, question)


@mutant("language_share", "the strict 0 or 1")
def a_gate(words, own, other, question):
    return float(shared(words, own, other, question) == 1)


@mutant("language_share", "rewarded as a clean one")
def empty_is_clean(words, own, other, question):
    return shared(words, own, other, question, empty=1.0)


@mutant("language_share", "ZeroDivisionError")
def divides_by_nothing(words, own, other, question):
    ours = sum(w in own for w in words)
    return ours / (ours + sum(w in other for w in words if w not in question))


@mutant("language_share", "that the question has is a quotation")
def quotations_count(words, own, other, question):
    return shared(words, own, other, ())


@mutant("language_share", "whether the question has it or not")
def all_words_of_the_question_are_left_out(words, own, other, question):
    return shared([w for w in words if w not in question], own, other, ())


# -- build_sft_example -----------------------------------------------------------------------------


def example(prompt, completion, eos, hidden=-100):
    answer = [*completion, *([] if list(completion)[-1:] == [eos] else [eos])]
    if eos in answer[:-1]:
        raise ValueError
    return [*prompt, *answer], [hidden] * len(prompt) + answer


@mutant("build_sft_example", "exactly one EOS, at the end")
def always_one_more_eos(prompt, completion, eos):
    ids = [*prompt, *completion, eos]
    return ids, [-100] * len(prompt) + ids[len(prompt) :]


@mutant("build_sft_example", "exactly one EOS, at the end")
def no_eos(prompt, completion, eos):
    return [*prompt, *completion], [-100] * len(prompt) + list(completion)


@mutant("build_sft_example", "a model that never learns it never stops")
def eos_is_not_learnt(prompt, completion, eos):
    """What comes of a padding token that is EOS, and is taken out of the labels."""
    ids, labels = example(prompt, completion, eos)
    return ids, [-100 if label == eos else label for label in labels]


@mutant("build_sft_example", "the prompt is not learnt")
def the_prompt_is_learnt(prompt, completion, eos):
    ids, _ = example(prompt, completion, eos)
    return ids, list(ids)


@mutant("build_sft_example", "the loss shifts them by one")
def shifted(prompt, completion, eos):
    ids, labels = example(prompt, completion, eos)
    return ids, [*labels[1:], -100]


@mutant("build_sft_example", "marked by -100")
def hidden_by_nought(prompt, completion, eos):
    return example(prompt, completion, eos, hidden=0)


@mutant("build_sft_example", "must be a ValueError")
def passes_an_inner_eos(prompt, completion, eos):
    answer = [*completion, *([] if list(completion)[-1:] == [eos] else [eos])]
    return [*prompt, *answer], [-100] * len(prompt) + answer


@mutant("build_sft_example", "no matter of the completion's")
def takes_eos_out_of_the_prompt(prompt, completion, eos):
    return example([t for t in prompt if t != eos], completion, eos)


# -- rejection_sample ------------------------------------------------------------------------------


def rejected(samples, most, wrong=""):
    """Right, but for what the words of `wrong` name."""
    wrong, known, count, found = wrong.split(), set(), {}, []
    order = list(enumerate(samples))
    for place, s in reversed(order) if "last" in wrong else order:
        name = s["text"] if "everywhere" in wrong else (s["problem"], s["text"])
        new = "repeats" in wrong or name not in known
        good = (s["right"] or "graded" in wrong) and (s["readable"] or "unread" in wrong)
        if "seen" in wrong:
            known.add(name)
        group = None if "all" in wrong else s["problem"]
        if "draws" in wrong:
            count[group] = count.get(group, 0) + 1
            room = count[group] <= most
        else:
            room = count.get(group, 0) < most
        if good and new and room:
            known.add(name)
            if "draws" not in wrong:
                count[group] = count.get(group, 0) + 1
            found.append(place)
    return sorted(found) if "last" in wrong else found


@mutant("rejection_sample", "nothing is to be learnt from it")
def wrong_ones_too(samples, most):
    return rejected(samples, most, "graded")


@mutant("rejection_sample", "nobody can read it")
def unreadable_ones_too(samples, most):
    return rejected(samples, most, "unread")


@mutant("rejection_sample", "of equal texts to one problem only the first")
def repetitions_too(samples, most):
    return rejected(samples, most, "repeats")


@mutant("rejection_sample", "to *another* problem")
def one_text_for_all_problems(samples, most):
    return rejected(samples, most, "everywhere")


@mutant("rejection_sample", "in the order of the samples")
def problem_by_problem(samples, most):
    found = rejected(samples, most)
    return sorted(found, key=lambda place: (samples[place]["problem"], place))


@mutant("rejection_sample", "takes nobody's place")
def wrong_ones_count(samples, most):
    return rejected(samples, most, "draws")


@mutant("rejection_sample", "for each problem, not for all together")
def cap_over_all(samples, most):
    return rejected(samples, most, "all")


@mutant("rejection_sample", "no later sample a repetition")
def seen_is_known(samples, most):
    return rejected(samples, most, "seen")


@mutant("rejection_sample", "the *first* ones")
def the_last_ones(samples, most):
    return rejected(samples, most, "last")


# -- mix -------------------------------------------------------------------------------------------


@mutant("mix", "the other way round")
def ratio_turned_round(reasoning, general, ratio, rng):
    wanted = min(len(general), len(reasoning) * ratio)
    return rng.sample([*reasoning, *(chosen := rng.sample(general, wanted))],
                      len(reasoning) + len(chosen))  # fmt: skip


@mutant("mix", "whole ones")
def one_of_ratio_in_all(reasoning, general, ratio, rng):
    """A quarter of the result for 4, where 4 to 1 was asked for; and rounded up."""
    found = [*reasoning, *rng.sample(general, -(-len(reasoning) // (ratio - 1)))]
    rng.shuffle(found)
    return found


@mutant("mix", "draw without putting back")
def puts_back(reasoning, general, ratio, rng):
    if len(reasoning) // ratio > len(general):
        raise ValueError
    found = [*reasoning, *rng.choices(general[:8], k=len(reasoning) // ratio)]
    rng.shuffle(found)
    return found


@mutant("mix", "that must be a ValueError")
def takes_what_is_there(reasoning, general, ratio, rng):
    found = [*reasoning, *rng.sample(general, min(len(general), len(reasoning) // ratio))]
    rng.shuffle(found)
    return found


@mutant("mix", "stand together at the end")
def not_shuffled(reasoning, general, ratio, rng):
    return [*reasoning, *rng.sample(general, len(reasoning) // ratio)]


@mutant("mix", "the same general examples")
def the_first_general_ones(reasoning, general, ratio, rng):
    if len(reasoning) // ratio > len(general):
        raise ValueError
    found = [*reasoning, *general[: len(reasoning) // ratio]]
    rng.shuffle(found)
    return found


@mutant("mix", "draw from it alone")
def global_randomness(reasoning, general, ratio, rng):
    found = [*reasoning, *rng.sample(general, len(reasoning) // ratio)]
    random.shuffle(found)
    return found


@mutant("mix", "changes its argument")
def adds_to_the_caller_s_list(reasoning, general, ratio, rng):
    reasoning += rng.sample(general, len(reasoning) // ratio)
    rng.shuffle(reasoning)
    return reasoning


# -- best_of_n_distance ----------------------------------------------------------------------------


@mutant("best_of_n_distance", "the distance is its square root")
def the_kl_itself(n):
    return math.log(n) - (n - 1) / n


@mutant("best_of_n_distance", "(n - 1) / n is taken away")
def the_logarithm_alone(n):
    return math.sqrt(math.log(n))


@mutant("best_of_n_distance", "the natural logarithm")
def bits(n):
    return math.sqrt(math.log2(n) - (n - 1) / n)


@mutant("best_of_n_distance", "and not 1 / n")
def one_nth(n):
    return math.sqrt(math.log(n) - (1 / n if n > 1 else 0))


# -- policy_distance -------------------------------------------------------------------------------


def k3(logp, ref_logp, mask, back=False):
    x = torch.where(mask.bool(), logp - ref_logp if back else ref_logp - logp, 0.0)
    return torch.exp(x) - x - 1


@mutant("policy_distance", "a mean over tokens")
def mean_over_tokens(logp, ref_logp, mask):
    return math.sqrt((k3(logp, ref_logp, mask).sum() / mask.sum()).item())


@mutant("policy_distance", "of their mean tokens")
def mean_of_means(logp, ref_logp, mask):
    return math.sqrt((k3(logp, ref_logp, mask).sum(1) / mask.sum(1)).mean().item())


@mutant("policy_distance", "the distance is its square root")
def no_root(logp, ref_logp, mask):
    return k3(logp, ref_logp, mask).sum(1).mean().item()


@mutant("policy_distance", "take their mean")
def sum_of_all(logp, ref_logp, mask):
    return math.sqrt(k3(logp, ref_logp, mask).sum().item())


@mutant("policy_distance", "backwards")
def from_the_reference(logp, ref_logp, mask):
    return math.sqrt(k3(logp, ref_logp, mask, back=True).sum(1).mean().item())


@mutant("policy_distance", "it is taken of the mean")
def root_of_each_answer(logp, ref_logp, mask):
    return k3(logp, ref_logp, mask).sum(1).sqrt().mean().item()


@mutant("policy_distance", "0 * NaN is NaN")
def multiplied_by_the_mask(logp, ref_logp, mask):
    x = ref_logp - logp
    return math.sqrt(((torch.exp(x) - x - 1) * mask).sum(1).mean().item())


@mutant("policy_distance", "asked for is k3")
def k2(logp, ref_logp, mask):
    x = torch.where(mask.bool(), ref_logp - logp, 0.0)
    return math.sqrt((x**2 / 2).sum(1).mean().item())


@mutant("policy_distance", "ValueError")
def k1(logp, ref_logp, mask):
    """The plain log-ratio: right on the average over many answers, and below 0 here."""
    x = torch.where(mask.bool(), logp - ref_logp, 0.0)
    return math.sqrt(x.sum(1).mean().item())


# -- turning_point ---------------------------------------------------------------------------------


def fitted(distances, rewards, gain=True):
    d = torch.tensor(distances, dtype=torch.float64)
    r = torch.tensor(rewards, dtype=torch.float64) - (rewards[0] if gain else 0)
    return torch.linalg.lstsq(torch.stack([d, -d * d], 1), r[:, None]).solution[:, 0].tolist()


def top(alpha, beta, distances):
    highest = alpha / (2 * beta) if beta > 0 else math.inf
    return highest if 0 < highest < max(distances) else None


@mutant("turning_point", "what is fitted is its gain")
def fits_the_reward_itself(distances, rewards):
    alpha, beta = fitted(distances, rewards, gain=False)
    return alpha, beta, top(alpha, beta, distances)


@mutant("turning_point", "beta is what is taken away")
def beta_has_the_other_sign(distances, rewards):
    alpha, beta = fitted(distances, rewards)
    return alpha, -beta, top(alpha, beta, distances)


@mutant("turning_point", "where the gain is 0 again")
def where_nothing_is_left(distances, rewards):
    alpha, beta = fitted(distances, rewards)
    at = top(alpha, beta, distances)
    return alpha, beta, at and 2 * at


@mutant("turning_point", "the best *point*")
def the_best_point(distances, rewards):
    alpha, beta = fitted(distances, rewards)
    best = max(range(len(rewards)), key=rewards.__getitem__)
    return alpha, beta, distances[best]


@mutant("turning_point", "least squares over all six points")
def through_three_points(distances, rewards):
    middle = len(distances) // 2
    some = [0, middle, len(distances) - 1]
    alpha, beta = fitted([distances[i] for i in some], [rewards[i] for i in some])
    return alpha, beta, top(alpha, beta, distances)


@mutant("turning_point", "it only rises")
def trusts_the_formula(distances, rewards):
    alpha, beta = fitted(distances, rewards)
    return alpha, beta, abs(alpha / (2 * beta))


@mutant("turning_point", "nobody has measured there")
def beyond_the_last_point(distances, rewards):
    alpha, beta = fitted(distances, rewards)
    return alpha, beta, alpha / (2 * beta) if beta > 0 and alpha > 0 else None
