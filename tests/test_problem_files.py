"""Files of problems as people have them: each accepted shape is read, and each bad file or line is
named in one line that says what to do."""

import csv
import gzip
import io
import json
import random
import re
import sys
import types
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm import machine, sft
from minilrm.errors import UserError
from minilrm.tasks import get_task, problem_files, problem_shapes
from minilrm.tasks.answers import thinks
from minilrm.tasks.base import Problem
from minilrm.tasks.gsm8k import GSM8K
from minilrm.tasks.problem_files import FOREIGN, json_stream, load_problems
from minilrm.tasks.problem_shapes import question_key
from minilrm.tokenizer import Tokenizer

repeatable = settings(derandomize=True, deadline=None, max_examples=60)
GOOD = '{"question": "3 times 4?", "answer": "It is <<3*4=12>>12.\\n#### 1,200"}'


def written(folder: Path, content: str | bytes, name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def table(module: types.ModuleType) -> str:
    """The first indented lines of the module's docstring."""
    return re.search(r"(?:^    .*\n)+", module.__doc__, re.MULTILINE)[0]


# ---- what a problem may look like

SHAPES = [shape for _, shape in json_stream(table(problem_shapes), Path("the docstring"))]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape)[:90])
def test_a_problem_of_the_table_is_read(tmp_path, shape):
    (problem,) = load_problems(written(tmp_path, json.dumps(shape)))
    assert (problem.prompt, problem.answer) == ("3 times 4?", "12")
    assert problem.difficulty == shape.get("difficulty", 1) and problem.task == "gsm8k"
    solution = problem.meta["solution"]
    assert solution.endswith("#### 12") and solution.count("####") == 1
    # It can be trained on, and the task takes it for right.
    task = GSM8K(tmp_path / "mine.jsonl", split_all=True)
    grade = task.grade(problem, task.solution(problem, random.Random(0)))
    assert grade.correct and grade.formatted


def test_the_table_of_problems_names_the_shapes_that_people_have():
    names = {name for shape in SHAPES for name in shape}
    assert len(SHAPES) >= 13
    assert names == {
        *("question", "answer", "answer_number", "problem", "solution", "prompt", "completion"),
        *("messages", "key", "difficulty", "meta"),
    }


def test_a_worked_answer_stays_as_it_is_and_gets_its_mark_where_it_has_none(tmp_path):
    worked = [
        ({"answer": " It is 12. \n####  12 "}, " It is 12. \n####  12 "),
        ({"answer": "$12"}, "#### 12"),
        ({"answer": " It is \\boxed{12}. \n"}, "It is \\boxed{12}.\n#### 12"),
        ({"solution": "Twelve.", "answer": "12.0"}, "Twelve.\n#### 12"),
        ({"completion": "<<3*4=12>>12", "answer_number": 12}, "<<3*4=12>>12\n#### 12"),
    ]
    lines = [json.dumps({"question": f"{i}?"} | more) for i, (more, _) in enumerate(worked)]
    problems = load_problems(written(tmp_path, "\n".join(lines)))
    assert [p.meta["solution"] for p in problems] == [solution for _, solution in worked]


def test_gsm8ks_own_schema(tmp_path):
    extra = {
        "question": "Cuántos?",
        "answer": "#### -3.50",
        "key": "story:1",
        "difficulty": 4,
        "meta": {"language": "es"},
    }
    path = written(
        tmp_path, b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\n" + json.dumps(extra).encode()
    )
    first, second = load_problems(path, task="gsm8k-mini")
    assert (first.task, first.prompt, first.answer, first.difficulty) == (
        "gsm8k-mini",
        "3 times 4?",
        "1200",
        1,
    )
    assert first.key.startswith("gsm8k:")
    assert first.meta == {"solution": "It is <<3*4=12>>12.\n#### 1,200"}
    assert (second.answer, second.key, second.difficulty) == ("-3.5", "story:1", 4)
    assert second.meta == {"language": "es", "solution": "#### -3.50"}
    task = GSM8K(path, split_all=True)
    assert [p.key for p in task.problems("ood", 5)] == [first.key, "story:1"]
    assert task.solution(first, random.Random(0)) == "\nIt is <<3*4=12>>12.\n#### 1,200"
    assert task.solution(first, random.Random(0), "reflex") == " #### 1200"
    assert thinks(task.solution(first, random.Random(0)))


