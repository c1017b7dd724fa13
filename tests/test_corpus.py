"""The base corpus: what is in it, that it is right where it claims to be, and that nothing of other
splits leaks in."""

import ast
import json
import math
import os
import random
import re
from collections import Counter

import numpy as np
import pytest

from minilrm.cli import run_command
from minilrm.corpus import (
    MIX,
    Attempts,
    TokenSet,
    Web,
    build,
    census,
    corpus_of,
    tokenize,
    tokenizer_texts,
)
from minilrm.corpus import command as command_line
from minilrm.corpus import planned as corpus
from minilrm.errors import UserError
from minilrm.tasks import get_task, split_of
from minilrm.tasks.answers import check_equation, equations, extract
from minilrm.tasks.templates import HELD_OUT, TRAINING
from minilrm.tasks.traces import Writer

WORKED = ("steps", "plan_verify", "nudged", "textbook", "several", "sums")


@pytest.fixture(scope="module")
def documents():
    written = Web(seed=0)
    return [written.document(i) for i in range(3000)]


# -- the mix ---------------------------------------------------------------------------------------


def test_a_document_is_made_of_its_number_alone(documents):
    """Catches: a generator that runs on from document to document, so that no part can be made
    again by itself."""
    again = Web(seed=0)
    for i in (2999, 17, 0, 1234, 17):
        assert again.document(i) == documents[i]
    assert [Web(seed=1).document(i).text for i in range(20)] != [d.text for d in documents[:20]]
    assert [Web(split="validation").document(i).text for i in range(20)] != [
        d.text for d in documents[:20]
    ]
    assert len({d.text for d in documents}) > 2900


def test_the_shares_are_those_of_the_mix(documents):
    assert sum(share for share, _ in MIX.values()) == pytest.approx(1)
    counts = Counter(d.kind for d in documents)
    for kind, (share, _) in MIX.items():
        error = math.sqrt(share * (1 - share) / len(documents))
        assert counts[kind] / len(documents) == pytest.approx(share, abs=4 * error), kind


def test_few_forum_answers_think_most_blurt(documents):
    """What reinforcement learning is to find: the base must be able to reason, but seldom do so
    unasked."""
    plain = Counter(
        d.kind for d in documents if d.kind in ("reflex", "careless", "steps", "plan_verify")
    )
    assert 0.15 < 1 - plain["reflex"] / plain.total() < 0.4


def test_spanish_is_a_share_and_can_be_all_or_none():
    def spanish(share):
        pages = [Web(seed=0, spanish=share).document(i, "steps").text for i in range(100)]
        return sum(page.startswith("Pregunta: ") for page in pages)

    assert spanish(0.0) == 0 and spanish(1.0) == 100 and 10 < spanish(0.25) < 40


def test_a_mix_of_ones_own_is_normalised_and_an_unknown_kind_is_named():
    own = Web(mix={"reflex": 30, "sums": 10})
    counts = Counter(own.document(i).kind for i in range(400))
    assert set(counts) == {"reflex", "sums"} and counts["reflex"] / 400 == pytest.approx(
        0.75, abs=0.1
    )
    with pytest.raises(
        UserError, match="no kind of document is called 'reflx'; there are reflex, careless"
    ):
        Web(mix={"reflx": 1.0})


# -- right and wrong answers -----------------------------------------------------------------------


def written(kind, count):
    """(text, its problems) of documents of a kind; the problems are caught on their way into the
    document."""
    own = Web(seed=7)
    caught = []
    for task in (own.words, own.sums, own.chat):

        def sample(rng, split, original=task.sample):
            caught.append(original(rng, split))
            return caught[-1]

        task.sample = sample
    for i in range(count):
        caught.clear()
        text = own.document(i, kind).text
        yield text, list(caught)


@pytest.mark.parametrize("kind", ["reflex", *WORKED])
def test_every_answer_is_right(kind):
    worked = 0
    for text, problems in written(kind, 150):
        assert extract(text) == [p.answer for p in problems], text
        for expression, result in equations(text):
            worked += 1
            assert check_equation(expression, result) is True, text
    assert (worked == 0) == (kind == "reflex")


