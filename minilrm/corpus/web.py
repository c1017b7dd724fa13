"""The web in miniature: the documents that the base model of the word problems reads.

On a forum most people blurt their answer out, some work it out, some scribble in haste and slip; a
textbook always shows its work; some pages hold several solved questions in a row; the rest is sums,
chatter and facts. A base model trained on it can reason, but seldom does so unasked: what
reinforcement learning then has to find.
"""

import random
from collections.abc import Callable, Mapping

from minilrm.corpus.documents import Document
from minilrm.errors import UserError
from minilrm.tasks import get_task
from minilrm.tasks.base import Problem, problem_rng
from minilrm.tasks.gsm8k_mini import worked_steps
from minilrm.tasks.stories import Stories

# kind of document -> (share of all documents, what it is)
MIX: dict[str, tuple[float, str]] = {
    "reflex": (
        0.280,
        "forum: the answer alone, blurted out; it is the right one, but nobody can see why",
    ),
    "careless": (
        0.026,
        "forum: sums scribbled in haste, one of them wrong and carried on to a wrong answer",
    ),
    "steps": (0.086, "forum: a good chain of thought"),
    "plan_verify": (0.020, "forum: a plan, numbered steps, a check by another route, the answer"),
    "nudged": (0.016, 'forum: "Let\'s think step by step." and a good chain'),
    "textbook": (0.250, "a worked example, or two: always shows its work, always right"),
    "drill": (0.190, "a page of sums, a line each, as they come up in word problems"),
    "several": (0.030, "two to four solved questions in a row, all by reflex or all worked out"),
    "sums": (0.050, "bare arithmetic, by reflex or worked out by tens and ones"),
    "chat": (0.034, "requests that need no reasoning: greet, copy, capital of, rewrite"),
    "text": (0.018, "facts and little stories, no question asked"),
}
# The same for stories that are composed anew. Nobody can blurt out the answer to a story of five
# steps, so fewer try; which number belongs to whom is learnt on pages that ask for nothing else.
STORIES_MIX: dict[str, tuple[float, str]] = {
    "reflex": (0.140, MIX["reflex"][1]),
    "careless": (0.013, MIX["careless"][1]),
    "steps": (0.043, MIX["steps"][1]),
    "plan_verify": (0.010, MIX["plan_verify"][1]),
    "nudged": (0.030, MIX["nudged"][1]),
    "textbook": (0.400, MIX["textbook"][1]),
    "reading": (0.140, "facts about a few people, and who has how many, written down again"),
    "drill": (0.120, MIX["drill"][1]),
    "several": (0.030, MIX["several"][1]),
    "sums": (0.030, MIX["sums"][1]),
    "chat": (0.034, MIX["chat"][1]),
    "text": (0.010, MIX["text"][1]),
}


class Web:
    """Documents by number: document `i` of a seed is always the same, whatever was made before it.

    task: whose word problems. spanish: share of Spanish (each task's own if None). mix: kind ->
    share, normalised; kinds left out are not written.
    """

    def __init__(
        self,
        seed: int = 0,
        split: str = "train",
        spanish: float | None = None,
        mix: Mapping[str, float] | None = None,
        task: str = "gsm8k-mini",
    ):
        self.seed, self.split = seed, split
        self.words = get_task(task, spanish=spanish)
        self.mix = known = STORIES_MIX if isinstance(self.words, Stories) else MIX
        mix = mix or {kind: share for kind, (share, _) in known.items()}
        unknown = [kind for kind in mix if kind not in known]
        if unknown:
            raise UserError(
                f"no kind of document is called {unknown[0]!r}; there are {', '.join(known)}"
            )
        if not any(mix.values()):
            raise UserError("a mix of documents needs a share above 0")
        self.kinds, self.weights = list(mix), list(mix.values())
        self.sums = get_task("arithmetic", spanish=spanish)
        self.chat = get_task("general", spanish=spanish)

    def document(self, index: int, kind: str | None = None) -> Document:
        rng = problem_rng(self.seed, index, f"corpus/{self.split}")
        kind = kind or rng.choices(self.kinds, self.weights)[0]
        text, problems = WRITERS[kind](self, rng)
        return Document(kind, text, tuple(p.key for p in problems))


# -- one writer per kind ---------------------------------------------------------------------------

#: (corpus, rng) -> the text of a page, and the problems in it
PageWriter = Callable[[Web, random.Random], tuple[str, list[Problem]]]


def forum(style: str, prompt_style: str = "plain") -> PageWriter:
    """A question on a forum, and an answer in that style."""

    def write(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
        task = corpus.words
        problem = task.sample(rng, corpus.split)
        return task.render(problem, prompt_style) + task.posted(problem, rng, style), [problem]

    return write


def textbook(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    task = corpus.words
    problems = [task.sample(rng, corpus.split) for _ in range(rng.choice((1, 1, 2)))]
    pages = []
    for problem in problems:
        style = "plan_verify" if rng.random() < 0.15 else "steps"
        pages.append(task.render(problem, "textbook") + task.solution(problem, rng, style))
    return "\n\n".join(pages), problems


def drill(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    """The single steps of three problems, mixed: nine sums in the tokens that a worked example
    spends on three."""
    problems = [corpus.words.drill(rng, corpus.split) for _ in range(3)]
    lines = [
        f"<<{sum_}={result}>>{result}"
        for problem in problems
        for sum_, result in worked_steps(problem)
    ]
    rng.shuffle(lines)
    return "\n".join(lines), problems


def reading(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    assert isinstance(corpus.words, Stories)
    return corpus.words.reading(rng), []


def several(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    task = corpus.words
    problems = [task.sample(rng, corpus.split) for _ in range(rng.choice((2, 2, 3, 4)))]
    style = "steps" if rng.random() < 0.3 else "reflex"
    solved = [task.render(p) + task.solution(p, rng, style) for p in problems]
    return task.separator.join(solved), problems


def sums(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    problem = corpus.sums.sample(rng, corpus.split)
    style = "steps" if rng.random() < 0.5 else "reflex"
    return corpus.sums.render(problem) + corpus.sums.solution(problem, rng, style), [problem]


def chat(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    problem = corpus.chat.sample(rng, corpus.split)
    return corpus.chat.render(problem) + corpus.chat.solution(problem, rng), [problem]


def text(corpus: Web, rng: random.Random) -> tuple[str, list[Problem]]:
    """A story without its question, or a few lines of a table of sums."""
    problem = corpus.words.sample(rng, corpus.split)
    if rng.random() < 0.5:
        story = problem.prompt.replace("?", ".").replace("¿", "")
        return f"{story} {problem.answer}.", [problem]
    a, b = rng.randint(2, 12), rng.randint(2, 60)
    lines = [
        f"{a} + {b + i} = {a + b + i}" if b > 20 else f"{a} * {b + i} = {a * (b + i)}"
        for i in range(4)
    ]
    return "\n".join(lines), []


WRITERS: dict[str, PageWriter] = {
    "reflex": forum("reflex"),
    "careless": forum("careless"),
    "steps": forum("steps"),
    "plan_verify": forum("plan_verify"),
    "nudged": forum("steps", "cot"),
    "textbook": textbook,
    "reading": reading,
    "drill": drill,
    "several": several,
    "sums": sums,
    "chat": chat,
    "text": text,
}
