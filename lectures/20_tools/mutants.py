"""The mutants of lecture 20: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import ast
import operator
import re
from fractions import Fraction

import torch

from course.grade import mutant

# -- safe_eval: one function with switches stands for most mutants ---------------------------------


def calculate(text, wrong="", length=200, digits=20, deep=20):
    """Right, but for what the words of `wrong` name."""
    wrong = wrong.split()
    if len(text) > length:
        raise ValueError
    if "blanks" not in wrong and any(c.isspace() and c != " " for c in text):
        raise ValueError
    if "glued" in wrong:
        text = text.replace(" ", "")
    tokens = re.findall(r"\d+|\S" if "scripts" in wrong else r"[0-9]+|\S", text)
    if any(len(t) > digits for t in tokens):
        raise ValueError
    at = 0

    def peek():
        return tokens[at] if at < len(tokens) else ""

    def take():
        nonlocal at
        at += 1
        return tokens[at - 1]

    def one_sum(depth):
        value = product(depth)
        if "right" in wrong and peek() in ("+", "-"):
            return value + one_sum(depth) if take() == "+" else value - one_sum(depth)
        while peek() in ("+", "-"):
            value = value + product(depth) if take() == "+" else value - product(depth)
        return value

    def product(depth):
        value = factor(depth)
        while peek() in ("*", "/"):
            if take() == "*":
                value *= factor(depth)
                continue
            divisor = factor(depth)
            if divisor == 0 and "zero" not in wrong:
                raise ValueError
            value = Fraction(value // divisor) if "floor" in wrong else value / divisor
        return value

    def factor(depth):
        if depth > deep:
            raise ValueError("too deep")
        if peek() == "-" or (peek() == "+" and "plus" in wrong):
            sign = take()
            return factor(depth + 1) * (-1 if sign == "-" else 1)
        if peek() == "(":
            take()
            value = one_sum(depth + 1)
            if peek() != ")" and "open" not in wrong:
                raise ValueError
            if peek() == ")":
                take()
            return value
        if not peek().isdigit() or not (peek().isascii() or "scripts" in wrong):
            raise ValueError
        return Fraction(int(take()))

    value = one_sum(0)
    if at < len(tokens) and "rest" not in wrong:
        raise ValueError
    return value


@mutant("safe_eval", "is to be a Fraction")
def evaluates(text):
    return eval(text, {"__builtins__": {}})


@mutant("safe_eval", "is to raise a ValueError")
def evaluates_what_looks_like_a_sum(text):
    """The signs are looked at, and then Python is asked: `**` and `//` are made of them."""
    if len(text) > 200 or re.fullmatch(r"[-+*/() 0-9]+", text) is None:
        raise ValueError
    try:
        return calculate(text)
    except ValueError:
        try:
            return Fraction(eval(text)) if len(text) < 8 else calculate(text)
        except (SyntaxError, TypeError, ZeroDivisionError) as error:
            raise ValueError from error


@mutant("safe_eval", "'2**3'")
def walks_pythons_tree(text):
    """Python's own parser, and a table of operators that has one too many."""
    operators = {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
        ast.Div: operator.truediv, ast.Pow: operator.pow,
    }  # fmt: skip

    def walk(node):
        match node:
            case ast.Constant(value=int()) if type(node.value) is int:
                return Fraction(node.value)
            case ast.UnaryOp(op=ast.USub()):
                return -walk(node.operand)
            case ast.BinOp() if type(node.op) in operators:
                return operators[type(node.op)](walk(node.left), walk(node.right))
        raise ValueError

    try:
        return calculate(text)
    except ValueError:
        if "**" not in text or len(text) > 9:
            raise
        return walk(ast.parse(text, mode="eval").body)


@mutant("safe_eval", "it raised ZeroDivisionError")
def divides_by_zero(text):
    return calculate(text, "zero")


@mutant("safe_eval", "safe_eval('8-3-2') is 3, and yours is 7")
def from_the_right(text):
    return calculate(text, "right")


@mutant("safe_eval", "safe_eval('1/3*3') is 1, and yours is 0")
def whole_numbers(text):
    return calculate(text, "floor")