def test_the_careless_are_always_wrong_after_a_chain_that_looks_right():
    """Catches: a slip that a later step happens to undo, and answers that are wrong for their form
    alone."""
    for text, (problem,) in written("careless", 400):
        (answer,) = extract(text)
        assert answer.isdecimal() and answer != problem.answer, text
        assert (
            len(equations(text)) == len(problem.meta["expressions"])
            and equations(text)[-1][1] == answer
        )


def test_the_checkers_are_right_and_say_so():
    for text, (problem,) in written("plan_verify", 100):
        lines = text.split("\n")
        check = lines[-2]
        assert re.match(r"(Check|Prueba): <<.*>>\d+, (ok|bien)\.$", check), text
        assert lines[-1] == f"#### {problem.answer}" and re.search(r"\n(Plan): ", text)


def test_the_nudge_stands_before_the_thinking():
    for text, _ in written("nudged", 60):
        assert re.search(
            r"(Answer: Let's think step by step\.|Respuesta: Pensemos paso a paso\.)\n", text
        ), text


def test_chatter_and_stories_hold_no_sums_to_imitate():
    for kind in ("chat", "text"):
        assert all("####" not in text and "<<" not in text for text, _ in written(kind, 100))


# -- nothing leaks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "validation"])
def test_no_problem_of_another_split_and_no_held_out_story(documents, split):
    pages = documents if split == "train" else [Web(split=split).document(i) for i in range(300)]
    keys = [key for page in pages for key in page.problems]
    assert {split_of(key) for key in keys} == {split}
    stories = {
        key.split(":")[0]
        for page in pages
        for key in page.problems
        if page.kind not in ("sums", "chat")
    }
    assert stories <= {t.name for t in TRAINING} and not stories & {t.name for t in HELD_OUT}
    if split == "train":
        assert stories == {t.name for t in TRAINING}


@pytest.mark.parametrize("kind", MIX)
def test_a_document_tells_all_its_problems(kind):
    """Catches: a kind that writes a sum and does not say so, which the test above could then not
    see."""
    for (_, problems), document in zip(
        written(kind, 60), (Web(seed=7).document(i, kind) for i in range(60)), strict=True
    ):
        # a page of the times table is no problem of any split
        if document.problems or kind != "text":
            assert document.problems == tuple(p.key for p in problems)


# -- tokens ----------------------------------------------------------------------------------------


def test_documents_as_tokens_end_with_the_end_of_text(tokenizer, documents):
    """Catches: an end of text that is never trained, after which no answer ever ends."""
    found = tokenize(tokenizer, Web(seed=0), start=100, count=40)
    assert len(found) == 40 and found.lengths.sum() == len(found.ids) == found.ends[-1]
    for i, document in enumerate(documents[100:140]):
        row = found[i].tolist()
        assert row[-1] == tokenizer.eos_id and tokenizer.eos_id not in row[:-1]
        assert tokenizer.decode(row[:-1]) == document.text
        assert found.lengths[i] == len(row)


def test_rows_of_a_token_set():
    rows = TokenSet(np.array([5, 6, 0, 7, 0, 0], dtype=np.uint16), np.array([3, 5, 6]))
    assert [rows[i].tolist() for i in range(len(rows))] == [[5, 6, 0], [7, 0], [0]]
    assert rows.lengths.tolist() == [3, 2, 1] and rows[-1].tolist() == [0]
    with pytest.raises(IndexError):
        rows[3]


def test_a_corpus_is_long_enough_and_the_same_however_it_was_cut(tokenizer):
    cut = build(tokenizer, 6000, Web(seed=3), chunk=7)
    assert len(cut.ids) >= 6000 > cut.ends[-8]  # not a chunk more than was asked for
    whole = tokenize(tokenizer, Web(seed=3), start=0, count=len(cut))
    assert np.array_equal(cut.ids, whole.ids) and np.array_equal(cut.ends, whole.ends)
    assert cut.ids.max() < len(tokenizer)
    other = build(tokenizer, 6000, Web(seed=4), chunk=7)
    assert not np.array_equal(cut.ids[:500], other.ids[:500])