def test_a_key_does_not_depend_on_spacing_and_capitals():
    same, other = question_key("how many eggs?"), question_key("how many legs?")
    assert question_key("How  many\nEggs?") == same != other


# ---- what a file may look like


def table_of(delimiter: str, **options) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, **options)
    writer.writerow([" Question", "answer", "key", "difficulty"])
    writer.writerow(["3 times 4,\nor 2; 6?", "It is:\t12.\n#### 12", "", "3.0"])
    writer.writerow(['What is "5"?', "5", "five", ""])
    return out.getvalue()


TWO = [
    {
        "question": "3 times 4,\nor 2; 6?",
        "answer": "It is:\t12.\n#### 12",
        "key": None,
        "difficulty": 3.0,
    },
    {"question": 'What is "5"?', "answer": 5, "key": "five", "difficulty": None},
]
FILES = {
    "JSON lines": ["\n".join(map(json.dumps, TWO)), "\n\n".join(map(json.dumps, TWO)) + "\r\n"],
    "JSON array": [json.dumps(TWO), json.dumps(TWO, indent=2), f"\n[\n{json.dumps(TWO)[1:]}\n"],
    "indented JSON": ["\n".join(json.dumps(record, indent=4) for record in TWO)],
    "CSV": [
        *(table_of(delimiter) for delimiter in ",;\t"),
        table_of(",", quoting=csv.QUOTE_ALL, lineterminator="\n"),
    ],
}


def encodings(text: str) -> list[bytes]:
    return [text.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16")]


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_the_table_is_read(tmp_path, kind):
    """Whatever its name and encoding, and compressed too."""
    for content in (content for text in FILES[kind] for content in encodings(text)):
        for data in (content, gzip.compress(content)):
            first, second = load_problems(written(tmp_path, data, "problems.data"))
            assert (first.prompt, first.answer) == (TWO[0]["question"], "12")
            assert first.meta == {"solution": TWO[0]["answer"]} and first.difficulty == 3
            assert first.key == question_key(first.prompt)
            assert (second.prompt, second.answer, second.key) == (TWO[1]["question"], "5", "five")
            assert second.difficulty == 1


def test_the_table_of_files_says_what_is_tested():
    kinds = re.findall(r"^    (\S+(?: \S+)*)  ", table(problem_files), re.M)
    assert kinds == [*FILES, "gzip", "parquet"]


def test_a_parquet_file_is_read_by_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "mine.parquet"
    datasets.Dataset.from_list([{"question": "3 times 4?", "answer": "#### 12"}]).to_parquet(path)
    (problem,) = load_problems(path)
    assert (problem.prompt, problem.answer) == ("3 times 4?", "12")
    with pytest.raises(UserError, match="cannot be read as parquet: ") as error:
        load_problems(written(tmp_path, path.read_bytes()[:-20], "cut.parquet"))
    assert "\n" not in str(error.value)


def test_a_parquet_file_is_read_where_datasets_is_and_else_says_how(tmp_path, monkeypatch):
    path = written(tmp_path, b"PAR1\x00\x01PAR1")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"is a parquet file: pip install datasets; .*to_json\("):
        load_problems(path)

    class Dataset:
        def from_parquet(name, *, cache_dir, keep_in_memory):
            assert name == str(path) and Path(cache_dir).is_dir() and keep_in_memory
            return [{"question": "3 times 4?", "answer": 12, "meta": None}, {"question": "5?"}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(Dataset=Dataset))
    with pytest.raises(UserError, match='row 2: the field "answer" is missing'):
        load_problems(path)


