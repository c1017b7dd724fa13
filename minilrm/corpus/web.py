"""The web in miniature: the documents that the base model reads.

On a forum most people blurt their answer out, some work it out, some of those carelessly; a textbook always shows its
work; some pages hold several solved questions in a row; the rest is sums, chatter and facts. A base model trained on it
can reason, but seldom does so unasked: what reinforcement learning then has to find.

`python -m minilrm.corpus` prints the mix, a sample of each kind, and writes documents with `--out`.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilrm.cli import option, run_command
from minilrm.errors import UserError
from minilrm.tasks import get_task
from minilrm.tasks.base import Problem, problem_rng
from minilrm.tasks.gsm8k_mini import worked_steps
from minilrm.tasks.templates.template import NAMES
from minilrm.tokenizer import Tokenizer

# kind of document -> (share of all documents, what it is)
MIX: dict[str, tuple[float, str]] = {
    "reflex": (0.280, "forum: the answer alone, blurted out; it is the right one, but nobody can see why"),
    "careless": (0.026, "forum: sums scribbled in haste, one of them wrong and carried on to a wrong answer"),
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
TEXTBOOK = {"en": ("Problem", "Solution"), "es": ("Problema", "Solución")}


@dataclass(frozen=True)
class Document:
    """One page. `problems` are the keys of the sums in it, for checks that none belongs to another split."""

    kind: str
    text: str
    problems: tuple[str, ...] = ()


class Corpus:
    """Documents by number: document `i` of a seed is always the same, whatever was made before it.

    spanish: share of Spanish. mix: kind -> share, normalised; kinds left out are not written.
    """

    def __init__(self, seed: int = 0, split: str = "train", spanish: float = 0.25, mix: dict[str, float] | None = None):
        self.seed, self.split = seed, split
        mix = mix or {kind: share for kind, (share, _) in MIX.items()}
        unknown = [kind for kind in mix if kind not in MIX]
        if unknown:
            raise UserError(f"no kind of document is called {unknown[0]!r}; there are {', '.join(MIX)}")
        self.kinds, self.weights = list(mix), list(mix.values())
        self.words = get_task("gsm8k-mini", spanish=spanish)
        self.sums = get_task("arithmetic", spanish=spanish)
        self.chat = get_task("general", spanish=spanish)

    def document(self, index: int, kind: str | None = None) -> Document:
        rng = problem_rng(self.seed, index, f"corpus/{self.split}")
        kind = kind or rng.choices(self.kinds, self.weights)[0]
        text, problems = WRITERS[kind](self, rng)
        return Document(kind, text, tuple(p.key for p in problems))


# -- one writer a kind: (corpus, rng) -> text, problems ------------------------------------------------------------------

def forum(style: str, prompt_style: str = "plain") -> Callable:
    def write(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
        task = corpus.words
        problem = task.sample(rng, corpus.split)
        return task.render(problem, prompt_style) + task.solution(problem, rng, style), [problem]
    return write


def textbook(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    task = corpus.words
    problems = [task.sample(rng, corpus.split) for _ in range(rng.choice((1, 1, 2)))]
    pages = []
    for problem in problems:
        head, worked = TEXTBOOK[problem.meta["language"]]
        style = "plan_verify" if rng.random() < 0.15 else "steps"
        pages.append(f"{head}: {problem.prompt}\n{worked}:{task.solution(problem, rng, style)}")
    return "\n\n".join(pages), problems


def drill(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    """The single steps of three problems, mixed: nine sums in the tokens that a worked example spends on three."""
    problems = [corpus.words.sample(rng, corpus.split) for _ in range(3)]
    lines = [f"<<{sum_}={result}>>{result}" for problem in problems for sum_, result in worked_steps(problem)]
    rng.shuffle(lines)
    return "\n".join(lines), problems


def several(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    task = corpus.words
    problems = [task.sample(rng, corpus.split) for _ in range(rng.choice((2, 2, 3, 4)))]
    style = "steps" if rng.random() < 0.3 else "reflex"
    solved = [task.render(p) + task.solution(p, rng, style) for p in problems]
    return task.separator.join(solved), problems


def sums(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    problem = corpus.sums.sample(rng, corpus.split)
    style = "steps" if rng.random() < 0.5 else "reflex"
    return corpus.sums.render(problem) + corpus.sums.solution(problem, rng, style), [problem]


def chat(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    problem = corpus.chat.sample(rng, corpus.split)
    return corpus.chat.render(problem) + corpus.chat.solution(problem, rng), [problem]


def text(corpus: Corpus, rng: random.Random) -> tuple[str, list[Problem]]:
    """A story without its question, or a few lines of a table of sums."""
    problem = corpus.words.sample(rng, corpus.split)
    if rng.random() < 0.5:
        story = problem.prompt.replace("?", ".").replace("¿", "")
        return f"{story} {problem.answer}.", [problem]
    a, b = rng.randint(2, 12), rng.randint(2, 60)
    lines = [f"{a} + {b + i} = {a + b + i}" if b > 20 else f"{a} * {b + i} = {a * (b + i)}" for i in range(4)]
    return "\n".join(lines), []


WRITERS: dict[str, Callable] = {
    "reflex": forum("reflex"), "careless": forum("careless"), "steps": forum("steps"),
    "plan_verify": forum("plan_verify"), "nudged": forum("steps", "cot"), "textbook": textbook, "drill": drill,
    "several": several, "sums": sums, "chat": chat, "text": text,
}


# -- tokens ---------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class TokenSet:
    """Documents as one flat array of ids, each ended by the end-of-text token: document i is ids[ends[i-1]:ends[i]]."""

    ids: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.ids[self.ends[i - 1] if i else 0:self.ends[i]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)


def tokenize(tokenizer: Tokenizer, *, seed: int, split: str, start: int, count: int, spanish: float = 0.25,
             mix: dict[str, float] | None = None) -> TokenSet:
    """Documents start .. start+count as tokens."""
    corpus = Corpus(seed, split, spanish, mix)
    pieces = [np.array([*tokenizer.encode(corpus.document(i).text), tokenizer.eos_id], dtype=np.uint16)
              for i in range(start, start + count)]
    return TokenSet(np.concatenate(pieces), np.cumsum([len(p) for p in pieces]))


def build(tokenizer: Tokenizer, tokens: int, *, seed: int = 0, split: str = "train", spanish: float = 0.25,
          mix: dict[str, float] | None = None, chunk: int = 5000) -> TokenSet:
    """At least `tokens` tokens of documents, in order, always the same for one seed."""
    parts: list[TokenSet] = []
    while sum(len(p.ids) for p in parts) < tokens:
        parts.append(tokenize(tokenizer, seed=seed, split=split, start=len(parts) * chunk, count=chunk,
                              spanish=spanish, mix=mix))
    offsets = np.cumsum([0, *(len(p.ids) for p in parts[:-1])])
    return TokenSet(np.concatenate([p.ids for p in parts]),
                    np.concatenate([p.ends + o for p, o in zip(parts, offsets, strict=True)]))


# -- what the tokenizer learns from -----------------------------------------------------------------------------------------

def countdown_sample(rng: random.Random) -> str:
    a, b, c = rng.sample(range(1, 26), 3)
    x, y = rng.sample("+-*/", 2)
    return (f"Question: Use the numbers {a}, {b} and {c} to make {a * b + c}.\nAnswer:\ntry: {a} {x} {b} = {a + b}, "
            f"{a + b} {y} {c} = {a + b - c}; no\nwait, try: {a} * {b} = {a * b}, {a * b} + {c} = {a * b + c}; ok\n"
            f"<answer>{a} * {b} + {c}</answer>")


def logic_sample(rng: random.Random) -> str:
    x, y, z = rng.sample(NAMES["en"], 3)
    taller = rng.choice(("taller", "older", "faster", "richer"))
    return (f"Question: {x} is {taller} than {y}. {y} is {taller} than {z}. Is {z} {taller} than {x}? If all {x}s are "
            f"{y}s, and no {y} is a {z}, which is true or false?\nAnswer: So {x} > {y} and {y} > {z}, therefore {x} > "
            f"{z}. Suppose not: a contradiction. The answer is {rng.choice(('no', 'yes', 'true', 'false'))}.")


def ledger_sample(rng: random.Random) -> str:
    rows = "".join(f"{rng.choice(NAMES['en'])} | {rng.choice(('paid', 'received', 'sold', 'bought'))} | "
                   f"{rng.randint(1, 300)}\n" for _ in range(4))
    return (f"name | entry | amount\n{rows}<tool>SELECT SUM(amount) FROM ledger WHERE name = '{rng.choice(NAMES['en'])}' "
            f"AND entry = 'paid' GROUP BY name ORDER BY amount;</tool><result>{rng.randint(1, 999)}</result>")


def program_sample(rng: random.Random) -> str:
    f, n = rng.choice(("total", "double", "count", "largest")), rng.randint(2, 90)
    return (f"def {f}(values):\n    result = 0\n    for x in values:\n        if x > {n}:\n            result = result + x"
            f"\n        else:\n            result += {n}\n    return result\n\nassert {f}([1, {n}, 3]) == {n * 2}\n"
            f"print({f}(range({n})))\n<tool>calculator({n} * 3)</tool><result>{n * 3}</result>")


def tokenizer_texts(seed: int = 0, documents: int = 24_000) -> Iterator[str]:
    """Samples of all that the project plans: four documents in five from the base corpus, the rest from what later
    tasks will need (countdown, logic, ledgers, small programs, tool calls)."""
    corpus = Corpus(seed)
    planned = (countdown_sample, logic_sample, ledger_sample, program_sample)
    for i in range(documents):
        rng = problem_rng(seed, i, "tokenizer")
        yield rng.choice(planned)(rng) if i % 5 == 0 else corpus.document(i).text


# -- command --------------------------------------------------------------------------------------------------------------

@dataclass
class Options:
    """Print the mix of the base corpus with a sample of each kind, or write documents to a file."""

    seed: int = option(0, "seed of the documents")
    spanish: float = option(0.25, "share of Spanish", minimum=0.0, maximum=1.0)
    split: str = option("train", "split that the problems come from", choices=("train", "validation"))
    count: int = option(2000, "documents to make for the table", minimum=1)
    out: Path | None = option(None, "write the documents here, one JSON object a line")
    tokenizer: Path | None = option(None, "train the project's tokenizer on its sample texts and save it in this folder")


def run(options: Options) -> None:
    if options.out and (options.out.is_dir() or not options.out.absolute().parent.is_dir()):
        raise UserError(f"--out {options.out} must name a file in a folder that is there")
    if options.tokenizer:
        tokenizer = Tokenizer.train(tokenizer_texts(options.seed), vocab_size=1024)
        tokenizer.save(options.tokenizer)
        print(f"tokenizer of {len(tokenizer)} tokens, fingerprint {tokenizer.fingerprint()[:12]}, in {options.tokenizer}")
        return
    corpus = Corpus(options.seed, options.split, options.spanish)
    documents = [corpus.document(i) for i in range(options.count)]
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            for document in documents:
                file.write(json.dumps({"kind": document.kind, "text": document.text}, ensure_ascii=False) + "\n")
        print(f"{options.count} documents written to {options.out}")
        return
    characters = Counter()
    for document in documents:
        characters[document.kind] += len(document.text)
    counts = Counter(document.kind for document in documents)
    print(f"{'kind':12} {'share':>6} {'found':>6} {'chars':>6}  what it is")
    for kind, (share, what) in MIX.items():
        print(f"{kind:12} {share:6.1%} {counts[kind] / options.count:6.1%} "
              f"{characters[kind] / characters.total():6.1%}  {what}")
    for kind in MIX:
        print(f"\n--- {kind} ---\n{corpus.document(0, kind).text}")


if __name__ == "__main__":
    run_command(run, Options, prog="python -m minilrm.corpus", description=Options.__doc__)