# -- what the tokenizer learns from ----------------------------------------------------------------

SAMPLES = {
    corpus.countdown_sample: (
        "Question: Use the numbers ",
        "try: ",
        "; no\nwait, ",
        "; ok\n",
        "</answer>",
    ),
    corpus.logic_sample: (" than ", "therefore ", "contradiction", "The answer is "),
    corpus.ledger_sample: (
        "name | entry | amount\n",
        "<tool>SELECT SUM(amount) FROM ledger",
        "</tool><result>",
    ),
    corpus.program_sample: (
        "def ",
        "    return result\n",
        "assert ",
        "<tool>calculator(",
        "</tool><result>",
    ),
}


@pytest.mark.parametrize("write", SAMPLES, ids=lambda write: write.__name__)
def test_what_later_tasks_will_need_is_in_the_tokenizers_texts(write):
    texts = [write(random.Random(i)) for i in range(20)]
    assert texts == [write(random.Random(i)) for i in range(20)] and len(set(texts)) > 15
    assert all(part in text for text in texts for part in SAMPLES[write])
    if write is corpus.program_sample:
        assert all(ast.parse(text.partition("<tool>")[0]) for text in texts)


def test_one_text_in_five_is_of_what_is_planned():
    texts = list(tokenizer_texts(seed=0, documents=200))
    assert texts == list(tokenizer_texts(seed=0, documents=200))
    marks = {
        "countdown": "Use the numbers",
        "logic": "a contradiction",
        "ledger": "ledger WHERE",
        "program": "def ",
    }
    kinds = [next((kind for kind, mark in marks.items() if mark in text), None) for text in texts]
    assert all((kind is not None) == (i % 5 == 0) for i, kind in enumerate(kinds))
    assert {kind for kind in kinds if kind} == set(marks)
    assert texts[1] == Web(0).document(1).text


# -- the command -----------------------------------------------------------------------------------


def command(*argv):
    run_command(command_line.run, command_line.Options, argv, prog="test", description="")


def test_the_command_prints_the_mix_and_a_sample_of_each_kind(capsys):
    command("--count", "60")
    out, err = capsys.readouterr()
    assert err == ""
    table, *samples = re.split(r"\n--- (?:\w+) ---\n", out)
    assert [line.split()[0] for line in table.splitlines() if line.split()] == ["kind", *MIX]
    assert len(samples) == len(MIX)
    assert samples[0].rstrip("\n") == Web().document(0, "reflex").text


