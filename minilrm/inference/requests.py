"""What a method of inference may ask for, and what it gives back.

A method is a generator: it yields a `Write` wherever it wants the model to go on with some text,
and is sent the pieces that were written. So it reads like an algorithm that works on one problem,
while the driver (`driver.py`) answers the requests of a thousand problems together, in one batch.

    def majority(run):
        chains = []
        while run.left > 0:
            chains += yield run.chain()
        return run.answer(vote(chains), chains)

Nothing is free: every piece is charged to the run's budget as it is written, token by token, and so
is every token that a verifier reads. A piece is cut where the budget ends, so no method can exceed
it.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from minilrm.scorers import Written
from minilrm.tasks.base import Problem, Task
from minilrm.tokenizer import Tokenizer

Method = Generator["Write", "list[Piece]", "Answer"]


@dataclass(frozen=True)
class Write:
    """Go on from the prompt and `ids`, `n` times, each time as if for itself.

    ids: tokens behind the prompt. steps: stop behind the next step (`Task.step_ends`) instead of at
    the end of the answer. judge: have the verifier read what was written. style, temperature: how
    the prompt is written, and how tokens are drawn.
    """

    ids: tuple[int, ...] = ()
    n: int = 1
    steps: bool = False
    judge: bool = False
    style: str = "plain"
    temperature: float = 1.0


@dataclass(frozen=True)
class Piece(Written):
    """What was written in answer to one request; `ids` and `text` hold what it went on from, too.

    scores: the verifier's, one a step that ended among the new tokens; empty if it was not asked.
    finish: "eos", "step" (more is to come),
    "length" (the task's own limit), or "budget" (cut off where the budget ended).
    """

    scores: tuple[float, ...]
    finish: str

    @property
    def ended(self) -> bool:
        """Whether the model itself said that this is all."""
        return self.finish == "eos"


@dataclass(frozen=True)
class Answer:
    """What a method came to.

    text: the completion that was chosen. answer: as the task reads it; None if there is none.
    tokens: written by the model, for all that was tried. verifier_tokens: read by the verifier.
    Prefixes that are read again count in neither. calls: pieces that were asked for. seconds: from
    the first request to the last piece, shared with the problems that were answered beside it.
    trace: what was tried, for a picture; see each method.
    """

    text: str
    answer: str | None
    tokens: int
    verifier_tokens: int
    calls: int
    seconds: float
    trace: tuple[Any, ...] = ()

    @property
    def cost(self) -> int:
        """What the budget is charged."""
        return self.tokens + self.verifier_tokens


@dataclass
class Run:
    """One problem, answered by one method within one budget. The methods see nothing else.

    budget: tokens, of the model and of the verifier together.
    """

    task: Task
    tokenizer: Tokenizer
    problem: Problem
    budget: int
    tokens: int = 0
    verifier_tokens: int = 0
    calls: int = 0
    drawn: dict[Any, int] = field(default_factory=dict)  # how often each request was answered

    @property
    def left(self) -> int:
        """Tokens of the budget that are left."""
        return self.budget - self.tokens - self.verifier_tokens

    def chain(self, **how: Any) -> Write:
        """A whole answer from its beginning."""
        return Write(**how)

    def step(self, ids: tuple[int, ...], n: int = 1, **how: Any) -> Write:
        """The next step of an answer, in `n` ways."""
        return Write(ids, n, steps=True, **how)

    def encode(self, text: str) -> tuple[int, ...]:
        """A text of the task's own, to be put in without being paid for."""
        return tuple(self.task.encode(self.tokenizer, text))

    def decode(self, ids: tuple[int, ...]) -> str:
        """The text of tokens."""
        return self.tokenizer.decode(list(ids))

    def read(self, piece: Piece) -> str | None:
        """The answer of a piece; None where it has none, or was cut off."""
        return self.task.read_answer(piece.text) if piece.ended else None

    def vote_key(self, piece: Piece) -> str | None:
        """Answers that count as one vote share a key; None abstains."""
        return self.task.vote_key(self.problem, self.read(piece))

    def answer(self, chosen: Piece | None, trace: Any = ()) -> Answer:
        """The outcome; `chosen` None: no answer was found within the budget."""
        text = chosen.text if chosen else ""
        said = self.read(chosen) if chosen else None
        return Answer(text, said, self.tokens, self.verifier_tokens, self.calls, 0.0, tuple(trace))
