r"""A problem out of one object of a file, in any of the shapes in which people keep problems.

All of these are read as the question "3 times 4?" with the answer 12. A field that is null or empty
counts as left out; fields of other names are ignored, and so are messages beside a question.

    {"question": "3 times 4?", "answer": "It is <<3*4=12>>12.\n#### 12"}
    {"question": "3 times 4?", "answer": 12}
    {"question": "3 times 4?", "answer": 12.0}
    {"question": "3 times 4?", "answer": "12 eggs"}
    {"question": "3 times 4?", "answer": "It is $\\boxed{12}$ eggs."}
    {"question": "3 times 4?", "answer": "It is twelve.", "answer_number": 12}
    {"question": "3 times 4?", "answer_number": "12"}
    {"problem": "3 times 4?", "solution": "It is \\boxed{12}."}
    {"problem": "3 times 4?", "solution": "It is twelve.", "answer": "$12$"}
    {"prompt": "3 times 4?", "completion": "It is 12.\n#### 12"}
    {"prompt": [{"role": "user", "content": "3 times 4?"}],
     "completion": [{"role": "assistant", "content": "It is 12.\n#### 12"}]}
    {"messages": [{"role": "system", "content": "Answer briefly."},
                  {"role": "user", "content": "3 times 4?"},
                  {"role": "assistant", "content": "#### 12"}]}
    {"problem": "3 times 4?", "solution": "It is \\boxed{12}.", "messages": []}
    {"question": "3 times 4?", "answer": "#### 12", "key": null, "difficulty": 3.0, "meta": null}

The first is GSM8K's own schema. The answer is read leniently (`answers.py` has the table): behind
`####`, or in a `\boxed{}`, or bare. A worked answer without `####` gets it, so that a model can be
trained on it. Optional: "key" (text; problems of one key share a split), "difficulty" (how many
steps), "meta" (an object; its "language" chooses the words of the prompt).
"""

import hashlib
import re

from minilrm.tasks import answers
from minilrm.tasks.base import Problem
from minilrm.tasks.calculator import format_number

QUESTION = ("question", "problem", "prompt")
WORKED = ("solution", "completion")
KNOWN_AS = {"question": QUESTION[1:], "answer": WORKED}


def read_problem(record: object, task: str) -> Problem:
    r"""One object of a file -> one problem. A ValueError says what is wrong with it.

    >>> problem = read_problem({"problem": "3 times 4?", "solution": "It is \\boxed{12}."}, "gsm8k")
    >>> problem.prompt, problem.answer, problem.meta["solution"]
    ('3 times 4?', '12', 'It is \\boxed{12}.\n#### 12')
    """
    if not isinstance(record, dict):
        raise ValueError('not an object with "question" and "answer"')
    given = plain_fields(
        {name: value for name, value in record.items() if value is not None and value != ""}
    )
    question = text_field(given, one_of(given, QUESTION) or QUESTION[0])
    solution, gold = read_solution(given)
    key = text_field(given, "key") if "key" in given else question_key(question)
    steps = max(1, len(answers.equations(solution)))
    difficulty = read_difficulty(given["difficulty"]) if "difficulty" in given else steps
    meta = given.get("meta", {})
    if not isinstance(meta, dict):
        raise ValueError('"meta" must be an object; leave it out of a CSV file')
    return Problem(task, question, gold, key, difficulty, {**meta, "solution": solution})


def one_of(given: dict[str, object], names: tuple[str, ...]) -> str | None:
    """The one of these names that is given; None if none is."""
    found = [name for name in names if name in given]
    if len(found) > 1:
        raise ValueError(f'there is both "{found[0]}" and "{found[1]}"; keep one of them')
    return found[0] if found else None


def text_field(given: dict[str, object], name: str) -> str:
    if name not in given:
        others = " or ".join(f'"{other}"' for other in KNOWN_AS.get(name, ()))
        remedy = f'; rename what holds it to "{name}" ({others} will do too)' if others else ""
        raise ValueError(
            f'the field "{name}" is missing; given: {", ".join(given)[:100]!r}{remedy}'
        )
    value = given[name]
    if isinstance(value, dict):
        hint = 'with pandas: to_json(FILE, orient="records", lines=True)'
        raise ValueError(f'the field "{name}" is no text but an object, or a column; {hint}')
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'the field "{name}" is no text: {str(value)[:40]!r}')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        # JSON may spell half a surrogate pair, which is no character.
        raise ValueError(f'the field "{name}" is no valid Unicode text') from error
    return value


