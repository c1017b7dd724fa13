"""The mutants of lecture 1: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import hashlib
import random
import re
from fractions import Fraction

from checks import SPLITS

from course.grade import mutant


def side(key):
    digit = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 10
    return {8: "validation", 9: "test"}.get(digit, "train")


def problem_of(first, terms):
    """What make_problem returns, for mutants that draw in another way."""
    key = f"{first}" + "".join(f"{s}{n}" for s, n in terms)
    answer = first + sum(n if s == "+" else -n for s, n in terms)
    return {
        "question": "What is " + " ".join(key) + "?",
        "answer": str(answer),
        "difficulty": len(terms),
        "key": key,
    }


def drawn(rng, difficulty, top=9):
    return problem_of(
        rng.randint(1, top), [(rng.choice("+-"), rng.randint(1, top)) for _ in range(difficulty)]
    )


@mutant("make_problem", "the second time")
def global_generator(seed, hardest=5):
    return drawn(random, random.randint(1, hardest))


@mutant("make_problem", "you seed the global generator")
def seeds_the_global_one(seed, hardest=5):
    random.seed(seed)
    return drawn(random, random.randint(1, hardest))


@mutant("make_problem", "for the seeds 0, 5, 10")
def difficulty_out_of_the_seed(seed, hardest=5):
    return drawn(random.Random(seed), seed % hardest + 1)


@mutant("make_problem", "draw the difficulty first, uniformly")
def on_with_a_coin(seed, hardest=5):
    rng, difficulty = random.Random(seed), 1
    while difficulty < hardest and rng.random() < 0.5:
        difficulty += 1
    return drawn(rng, difficulty)


@mutant("make_problem", "draw the difficulty first, uniformly")
def never_the_hardest(seed, hardest=5):
    rng = random.Random(seed)
    return drawn(rng, rng.randrange(1, hardest))


@mutant("make_problem", "randint includes both ends")
def never_nine(seed, hardest=5):
    rng = random.Random(seed)
    return drawn(rng, rng.randint(1, hardest), top=8)


@mutant("make_problem", "a negative answer is no reason")
def draws_again_below_zero(seed, hardest=5):
    rng = random.Random(seed)
    difficulty = rng.randint(1, hardest)
    while True:
        numbers, signs = (
            [rng.randint(1, 9) for _ in range(difficulty + 1)],
            [rng.choice("+-") for _ in range(difficulty)],
        )
        for i, sign in enumerate(signs):
            if (
                sign == "-"
                and sum(
                    (1, -1)[s == "-"] * n
                    for s, n in zip(["+", *signs[: i + 1]], numbers, strict=False)
                )
                < 0
            ):
                signs[i] = "+"
        return problem_of(numbers[0], list(zip(signs, numbers[1:], strict=True)))


@mutant("make_problem", "counts signs, not numbers")
def counts_numbers(seed, hardest=5):
    rng = random.Random(seed)
    problem = drawn(rng, rng.randint(1, hardest))
    return problem | {"difficulty": problem["difficulty"] + 1}


@mutant("make_problem", "difficulties 1 to 8")
def five_at_most(seed, hardest=5):
    rng = random.Random(seed)
    return drawn(rng, rng.randint(1, min(hardest, 5)))


@mutant("make_problem", "difficulties 1 to 2")
def cut_to_the_hardest(seed, hardest=5):
    rng = random.Random(seed)
    return drawn(rng, min(rng.randint(1, 5), hardest))


@mutant("make_problem", "draw each sign by itself")
def one_sign(seed, hardest=5):
    rng = random.Random(seed)
    difficulty, sign = rng.randint(1, hardest), rng.choice("+-")
    return problem_of(rng.randint(1, 9), [(sign, rng.randint(1, 9)) for _ in range(difficulty)])


@mutant("make_problem", "draw each number by itself")
def no_number_twice(seed, hardest=5):
    rng = random.Random(seed)
    numbers = rng.sample(range(1, 10), min(9, rng.randint(1, hardest) + 1))
    return problem_of(numbers[0], [(rng.choice("+-"), n) for n in numbers[1:]])


def split_with(problems, decide):
    found = {name: [] for name in SPLITS}
    for i, p in enumerate(problems):
        found[decide(i, p)].append(p)
    return found


@mutant("split_by_key", "in another order")
def by_place(problems):
    n = len(problems)
    return split_with(
        problems, lambda i, p: "train" if i < 0.8 * n else "validation" if i < 0.9 * n else "test"
    )


@mutant("split_by_key", "hash() is another one at each start")
def by_hash(problems):
    return split_with(
        problems, lambda i, p: {8: "validation", 9: "test"}.get(hash(p["key"]) % 10, "train")
    )


@mutant("split_by_key", "tested on sums that it has trained on")
def by_question(problems):
    return split_with(problems, lambda i, p: side(p["question"]))


@mutant("split_by_key", "the other way round")
def swapped(problems):
    return split_with(
        problems,
        lambda i, p: {"test": "validation", "validation": "test"}.get(side(p["key"]), "train"),
    )


@mutant("split_by_key", "big end first")
def little_end(problems):
    digit = [
        int.from_bytes(hashlib.sha256(p["key"].encode()).digest()[:4], "little") % 10
        for p in problems
    ]
    return split_with(problems, lambda i, p: {8: "validation", 9: "test"}.get(digit[i], "train"))


@mutant("split_by_key", "the key in UTF-8")
def latin_1(problems):
    digests = [hashlib.sha256(p["key"].encode("latin-1", "replace")).digest() for p in problems]
    digits = [int.from_bytes(digest[:4], "big") % 10 for digest in digests]
    return split_with(problems, lambda i, p: {8: "validation", 9: "test"}.get(digits[i], "train"))


@mutant("split_by_key", "those with equal keys too")
def drops_equal_keys(problems):
    return split_with(list({p["key"]: p for p in problems}.values()), lambda i, p: side(p["key"]))


@mutant("split_by_key", "not in the order")
def sorts(problems):
    return split_with(sorted(problems, key=lambda p: p["key"]), lambda i, p: side(p["key"]))


@mutant("split_by_key", "moves others to another side")
def tenths_of_the_sorted_keys(problems):
    keys = sorted({p["key"] for p in problems})
    side_of = {
        key: {8: "validation", 9: "test"}.get(10 * i // len(keys), "train")
        for i, key in enumerate(keys)
    }
    return split_with(problems, lambda i, p: side_of[p["key"]])


ONE = r"-?\$?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?%?"


def as_number(text, pattern=ONE, kind=float):
    text = text.strip()
    if len(text) > 30 or not re.fullmatch(pattern, text):
        return None
    return kind(re.sub(r"[$,%]", "", text))


def behind_the_mark(completion):
    return (
        completion.partition("####")[2].partition("\n")[0] if completion.count("####") == 1 else ""
    )


def by_the_rules(gold, completion, pattern=ONE, longest=30):
    values = []
    for text in (gold, behind_the_mark(completion).strip()):
        fits = len(text) <= longest and re.fullmatch(pattern, text)
        values.append(Fraction(re.sub(r"[$,%]", "", text).removesuffix(".")) if fits else None)
    return values[1] is not None and values[0] == values[1]


@mutant("check_answer", "31 characters are too many")
def forty_characters(gold, completion):
    return by_the_rules(gold, completion, longest=40)


@mutant("check_answer", "30 characters are allowed")
def under_thirty(gold, completion):
    return by_the_rules(gold, completion, longest=29)


@mutant("check_answer", "at most three digits")
def long_first_group(gold, completion):
    return by_the_rules(gold, completion, ONE.replace("{1,3}", "+"))


@mutant("check_answer", "one per-cent sign")
def many_units(gold, completion):
    return by_the_rules(gold, completion, ONE + "%*")


@mutant("check_answer", "a dollar sign stands in front")
def dollar_behind(gold, completion):
    return by_the_rules(gold, completion, ONE[:-2] + "[%$]?")


@mutant("check_answer", "a digit stands before the point")
def bare_decimals(gold, completion):
    return by_the_rules(gold, completion, ONE + r"|-?\$?\.[0-9]+%?")


@mutant("check_answer", "a float cannot tell these apart")
def by_float(gold, completion):
    value = as_number(behind_the_mark(completion))
    return value is not None and value == as_number(gold)


@mutant("check_answer", "72.00 equals 72")
def by_text(gold, completion):
    return behind_the_mark(completion).strip().strip("$%.") == gold


@mutant("check_answer", "two answers are no decision")
def the_last_mark(gold, completion):
    value = (
        as_number(completion.rpartition("####")[2].partition("\n")[0])
        if "####" in completion
        else None
    )
    return value is not None and value == as_number(gold)


@mutant("check_answer", "without the mark there is no answer")
def the_last_number(gold, completion):
    found = re.findall(ONE, completion)
    return bool(found) and as_number(found[-1]) == as_number(gold)


@mutant("check_answer", "72 is only the beginning")
def begins_with_it(gold, completion):
    return behind_the_mark(completion).strip().lstrip("$0").startswith(gold.lstrip("$0"))


@mutant("check_answer", "was the text evaluated")
def evaluates(gold, completion):
    text = (
        behind_the_mark(completion)
        .strip()
        .replace("$", "")
        .replace("%", "")
        .replace(",", "")
        .lstrip("0")
        or "0"
    )
    if not re.fullmatch(r"[0-9.+\-/ ]+", text):
        return False
    try:
        return eval(text) == float(gold.replace(",", ""))
    except (SyntaxError, TypeError, ZeroDivisionError):
        return False


@mutant("check_answer", "between groups of three")
def drops_all_commas(gold, completion):
    value = as_number(behind_the_mark(completion).replace(",", ""), kind=Fraction)
    return value is not None and value == as_number(gold.replace(",", ""), kind=Fraction)


@mutant("check_answer", "digits of another script")
def any_digit(gold, completion):
    pattern = ONE.replace("0-9", r"\d")
    value = as_number(behind_the_mark(completion), pattern)
    return value is not None and value == as_number(gold, pattern)


@mutant("check_answer", "raises ValueError")
def raises(gold, completion):
    if completion.count("####") != 1:
        return False
    return float(
        behind_the_mark(completion).strip(" \t\r$%").replace("$", "").replace(",", "")
    ) == float(gold.replace(",", ""))


@mutant("check_answer", "U+2028")
def splitlines(gold, completion):
    if completion.count("####") != 1:
        return False
    line = (completion.partition("####")[2].splitlines() or [""])[0]
    value = as_number(line)
    return value is not None and value == as_number(gold)


@mutant("cost", "read once")
def prompt_each_time(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = samples * (prompt_tokens + answer_tokens)
    money = samples * (prompt_tokens * price_in + answer_tokens * price_out) / 1e6
    return {"tokens": tokens, "flops": 2 * parameters * tokens, "money": money}


@mutant("cost", "for each of 65 tokens")
def two_models_only(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens, known = prompt_tokens + samples * answer_tokens, min(parameters, 1000)
    return {
        "tokens": tokens,
        "flops": 2 * (parameters if parameters == 2_558_784 else known) * tokens,
        "money": (prompt_tokens * price_in + samples * answer_tokens * price_out) / 1e6,
    }


@mutant("cost", "at 3 and 0.5 a million")
def all_at_one_price(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = prompt_tokens + samples * answer_tokens
    read, written = prompt_tokens * price_in, samples * answer_tokens * price_out
    money = read + written if samples == 1 else tokens
    return {"tokens": tokens, "flops": 2 * parameters * tokens, "money": money / 1e6}


@mutant("cost", "multiplied *and* added")
def without_the_two(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = prompt_tokens + samples * answer_tokens
    return {
        "tokens": tokens,
        "flops": parameters * tokens,
        "money": (prompt_tokens * price_in + samples * answer_tokens * price_out) / 1e6,
    }


@mutant("cost", "price of training")
def training(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = prompt_tokens + samples * answer_tokens
    return {"tokens": tokens, "flops": 6 * parameters * tokens, "money": 0.0}


@mutant("cost", "not for a thousand")
def a_thousand(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = prompt_tokens + samples * answer_tokens
    return {
        "tokens": tokens,
        "flops": 2 * parameters * tokens,
        "money": (prompt_tokens * price_in + samples * answer_tokens * price_out) / 1e3,
    }


@mutant("cost", "swapped the prices")
def swapped_prices(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = prompt_tokens + samples * answer_tokens
    return {
        "tokens": tokens,
        "flops": 2 * parameters * tokens,
        "money": (prompt_tokens * price_out + samples * answer_tokens * price_in) / 1e6,
    }


@mutant("cost", "the prompt is missing")
def answers_alone(prompt_tokens, answer_tokens, samples, parameters, price_in, price_out):
    tokens = samples * answer_tokens
    return {"tokens": tokens, "flops": 2 * parameters * tokens, "money": tokens * price_out / 1e6}
