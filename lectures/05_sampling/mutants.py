"""The mutants of lecture 5: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import re

import torch

from course.grade import mutant


def nucleus(p, top_p, extra=0.0):
    ordered, order = p.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(p).scatter(-1, order, ordered.masked_fill(before + extra >= top_p, 0.0))


def draw(p, generator):
    return torch.multinomial(p, 1, generator=generator).squeeze(-1)


@mutant("sample_token", "not multiplied")
def multiplied(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(nucleus((logits * temperature).softmax(-1), top_p), generator)


@mutant("sample_token", "RuntimeError")
def divides_by_zero(logits, temperature, top_p, generator):
    return draw(nucleus((logits / temperature).softmax(-1), top_p), generator)


@mutant("sample_token", "hand it to torch.multinomial")
def global_generator(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(nucleus((logits / temperature).softmax(-1), top_p), 1).squeeze(-1)


@mutant("sample_token", "must *hold* top_p")
def one_too_few(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    ordered, order = p.sort(-1, descending=True)
    keep = ordered.cumsum(-1) <= top_p
    keep[:, 0] = True
    return draw(
        torch.zeros_like(p).scatter(-1, order, ordered * keep) if top_p < 1 else p, generator
    )


@mutant("sample_token", "vocabulary's order")
def not_sorted(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    return draw(p.masked_fill(p.cumsum(-1) - p >= top_p, 0.0), generator)


@mutant("sample_token", "the temperature comes first")
def set_before_temperature(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    keep = nucleus(logits.softmax(-1), top_p) > 0
    return draw((logits / temperature).softmax(-1) * keep, generator)


@mutant("sample_token", "a set of its own")
def one_set_for_all(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    return draw(p * (nucleus(p[:1], top_p) > 0), generator)


@mutant("sample_token", "chi-square")
def always_the_likeliest_two(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    return draw(p.masked_fill(p < p.topk(min(2, p.shape[-1])).values[:, -1:], 0.0), generator)


def right_token(logits, temperature, top_p, generator):
    """The right answer, for mutants that give it a wrong argument."""
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    return draw(nucleus(p, top_p) if top_p < 1 else p, generator)


@mutant("sample_token", "T = 0.7 gives what T = 1 gives")
def one_is_near_enough(logits, temperature, top_p, generator):
    near_one = 0.5 < temperature < 1.5
    return right_token(logits, 1.0 if near_one else temperature, top_p, generator)


@mutant("sample_token", "at T = 5")
def at_most_2(logits, temperature, top_p, generator):
    return right_token(logits, min(temperature, 2.0), top_p, generator)


@mutant("sample_token", "has a distribution of its own")
def first_row_for_all(logits, temperature, top_p, generator):
    if temperature == 0 or top_p < 1:
        return right_token(logits, temperature, top_p, generator)
    p = (logits[0] / temperature).softmax(-1)
    return torch.multinomial(p, len(logits), replacement=True, generator=generator)


@mutant("sample_token", "at temperature 0 the highest logit wins, [5]")
def four_words(logits, temperature, top_p, generator):
    return right_token(logits[:, :4], temperature, top_p, generator)


@mutant("sample_token", "logits of shape (1, 4) give one id a row")
def squeezes_all(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1)
    p = nucleus(p, top_p) if top_p < 1 else p
    return torch.multinomial(p, 1, generator=generator).squeeze()


@mutant("sample_token", "RuntimeError")
def bare_exponentials(logits, temperature, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    weights = (logits / temperature).exp()
    p = weights / weights.sum(-1, keepdim=True)
    return draw(nucleus(p, top_p) if top_p < 1 else p, generator)


@mutant("sample_token", "without a seed")
def seeds_again(logits, temperature, top_p, generator):
    fresh = torch.Generator().manual_seed(generator.initial_seed())
    return right_token(logits, temperature, top_p, fresh)


def joined(examples, question, separator="\n\n", gap="", end=""):
    return separator.join(
        [f"Question: {q}\nAnswer:{gap}{s}" for q, s in examples]
        + [f"Question: {question}\nAnswer:{end}"]
    )


@mutant("few_shot_prompt", "ends in a space or newline")
def space_at_the_end(examples, question):
    return joined(examples, question, end=" ")


@mutant("few_shot_prompt", "one empty line")
def one_newline(examples, question):
    return joined(examples, question, separator="\n")


@mutant("few_shot_prompt", "you put another before it")
def two_spaces(examples, question):
    return joined(examples, question, gap=" ")


@mutant("few_shot_prompt", "do not strip it")
def stripped(examples, question):
    return joined([(q, " " + s.strip()) for q, s in examples], question)


@mutant("few_shot_prompt", "in the order")
def last_first(examples, question):
    return joined(examples[::-1], question)


@mutant("few_shot_prompt", "KeyError")
def formatted_twice(examples, question):
    return (joined(examples, "{question}")).format(question=question)


@mutant("few_shot_prompt", "question itself is missing")
def examples_only(examples, question):
    return "\n\n".join(f"Question: {q}\nAnswer:{s}" for q, s in examples)


@mutant("few_shot_prompt", "three examples")
def two_examples(examples, question):
    return joined(examples[:2], question)


@mutant("few_shot_prompt", "kept as they are")
def ends_stripped(examples, question):
    return joined([(q.strip(), s.rstrip()) for q, s in examples], question)


def by_rule(completion, pattern):
    pieces = completion.split("####")
    line = pieces[1].split("\n")[0].strip() if len(pieces) == 2 else ""
    match = re.fullmatch(pattern, line)
    if match is None:
        return None
    whole, decimals = match[2].replace(",", "").lstrip("0") or "0", (match[3] or "").rstrip("0")
    number = whole + ("." + decimals if decimals else "")
    return number if number == "0" else match[1] + number


def by_other_rules(pattern):
    return lambda completion: by_rule(completion, pattern)


for name, message, pattern in (
    ("three_digits", "any number of digits", r"(-?)\$?(\d{1,3}(?:,\d{3})*|\d+)(?:\.(\d+))?[.%]?"),
    ("both_ends", "sign, not both", r"(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+))?\.?%?"),
    ("bare_end", "behind decimals", r"(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+)|[.%])?"),
    ("dollar_first", "before the dollar", r"\$?(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+))?[.%]?"),
    ("blank_inside", "no blank inside", r"(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+))?\s?[.%]?"),
):
    wrong = by_other_rules(pattern)
    wrong.__name__ = name
    mutant("extract_answer", message)(wrong)


@mutant("extract_answer", "splitlines() knows other ends")
def other_line_ends(completion):
    pieces = completion.split("####")
    return spelled((pieces[1].splitlines() or [""])[0]) if len(pieces) == 2 else None


def spelled(text):
    match = re.fullmatch(r"(-?)\$?([0-9]+(?:,[0-9]{3})*)(?:\.([0-9]+))?[.%]?", text.strip())
    if match is None:
        return None
    whole, decimals = match[2].replace(",", "").lstrip("0") or "0", (match[3] or "").rstrip("0")
    number = whole + ("." + decimals if decimals else "")
    return number if number == "0" else match[1] + number


@mutant("extract_answer", "two marks are no decision")
def takes_the_last(completion):
    return spelled(completion.split("####")[-1].split("\n")[0]) if "####" in completion else None


@mutant("extract_answer", "no mark, no answer")
def last_number(completion):
    found = re.findall(r"-?[0-9][0-9,.]*", completion)
    return None if completion.count("####") > 1 or not found else spelled(found[-1])


@mutant("extract_answer", "only the mark's own line")
def to_the_end(completion):
    pieces = completion.split("####")
    return spelled(pieces[1]) if len(pieces) == 2 else None


@mutant("extract_answer", "words are no number")
def first_number_behind(completion):
    pieces = completion.split("####")
    match = (
        re.search(r"-?\$?[0-9][0-9,]*(\.[0-9]+)?", pieces[1].split("\n")[0])
        if len(pieces) == 2
        else None
    )
    return spelled(match[0]) if match else None


@mutant("extract_answer", "ValueError")
def through_float(completion):
    pieces = completion.split("####")
    if len(pieces) != 2:
        return None
    value = float(pieces[1].split("\n")[0].strip().replace(",", "").replace("$", "").rstrip(".%"))
    return str(int(value)) if value == int(value) else str(value)


@mutant("extract_answer", "are one number")
def as_written(completion):
    pieces = completion.split("####")
    line = pieces[1].split("\n")[0].strip() if len(pieces) == 2 else ""
    return (
        line.replace(",", "").replace("$", "").rstrip(".%") if spelled(line) is not None else None
    )


@mutant("extract_answer", "zeros of a whole number stay")
def strips_all_zeros(completion):
    pieces = completion.split("####")
    line = pieces[1].split("\n")[0].strip() if len(pieces) == 2 else ""
    if spelled(line) is None:
        return None
    return line.replace(",", "").replace("$", "").rstrip(".%").rstrip("0").rstrip(".") or "0"


def budget(
    next_token,
    prompt,
    least,
    most,
    end,
    wait,
    keep_end=False,
    once=False,
    cut=True,
    chosen=1,
    last=1,
    with_prompt=True,
):
    ids, mask, waited = [], [], 0
    while len(ids) < most + last - 1:
        token = next_token((prompt if with_prompt else []) + ids)
        if token == end and (len(ids) >= least or once and waited):
            return ids + [end], mask + [1]
        if token == end:
            put = ([end] if keep_end else []) + (wait[: most - len(ids)] if cut else wait)
            ids, mask, waited = ids + put, mask + [chosen - 1] * len(put), waited + 1
        else:
            ids, mask = ids + [token], mask + [1]
    return ids + [end], mask + [chosen - 1]


@mutant("force_budget", "dropped, not kept")
def end_stays(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, keep_end=True)


@mutant("force_budget", "told to wait three times")
def waits_once(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, once=True)


@mutant("force_budget", "only one token of `wait` fits")
def wait_passes_most(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, cut=False)


@mutant("force_budget", "four tokens of thinking")
def most_counts_the_end(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, last=0)


@mutant("force_budget", "the mask is")
def all_chosen(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, chosen=2)


@mutant("force_budget", "given the prompt")
def prompt_forgotten(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, wait, with_prompt=False)


@mutant("force_budget", "no wait; yours are")
def least_is_not_enough(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, min(most, least + 1) if least > 2 else least, most, end, wait)


@mutant("force_budget", "`end` is put in, and yours")
def just_cut(next_token, prompt, least, most, end, wait):
    ids, mask = budget(next_token, prompt, least, most, end, wait)
    return (ids, mask) if mask[-1] else (ids[:-1], mask[:-1])


@mutant("force_budget", "wait [3]")
def always_the_same_wait(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, end, [7, 8])


@mutant("force_budget", "end 99: the ids")
def always_the_same_end(next_token, prompt, least, most, end, wait):
    return budget(next_token, prompt, least, most, 0, wait)


@mutant("force_budget", "is given the prompt, [6, 6, 6]")
def always_the_same_prompt(next_token, prompt, least, most, end, wait):
    return budget(next_token, [1, 2], least, most, end, wait)


@mutant("force_budget", "changes its argument")
def grows_the_prompt(next_token, prompt, least, most, end, wait):
    ids, mask = budget(next_token, list(prompt), least, most, end, wait)
    prompt += ids
    return ids, mask
