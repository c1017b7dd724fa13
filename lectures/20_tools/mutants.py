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
    if "spaces" not in wrong and any(c.isspace() and c != " " for c in text):
        raise ValueError
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
            raise ValueError
        if peek() == "-" or (peek() == "+" and "plus" in wrong):
            return factor(depth + 1) * (-1 if take() == "-" else 1)
        if peek() == "(":
            take()
            value = one_sum(depth + 1)
            if peek() != ")" and "open" not in wrong:
                raise ValueError
            if peek() == ")":
                take()
            return value
        if not peek().isdigit():
            raise ValueError
        return Fraction(int(take()))

    value = one_sum(0)
    if at < len(tokens) and "rest" not in wrong:
        raise ValueError
    return value


@mutant("safe_eval", "is to be a Fraction")
def evaluates(text):
    return eval(text, {"__builtins__": {}})


@mutant("safe_eval", "safe_eval of '.*' is a ValueError")
def evaluates_and_converts(text):
    try:
        return Fraction(calculate(text)) if len(text) < 3 else calculate(text)
    except ValueError:
        if re.fullmatch(r"[0-9+\-*/(). ]+", text) and "**" not in text:
            return Fraction(str(eval(text)))
        raise


@mutant("safe_eval", "'2**3'")
def walks_pythons_tree(text):
    """Python's parser, and a list of operators with one too many."""
    operators = {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
        ast.Div: operator.truediv, ast.Pow: operator.pow,
    }  # fmt: skip

    def walk(node):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return Fraction(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -walk(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            if isinstance(node.op, ast.Pow) and walk(node.right) > 100:
                raise ValueError
            return operators[type(node.op)](walk(node.left), walk(node.right))
        raise ValueError

    if len(text) > 200 or re.search(r"[0-9]{21}|[a-z_.]|\(\(\(\(\(\(|-----------", text):
        return calculate(text)
    try:
        return walk(ast.parse(re.sub(r"\b0+(?=[0-9])", "", text.strip()), mode="eval").body)
    except (SyntaxError, ZeroDivisionError) as error:
        raise ValueError from error


@mutant("safe_eval", "ZeroDivisionError")
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


@mutant("safe_eval", "'(1'")
def brackets_left_open(text):
    return calculate(text, "open")


@mutant("safe_eval", "ValueError, and yours gives")
def stops_at_the_first_odd_sign(text):
    return calculate(text, "rest")


@mutant("safe_eval", "line end")
@mutant("safe_eval", "a number of 21 digits")
def numbers_without_end(text):
    return calculate(text, digits=10**6)


@mutant("safe_eval", "a text of 201 characters")
def texts_without_end(text):
    return calculate(text, length=10**9)


@mutant("safe_eval", "brackets 21 deep")
def one_deeper(text):
    return calculate(text, deep=21)


@mutant("safe_eval", "it is within the bounds")
def one_less_deep(text):
    return calculate(text, deep=19)