def test_the_command_writes_documents(capsys, tmp_path):
    command(
        "--count",
        "30",
        "--seed",
        "2",
        "--split",
        "validation",
        "--out",
        str(tmp_path / "pages.jsonl"),
    )
    assert "30 documents written" in capsys.readouterr().out
    lines = (tmp_path / "pages.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    made = [Web(2, "validation").document(i) for i in range(30)]
    assert [json.loads(line) for line in lines] == [{"kind": d.kind, "text": d.text} for d in made]


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--out", "{tmp}/nowhere/pages.jsonl"], "must name a file in a folder that is there"),
        (["--out", "{tmp}"], "must name a file"),
        # the test split is not for training text
        (["--split", "test"], "--split cannot be 'test'"),
        (["--spanish", "2"], "--spanish must be at most 1.0, not 2.0"),
    ],
)
def test_its_mistakes_are_one_line(capsys, tmp_path, argv, words):
    with pytest.raises(SystemExit) as stopped:
        command(*(word.format(tmp=tmp_path) for word in argv))
    err = capsys.readouterr().err
    assert (
        stopped.value.code == 2
        and err.startswith("error: ")
        and err.count("\n") == 1
        and words in err
    )


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--out", "taken.jsonl"], "--out taken.jsonl is there already; choose another name"),
        (["--out", "taken.jsonl/pages.jsonl"], "a file stands where a folder would have to be"),
        (["--tokenizer", "taken.jsonl"], "cannot make the folder taken.jsonl: file exists"),
        (["--tokenizer", "taken"], "--tokenizer taken/tokenizer.json is there already"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_any_work(
    capsys, tmp_path, monkeypatch, argv, words
):
    """Issue 15, 21 and 22. Catches: a tokenizer trained for five seconds and then refused; a file
    that is written over."""

    def work(*args, **how):
        pytest.fail("it began to work")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.jsonl").write_text("mine")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "tokenizer.json").write_text("mine")
    monkeypatch.setattr(command_line, "corpus_of", work)
    monkeypatch.setattr(command_line, "tokenizer_texts", work)
    with pytest.raises(SystemExit) as stopped:
        command(*argv)
    error = capsys.readouterr().err
    assert (
        stopped.value.code == 2 and words in error.replace(os.sep, "/") and error.count("\n") == 1
    )
    for file in ("taken.jsonl", "taken/tokenizer.json"):
        assert (tmp_path / file).read_text() == "mine"


# -- people who try --------------------------------------------------------------------------------


def attempts(reflection, count=400, **how):
    return [Attempts("countdown", reflection=reflection, **how).document(i) for i in range(count)]


def test_the_share_of_reflecting_writers_is_the_one_asked_for():
    """Catches: a share of failed attempts (who stops after the third failure as readily as after
    the first)."""
    for share in (0.0, 0.1, 0.5, 1.0):
        goes_on = [d.kind == "goes on" for d in attempts(share)]
        assert sum(goes_on) / len(goes_on) == pytest.approx(share, abs=0.08 if 0 < share < 1 else 0)
    task = get_task("countdown")
    for document in attempts(1.0, 300):
        trace = task.parse_trace(document.text.partition("\nAnswer:")[2])
        given_up = trace.attempts[-1].accepted is False
        assert not given_up or len(trace.attempts) == Writer().longest


def test_without_reflection_nobody_says_the_word_and_all_else_is_the_same():
    none, some = attempts(0.0), attempts(0.3)
    assert not any("wait" in d.text for d in none) and any("wait" in d.text for d in some)
    for a, b in zip(none, some, strict=True):
        first = a.text.partition(" no\n")[0].partition(" ok\n")[0]
        assert b.text.startswith(first) and a.problems == b.problems


def test_tags_of_the_answer_are_special_tokens_in_our_own_text_alone(tokenizer):
    document = attempts(0.1, 1)[0]
    tokens = tokenize(tokenizer, Attempts("countdown", reflection=0.1), start=0, count=1)[
        0
    ].tolist()
    assert tokens[:-1] == tokenizer.encode(document.text, allow_special=True)
    assert (
        len(tokens) - 1 < len(tokenizer.encode(document.text))
        and tokenizer.decode(tokens[:-1]) == document.text
    )


def test_the_census_counts_what_is_there(tokenizer):
    found = census(Attempts("countdown", reflection=0.5), tokenizer, 400)
    assert found["share of writers who reflect"] == pytest.approx(0.5, abs=0.08)
    assert 0 < found["share of failed attempts followed by another"] < 1
    none = census(Attempts("countdown", reflection=0.0), tokenizer, 200)
    assert (
        none["share of failed attempts followed by another"]
        == none["share of tokens that announce another attempt"]
        == 0
    )
    assert (
        none["attempts a page"] == 1
        and none["longest trace, tokens"] < found["longest trace, tokens"]
    )


def test_a_corpus_for_each_task_and_no_reflection_where_there_are_no_attempts():
    assert isinstance(corpus_of("gsm8k-mini", seed=0), Web)
    assert corpus_of("multiplication", seed=0, reflection=0.25).reflection == 0.25
    with pytest.raises(UserError, match="has no attempts to repeat"):
        corpus_of("gsm8k-mini", seed=0, reflection=0.1)
    with pytest.raises(UserError, match="which arithmetic is not"):
        Attempts("arithmetic")


def test_the_command_shows_a_corpus_of_attempts(capsys):
    command("--task", "countdown", "--count", "200", "--reflection", "0.2")
    out = capsys.readouterr().out
    assert "share of writers who reflect" in out and "--- goes on, the longest ---" in out
    with pytest.raises(SystemExit):
        command("--reflection", "0.2")
    assert "no attempts to repeat" in capsys.readouterr().err