@repeatable
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "question": st.text(min_size=1).filter(str.strip),
                "answer": st.integers(-(10**6), 10**6),
            }
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_no_text_is_lost_between_lines_arrays_and_indentation(tmp_path_factory, found, ascii_only):
    """A question may hold U+2028, brackets, quotes, anything."""
    folder = tmp_path_factory.getbasetemp()
    dump = [json.dumps(record, ensure_ascii=ascii_only) for record in found]
    tidy = [json.dumps(record, ensure_ascii=ascii_only, indent=1) for record in found]
    for text in ("\n".join(dump), f"[{','.join(dump)}]", "\n".join(tidy), f"[{','.join(tidy)}]"):
        problems = load_problems(written(folder, text))
        assert [(p.prompt, int(p.answer)) for p in problems] == [
            (record["question"], record["answer"]) for record in found
        ]


# ---- what is wrong with a line

ASSISTANT = '{"role": "assistant", "content": "12"}'
BAD_LINES = {
    '{"question": "3 times 4?", "answer": "It is': "not JSON; is the line cut short?",
    "[1, 2]": "not an object",
    "12": "not an object",
    "[" * 100_000: "not JSON",
    "1" * 5000: "not JSON",
    '{"question": "Who?"}': "\"answer\" is missing; given: 'question'",
    '{"answer": "#### 1"}': '"question" is missing',
    '{"input": "Q", "output": "1"}': "\"question\" is missing; given: 'input, output'; rename what "
    'holds it to "question" ("problem" or "prompt" will do too)',
    '{"question": "  ", "answer": "#### 1"}': '"question" is no text',
    '{"question": null, "answer": "#### 1"}': '"question" is missing',
    '{"question": 5, "answer": "#### 1"}': '"question" is no text',
    '{"question": "Q", "problem": "P", "answer": "1"}': 'both "question" and "problem"; keep one',
    '{"question": "Q", "solution": "1", "completion": "1"}': 'both "solution" and "completion"',
    '{"question": "Q", "answer": [12]}': '"answer" is no text',
    '{"question": "Q", "answer": "It is 12."}': 'no line "#### number", no \\boxed{number}, and is',
    '{"question": "Q", "answer": "12 or 13"}': "is no number itself",
    '{"question": "Q", "answer": "3 dozen"}': "is no number itself",
    '{"question": "Q", "answer": true}': "is no number itself",
    '{"question": "Q", "answer": NaN}': "is no number itself",
    '{"question": "Q", "answer": 1e300}': "is no number itself",
    '{"question": "Q", "answer": "\\\\boxed{12} or \\\\boxed{13}"}': "is no number itself",
    '{"question": "Q", "answer": "\\\\boxed{\\\\frac{1}{2}}"}': "is no number itself",
    '{"question": "Q", "answer": "#### twelve"}': 'end with one line "#### number"',
    '{"question": "Q", "answer": "#### 1\\n#### 2"}': 'end with one line "#### number"',
    '{"question": "Q", "answer": "#### 1\\nso"}': 'end with one line "#### number"',
    '{"question": "Q", "answer": "#### 1", "answer_number": 2}': "different answers: 1, 2",
    '{"problem": "Q", "solution": "\\\\boxed{1}", "answer": "2"}': "different answers: 1, 2",
    '{"problem": "Q", "solution": "\\\\boxed{1}", "answer": "B"}': "\"answer\" is no number: 'B'",
    '{"question": "Q\\ud800", "answer": "#### 1"}': "no valid Unicode",
    '{"question": "Q", "answer": "#### 1", "key": 5}': '"key" is no text',
    '{"question": "Q", "answer": "#### 1", "difficulty": true}': '"difficulty" must be',
    '{"question": "Q", "answer": "#### 1", "difficulty": 0}': '"difficulty" must be',
    '{"question": "Q", "answer": "#### 1", "difficulty": 2.5}': '"difficulty" must be',
    '{"question": "Q", "answer": "#### 1", "difficulty": "hard"}': "rename it",
    '{"question": "Q", "answer": "#### 1", "meta": []}': '"meta" must be',
    '{"messages": "Hi"}': 'a message must have a "role"',
    '{"messages": [' + ASSISTANT + "]}": "must hold a question (user) and its answer (assistant)",
    '{"messages": [' + ", ".join([ASSISTANT] * 2) + "]}": "assistant speaks twice",
    '{"messages": []}': "must hold a question",
    '{"messages": [], "prompt": "Q"}': '"answer" is missing',
    '{"prompt": [' + ASSISTANT + '], "completion": "1"}': 'one message, with the role "user"',
    '{"prompt": [{"role": "user"}], "completion": "1"}': 'a message must have a "role"',
    '{"prompt": [{"role": "user", "content": 5}], "completion": "1"}': '"prompt" is no text',
    '{"a\\nb": 1}': '"question" is missing',
    '{"question": {"0": "Q"}, "answer": {"0": "1"}}': 'with pandas: to_json(FILE, orient="records"',
}


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:60])
def test_a_bad_line_is_named(tmp_path, line):
    path = written(tmp_path, f"{GOOD}\n\n{line}\n{GOOD}\n")
    with pytest.raises(UserError) as error:
        GSM8K(path)
    assert str(error.value).startswith(f"{path}, line 3: ") and BAD_LINES[line] in str(error.value)
    assert "\n" not in str(error.value)