def read_difficulty(value: object) -> int:
    """A whole number from 1; as 3.0 too (pandas), or as the text "3" (CSV)."""
    written = re.fullmatch(r"([1-9][0-9]{0,8})(\.0)?", str(value))
    if written is None:
        raise ValueError(
            '"difficulty" must be a whole number from 1 (how many steps); '
            "if it means something else, rename it"
        )
    return int(written[1])


def read_solution(given: dict[str, object]) -> tuple[str, str]:
    r"""The worked answer, ending in a line `#### number`, and the number in one spelling.

    All numbers that the object gives must be equal.

    >>> read_solution({"solution": "Three fours.", "answer": "12 eggs"})
    ('Three fours.\n#### 12', '12')
    """
    name = one_of(given, WORKED) or "answer"
    stated = [
        read_stated(given, other)
        for other in ("answer", "answer_number")
        if other in given and other != name
    ]
    text = text_field(given, name) if name in given or not stated else ""
    golds = {gold for gold in (*stated, read_gold(text)) if gold is not None}
    if not golds:
        raise ValueError(
            'the answer has no line "#### number", no \\boxed{number}, and is no number itself; '
            "only numbers can be graded"
        )
    if len(golds) > 1:
        raise ValueError(f"there are different answers: {', '.join(sorted(golds))}")
    (gold,) = golds
    if answers.MARK in text:
        return text, gold
    bare = not text or answers.lenient_number(text) is not None
    return f"{answers.MARK} {gold}" if bare else f"{text.strip()}\n{answers.MARK} {gold}", gold


def read_stated(given: dict[str, object], name: str) -> str:
    """The number in a field that stands beside the worked answer."""
    gold = read_gold(text_field(given, name))
    if gold is None:
        raise ValueError(f'the field "{name}" is no number: {str(given[name])[:40]!r}')
    return gold


def read_gold(answer: str) -> str | None:
    r"""The right answer, in one spelling; None if the text holds none.

    >>> [read_gold(t) for t in ("Many.\n#### 2,125", r"So $\boxed{7}$.", "7 km", "7?")]
    ['2125', '7', '7', None]
    """
    if answers.MARK in answer:
        found = answers.extract(answer)
        gold = answers.vote_key(found[0], answers.lenient_number)
        if len(found) > 1 or gold is None or answers.after_answer(answer).strip():
            raise ValueError('the answer must end with one line "#### number"')
        return gold
    candidates = set(map(answers.lenient_number, answers.boxed(answer) or [answer]))
    value = candidates.pop()
    return None if value is None or candidates else format_number(value)


def plain_fields(given: dict[str, object]) -> dict[str, object]:
    """The same with texts in the place of messages (what user and assistant say) and of numbers."""
    flat = dict(given)
    for name in ("answer", "answer_number", *WORKED):
        if isinstance(flat.get(name), (int, float)):
            flat[name] = str(flat[name])
    if "messages" in flat and one_of(flat, QUESTION) is None:
        said = turns(flat["messages"])
        if len(said) != 2:
            raise ValueError('"messages" must hold a question (user) and its answer (assistant)')
        flat |= {"prompt": said["user"], "completion": said["assistant"]}
    for name, role in (("prompt", "user"), ("completion", "assistant")):
        if isinstance(flat.get(name), list):
            said = turns(flat[name])
            if list(said) != [role]:
                raise ValueError(f'"{name}" must hold one message, with the role "{role}"')
            flat[name] = said[role]
    return flat


def turns(messages: object) -> dict[str, object]:
    """Who says what in a conversation of one question. The system's message is left out."""
    said: dict[str, object] = {}
    for message in messages if isinstance(messages, list) else [messages]:
        fields = message if isinstance(message, dict) else {}
        role = fields.get("role")
        if role not in ("system", "user", "assistant") or "content" not in fields:
            raise ValueError('a message must have a "role" (system, user, assistant) and "content"')
        if role in said:
            raise ValueError(f"{role} speaks twice; only one question with its answer can be read")
        if role != "system":
            said[role] = fields["content"]
    return said


def question_key(question: str) -> str:
    """A short name for a question, the same whatever its spacing and capitals."""
    plain = " ".join(question.casefold().split())
    return "gsm8k:" + hashlib.sha256(plain.encode()).hexdigest()[:16]