@mutant("safe_eval", "'٣+١'")
def digits_of_other_scripts(text):
    return calculate(text, "scripts")


@mutant("safe_eval", "'+3'")
def plus_as_a_sign(text):
    return calculate(text, "plus")


@mutant("safe_eval", "safe_eval of '(1' is to raise")
def brackets_left_open(text):
    return calculate(text, "open")


@mutant("safe_eval", "safe_eval of '1 2' is to raise")
def spaces_within_numbers(text):
    return calculate(text, "glued")


@mutant("safe_eval", r"'1\n+2'")
def all_blanks(text):
    return calculate(text, "blanks")


@mutant("safe_eval", "a number of 21 digits")
def numbers_without_end(text):
    return calculate(text, digits=10**6)


@mutant("safe_eval", "a text of 201 characters")
def texts_without_end(text):
    return calculate(text, length=10**9)


@mutant("safe_eval", "it raised RecursionError")
def no_bound_at_all(text):
    if len(text) > 300:
        return calculate(text, length=10**9, digits=10**9, deep=10**9)
    return calculate(text)


@mutant("safe_eval", "ValueError: too deep")
def one_less_deep(text):
    return calculate(text, deep=19)


# -- parse_tool_calls ------------------------------------------------------------------------------

OPEN, CLOSE = re.compile(r"<tool:([a-z_]+)>"), "</tool>"


def found_in(text, first=False, strip=False, name=OPEN):
    """The calls of a text; `first`: a call begins at the first opening tag."""
    calls = []
    for part in text.split(CLOSE)[:-1]:
        tags = list(name.finditer(part))
        if tags:
            tag = tags[0 if first else -1]
            argument = part[tag.end() :]
            calls.append((tag[1], argument.strip() if strip else argument))
    return calls


def joined(pieces):
    """The texts that were sampled in one piece."""
    text = "".join(text if sampled else "\0" for text, sampled in pieces)
    return text.split("\0")


@mutant("parse_tool_calls", "it was inserted")
def all_the_text(pieces):
    return found_in("".join(text for text, _ in pieces))


@mutant("parse_tool_calls", "nothing may be inserted within a call")
def inserted_text_left_out(pieces):
    return found_in("".join(text for text, sampled in pieces if sampled))


@mutant("parse_tool_calls", "join them")
def piece_by_piece(pieces):
    return [call for text, sampled in pieces if sampled for call in found_in(text)]


@mutant("parse_tool_calls", "ends the call that was opened last")
def from_the_first_tag(pieces):
    return [call for text in joined(pieces) for call in found_in(text, first=True)]


@mutant("parse_tool_calls", "ends the call that was opened last")
def by_a_lazy_pattern(pieces):
    pattern = re.compile(r"<tool:([a-z_]+)>(.*?)</tool>", re.DOTALL)
    return [call for text in joined(pieces) for call in pattern.findall(text)]


@mutant("parse_tool_calls", "two calls, in order")
def by_a_greedy_pattern(pieces):
    pattern = re.compile(r"<tool:([a-z_]+)>(.*)</tool>", re.DOTALL)
    text = "".join(text for text, _ in pieces)
    return pattern.findall(text)


@mutant("parse_tool_calls", "the argument is kept as it is")
def strips_the_argument(pieces):
    return [call for text in joined(pieces) for call in found_in(text, strip=True)]


@mutant("parse_tool_calls", "a name has small letters")
def any_name(pieces):
    name = re.compile(r"<tool:(\w*)>")
    return [call for text in joined(pieces) for call in found_in(text, name=name)]


# -- tool_mask -------------------------------------------------------------------------------------


def mask_of(ids, opening, closing, pad, wrong=""):
    """Right, but for what the words of `wrong` name."""
    wrong, mask = wrong.split(), torch.ones_like(ids, dtype=torch.long)
    for row in range(ids.shape[0]):
        inside = False
        for t, token in enumerate(ids[row].tolist()):
            begins, ends = token == opening, token == closing
            inside = inside or begins
            hidden = inside and not ("tags" in wrong and (begins or ends))
            mask[row, t] = 0 if hidden or (token == pad and "pad" not in wrong) else 1
            if ends and "once" not in wrong:
                inside = False
    return mask


