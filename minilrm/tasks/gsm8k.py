"""GSM8K, or any file of your own in its format: one JSON object a line,
`{"question": ..., "answer": "... #### 72"}`.

    python -m minilrm.evaluate --task gsm8k --data FILE

Optional fields, which the files that minilrm ships have: "key" (text), "difficulty" (steps), "meta"
(an object).
"""

import hashlib
import json
import random
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tasks import answers
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, Task, split_of
from minilrm.tasks.calculator import format_number, number
from minilrm.tasks.frames import render_frame


class GSM8K(Task):
    """The problems of a file.

    data: the file. split_all: the file is one split already (such as GSM8K's own test.jsonl), so
    every split is the whole of it; otherwise its problems are split by their keys, 80 : 10 : 10,
    and there is no `ood`.
    """

    name = "gsm8k"
    max_new_tokens = 256

    def __init__(self, data: str | Path | None = None, split_all: bool = False):
        if data is None:
            raise UserError(
                "gsm8k is a data set of your own: name its file with --data FILE (JSON lines with "
                '"question" and "answer")'
            )
        self.data = Path(data)
        found = load_jsonl(self.data, self.name)
        self.by_split = {s: [p for p in found if split_all or split_of(p.key) == s] for s in SPLITS}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        return rng.choice(self._of(split))

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """The first `n` problems of a split in the file's own order; all of them if there are
        fewer."""
        return self._of(split)[:n]

    def _of(self, split: str) -> list[Problem]:
        if not self.by_split.get(split):
            raise UserError(
                f"{self.data} has no problem in the split {split!r}; with split_all the whole file is used"
            )
        return self.by_split[split]

    def render(self, problem: Problem, style: str = "plain", examples: tuple = ()) -> str:
        return render_frame(problem, style, examples)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """The file's own worked answer. `careless`: the same, with the final number miscopied."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" #### {problem.answer}"
        worked = "\n" + problem.meta["solution"]
        if style == "careless":
            wrong = number(problem.answer) + rng.choice((-10, -2, -1, 1, 2, 10))
            return worked.partition(answers.MARK)[0] + f"{answers.MARK} {format_number(wrong)}"
        return worked

    def grade(self, problem: Problem, completion: str) -> Grade:
        return answers.grade_lenient(problem.answer, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return answers.vote_key(answer, answers.lenient_number)

    def thinks(self, completion: str) -> bool:
        return answers.thinks(completion)


def load_jsonl(path: str | Path, task: str = "gsm8k") -> list[Problem]:
    """Read a file of problems; whatever is wrong with it is a UserError that names the file and the
    line."""
    path = Path(path).expanduser()
    try:
        # Bytes are cut at "\n" only: str.splitlines() would also cut at the U+2028 that a question
        # may hold.
        lines = path.read_bytes().split(b"\n")
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot read {path}: {why}; name a file of JSON lines with --data FILE"
        ) from error
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors write
    found = []
    for i, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(read_problem(line, task))
            except ValueError as error:
                raise UserError(f"{path}, line {i}: {error}") from error
    if not found:
        raise UserError(
            f'{path} holds no problems; it needs JSON lines with "question" and "answer"'
        )
    return found


def read_problem(line: bytes, task: str) -> Problem:
    """One line -> one problem. A ValueError says what is wrong with it.

    >>> line = b'{"question": "3 times 4?", "answer": "<<3*4=12>>12\\\\n#### 12"}'
    >>> read_problem(line, "gsm8k").answer
    '12'
    """
    record = parse(line)
    question, answer = text_field(record, "question"), text_field(record, "answer")
    gold = read_gold(answer)
    key = text_field(record, "key") if "key" in record else question_key(question)
    difficulty = record.get("difficulty", max(1, len(answers.equations(answer))))
    if type(difficulty) is not int or difficulty < 1:  # a bool is an int too
        raise ValueError('"difficulty" must be a whole number from 1')
    meta = record.get("meta", {})
    if not isinstance(meta, dict):
        raise ValueError('"meta" must be an object')
    return Problem(task, question, gold, key, difficulty, {**meta, "solution": answer})


def parse(line: bytes) -> dict:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON; is the line cut short?") from error
    if not isinstance(record, dict):
        raise ValueError('not an object with "question" and "answer"')
    return record


def text_field(record: dict, name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'the field "{name}" is missing or is no text')
    try:
        value.encode("utf-8")
    except (
        UnicodeEncodeError
    ) as error:  # JSON may spell half a surrogate pair, which is no character
        raise ValueError(f'the field "{name}" is no valid Unicode text') from error
    return value


def read_gold(answer: str) -> str:
    """The right answer, in one spelling: `read_gold("Many.\\n#### 2,125")` is `'2125'`."""
    found = answers.extract(answer)
    if not found:
        raise ValueError('the answer has no line "#### number"')
    gold = answers.vote_key(found[0])
    if len(found) > 1 or gold is None or answers.after_answer(answer).strip():
        raise ValueError('the answer must end with one line "#### number"')
    return gold


def question_key(question: str) -> str:
    """A short name for a question, the same whatever its spacing and capitals."""
    plain = " ".join(question.casefold().split())
    return "gsm8k:" + hashlib.sha256(plain.encode()).hexdigest()[:16]