BAD_FILES = {
    "an array that is cut short": (f"[\n{GOOD},\n{GOOD}", "line 3: .*cut short"),
    "an array that is cut short behind a comma": (f"[\n{GOOD},\n", "line 3: .*not closed"),
    "an array that is cut short in an object": (f"[\n{GOOD},\n{GOOD[:30]}", "line 3: not JSON"),
    "an array with a bad entry": (f"[\n{GOOD},\n\n{{}}]", r"line 4 \(entry 2\): .*missing"),
    "an array of lists": ("[[1, 2]]", r"line 1 \(entry 1\): not an object"),
    "two arrays": (f"[{GOOD}]\n[{GOOD}]", "line 1: something follows the array"),
    "an indented object that is cut short": ('{\n "question":\n', "line 3: not JSON"),
    "brackets without end": ("[" * 100_000, "line 1: not JSON"),
    "a table under other names": ("q,a\n1,2\n", "line 1: neither JSON nor .*'q, a'"),
    "a table of one column": ("question\nWho?\n", 'line 2: the field "answer" is missing'),
    "a row that is too long": ("question,answer\nHow many, then?,3\n", "line 2: 3 fields .* 2"),
    "a row that is cut short": ('question,answer\n1?,1\n"How,3\n', "line 3: no CSV"),
    "a row without an answer": ("question,answer\n1?,1\n2?,\n", 'line 3: the field "answer"'),
    "prose": ("Once upon a time\n", "line 1: neither JSON nor the heading of a CSV file"),
    "numbers": ("1\n2\n", "line 1: neither JSON nor the heading of a CSV file"),
    "Latin-1": (b"question,answer\nCu\xe1ntos?,1\n", "line 2: not UTF-8 text"),
    "half of UTF-16": (b"\xff\xfe\n", "line 1: not UTF-16 text"),
    "nothing": ("\n \n", "holds no problems; it needs JSON lines"),
    "no bytes": (b"", "holds no problems"),
    "an empty array": ("[\n]\n", "holds no problems"),
    "a heading alone": ("question,answer\n", "holds no problems"),
    "gzip cut short": (gzip.compress(GOOD.encode())[:-9], "compressed by gzip, and damaged"),
    "damaged gzip": (b"\x1f\x8b" + b"\x08" * 40, "compressed by gzip, and damaged"),
    "a web page": ("\n<!DOCTYPE html>\n", "is a page of HTML or XML; download the file itself"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named(tmp_path, name):
    content, says = BAD_FILES[name]
    path = written(tmp_path, content)
    with pytest.raises(UserError, match=says) as error:
        load_problems(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    if content[:1] not in ("{", "[") and "gzip" not in name:
        assert "cut short" not in str(error.value)  # nobody asks that of a table


@pytest.mark.parametrize("mark", FOREIGN, ids=ascii)
def test_a_file_of_another_kind_says_what_it_is(tmp_path, mark):
    path = written(tmp_path, mark + bytes(range(256)))
    kind, remedy = FOREIGN[mark]
    with pytest.raises(UserError) as error:
        load_problems(path)
    assert str(error.value).startswith(f"{path} is {kind}; {remedy}; it needs JSON lines")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(UserError, match="--data FILE"):
        get_task("gsm8k")
    for path in (tmp_path / "nowhere.jsonl", tmp_path, "a\0b"):
        with pytest.raises(UserError, match="cannot read .*--data FILE"):
            GSM8K(path)


@repeatable
@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(alphabet='{}[]",:\n\r 1#;\tquestionanswer\\', max_size=60).map(str.encode),
        st.integers(0, len(GOOD)).map(lambda n: GOOD[:n].encode()),
    )
)
def test_any_bytes_are_problems_or_one_line(tmp_path_factory, data):
    path = written(tmp_path_factory.getbasetemp(), data)
    try:
        assert all(isinstance(problem, Problem) for problem in load_problems(path))
    except UserError as error:
        assert "\n" not in str(error)


# ---- the real GSM8K, where it is at hand

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "gsm8k"
needs_gsm8k = pytest.mark.skipif(
    not (REAL / "train.jsonl").exists(), reason="the real GSM8K is not here"
)


@needs_gsm8k
def test_all_of_gsm8k_is_read(tmp_path):
    """8,792 records, each by its own line, its worked answer untouched."""
    counts = Counter()
    for name in ("train", "test"):
        lines = (REAL / f"{name}.jsonl").read_text("utf-8").split("\n")
        records = [json.loads(line) for line in lines if line]
        problems = load_problems(REAL / f"{name}.jsonl")
        for problem, record in zip(problems, records, strict=True):
            assert problem.prompt == record["question"]
            assert problem.meta == {"solution": record["answer"]}
            gold = record["answer"].rsplit("#### ", 1)[1].replace(",", "")
            assert float(problem.answer) == float(gold)
        counts[name] = len(problems)
        # As pandas, jq and a spreadsheet would write it.
        small = records[:300]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, ["question", "answer"])
        writer.writeheader()
        writer.writerows(small)
        for text in (json.dumps(small), json.dumps(small, indent=2), table.getvalue()):
            assert load_problems(written(tmp_path, text)) == problems[:300]
    assert counts == {"train": 7473, "test": 1319}


@needs_gsm8k
def test_the_readme_says_what_share_of_gsm8k_fits():
    """With the project's tokenizer, the shipped base's context and the task's limit."""
    task = get_task("gsm8k", data=REAL / "train.jsonl", split_all=True)
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    examples = [
        sft.build_example(task, tokenizer, task.render(p), task.solution(p, random.Random(0)))
        for p in task.problems("train", 10_000)
    ]
    config = machine.data_folder() / "checkpoints" / "gsm8k-mini-base" / "config.json"
    context = json.loads(config.read_text())["max_position_embeddings"]
    lengths = [(len(e.prompt_ids), len(e.completion_ids)) for e in examples]
    too_long = sum(prompt + answer > context for prompt, answer in lengths) / len(lengths)
    cut_off = sum(answer > task.max_new_tokens for _, answer in lengths) / len(lengths)
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    fits = f"{100 * too_long:.1f} % do not fit the context of {context} tokens"
    ends = f"{100 * cut_off:.1f} % of the solutions are longer than the {task.max_new_tokens} new"
    assert fits in readme and ends in readme