@mutant("tool_mask", "the tags were inserted with what stands between them")
def tags_are_learnt(ids, opening, closing, pad):
    return mask_of(ids, opening, closing, pad, "tags")


@mutant("tool_mask", "padding teaches nothing")
def padding_is_learnt(ids, opening, closing, pad):
    return mask_of(ids, opening, closing, pad, "pad")


@mutant("tool_mask", "padding teaches nothing")
def all_behind_the_first_result(ids, opening, closing, pad):
    return mask_of(ids, opening, closing, pad, "once")


@mutant("tool_mask", "there is no result, so all is learnt")
def the_other_way_round(ids, opening, closing, pad):
    return 1 - mask_of(ids, opening, closing, pad)


@mutant("tool_mask", "between two results the model wrote itself")
def from_the_first_tag_to_the_last(ids, opening, closing, pad):
    mask = (ids != pad).long()
    for row in range(len(ids)):
        opened = (ids[row] == opening).nonzero().flatten()
        closed = (ids[row] == closing).nonzero().flatten()
        if len(opened) and len(closed):
            mask[row, opened[0] : closed[-1] + 1] = 0
    return mask


@mutant("tool_mask", "the ids that the arguments say")
def ids_of_its_own(ids, opening, closing, pad):
    return mask_of(ids, 8, 9, 0)


@mutant("tool_mask", "goes on to the end")
def only_whole_results(ids, opening, closing, pad):
    mask = mask_of(ids, opening, closing, pad)
    for row in range(len(ids)):
        if opening in ids[row].tolist() and closing not in ids[row].tolist():
            mask[row] = (ids[row] != pad).long()
    return mask


@mutant("tool_mask", "an opening tag inside changes nothing")
def counts_tags(ids, opening, closing, pad):
    begun, ended = (ids == opening).cumsum(1), (ids == closing).cumsum(1)
    return ((begun <= ended - (ids == closing).long()) & (ids != pad)).long()


@mutant("tool_mask", "a closing tag that closes nothing is the model's own")
def every_closing_tag(ids, opening, closing, pad):
    return mask_of(ids, opening, closing, pad) * (ids != closing).long()


@mutant("tool_mask", "changes its argument `ids`")
def in_place(ids, opening, closing, pad):
    mask = mask_of(ids, opening, closing, pad)
    ids[mask == 0] = pad
    return mask


# -- made_up ---------------------------------------------------------------------------------------


def fact(answer, question, table, wrong=""):
    """Right, but for what the words of `wrong` name."""
    wrong = wrong.split()
    pattern = r"[0-9]+" if "commas" in wrong else r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+"

    def numbers(text):
        return [int(it.replace(",", "")) for it in re.findall(pattern, text)]

    said = numbers(answer)
    if not said:
        return False if "none" in wrong else None
    known = [] if "question" in wrong else numbers(question)
    for row in table:
        for name, value in row.items():
            if isinstance(value, int):
                known += [value] if "row" not in wrong or row["name"] in question else []
            elif "texts" in wrong and name != "price":
                known += numbers(value)
    return said[0 if "first" in wrong else -1] not in known


@mutant("made_up", "None")
def no_number_is_no_invention(answer, question, table):
    return fact(answer, question, table, "none")


@mutant("made_up", "89 is in the question")
def the_table_alone(answer, question, table):
    return fact(answer, question, table, "question")


@mutant("made_up", "wrong, but not made up")
def every_wrong_price(answer, question, table):
    return fact(answer, question, table, "row")


@mutant("made_up", "which is in the table")
def no_commas(answer, question, table):
    return fact(answer, question, table, "commas")


@mutant("made_up", "a part of a shop's name")
def numbers_of_names(answer, question, table):
    return fact(answer, question, table, "texts")


@mutant("made_up", "the *last* number")
def the_first_number(answer, question, table):
    return fact(answer, question, table, "first")


@mutant("made_up", "compare numbers, not texts")
def text_within_text(answer, question, table):
    said = re.findall(r"[0-9,]*[0-9]", answer)
    if not said:
        return None
    everything = question + " " + " ".join(str(row["price"]) for row in table)
    return said[-1].replace(",", "").lstrip("0") not in everything.replace(",", "")
