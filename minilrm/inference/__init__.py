"""Thinking longer: what a model can do with more computation at the time of the question.

requests.py   what a method may ask for, and what it gives back
driver.py     answers the requests of many problems together
chains.py     one chain: plain, or made to think
voting.py     many chains, and a choice among them
sequential.py one chain made longer: try again, budget forcing
search.py     step by step, with a verifier: beam, DVTS, best first with backtracking, MCTS
"""

from collections.abc import Callable

from minilrm.inference.chains import direct, few_shot, plan_verify, sample, step_by_step
from minilrm.inference.driver import Driver
from minilrm.inference.requests import Answer, Method, Piece, Run, Write
from minilrm.inference.search import beam, dvts, mcts, tree
from minilrm.inference.sequential import budget_forcing, retry
from minilrm.inference.voting import adaptive, best_of_n, majority, weighted
from minilrm.scorers import ByChecker, ByLikelihood, ByModel, Scorer

#: name -> (the method, who judges in it: "" nobody, "chains" whole answers, "steps" every step)
METHODS: dict[str, tuple[Callable[..., Method], str]] = {
    "direct": (direct, ""),
    "step-by-step": (step_by_step, ""),
    "few-shot": (few_shot, ""),
    "plan-verify": (plan_verify, ""),
    "sample": (sample, ""),
    "majority": (majority, ""),
    "adaptive": (adaptive, ""),
    "best-of-n": (best_of_n, "chains"),
    "weighted": (weighted, "chains"),
    "retry": (retry, ""),
    "beam": (beam, "steps"),
    "dvts": (dvts, "steps"),
    "tree": (tree, "steps"),
    "mcts": (mcts, "steps"),
}

__all__ = [
    "METHODS",
    "Answer",
    "ByChecker",
    "ByLikelihood",
    "ByModel",
    "Driver",
    "Method",
    "Piece",
    "Run",
    "Scorer",
    "Write",
    "adaptive",
    "beam",
    "best_of_n",
    "budget_forcing",
    "direct",
    "dvts",
    "few_shot",
    "majority",
    "mcts",
    "plan_verify",
    "retry",
    "sample",
    "step_by_step",
    "tree",
    "weighted",
]
