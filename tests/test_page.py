"""The page that runs the model: it answers as Python does, it runs in a browser, it refuses what it
cannot run.

Under node its transformer, tokenizer and judges are compared with ours; in headless Chromium the
whole page is opened from its file. Where one of them is not installed, its tests are skipped.
"""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from minilrm import page
from minilrm.checkpoint import open_model, save
from minilrm.model import SCALES, ModelConfig, Transformer
from minilrm.page import writer
from minilrm.page.packing import pack
from minilrm.page.writer import VIEWS, assemble, json_in_html, share_tokenizers, thinking_page
from minilrm.sampler.picking import Picker, uniform_noise
from minilrm.tasks import get_task
from minilrm.tasks.countdown import make_problem

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "minilrm" / "page" / "web"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
node = pytest.mark.skipif(NODE is None, reason="node is not installed")
chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

MODEL = ("page.js", "kernel.js", "judge.js", "tree.js")


def ask_node(call, each=({},), **shared):
    """What a function of tests/page_driver.js answers to each of several requests."""
    request = {"scripts": MODEL, "call": call, "each": list(each), **shared}
    done = subprocess.run(
        [NODE, str(ROOT / "tests" / "page_driver.js"), str(WEB)],
        input=json.dumps(request),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def countdown():
    return pack("countdown-base", n_problems=40)


# -- parity ----------------------------------------------------------------------------------------


@node
@pytest.mark.parametrize(
    "name, longest", [("countdown-base", 20), ("multiplication-base", 16), ("gsm8k-mini-base", 6)]
)
def test_the_page_answers_as_python_does(name, longest):
    """40 problems: the prompt's ids, each sampled token, and the logits within 1e-4. A token is
    compared behind the page's own tokens: while they agree, the two have said the same."""
    entry = pack(name, n_problems=40)
    _, model, tokenizer, info = open_model(name)
    task = get_task(info.task)
    prompts = [problem["prompt"] for problem in entry["task"]["problems"]]
    u = uniform_noise(len(prompts), longest, seed=7)
    [told] = ask_node(
        "complete",
        entry=entry,
        prompts=prompts,
        uniform=u.tolist(),
        longest=longest,
        temperature=1,
    )
    assert told["encoded"] == [task.encode_prompt(tokenizer, prompt) for prompt in prompts]
    rows = [torch.tensor(p + a) for p, a in zip(told["encoded"], told["ids"], strict=True)]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        logits = model(padded)
    for i, (prompt, ids) in enumerate(zip(told["encoded"], told["ids"], strict=True)):
        behind = logits[i, len(prompt) - 1 : len(prompt) - 1 + len(ids)]
        torch.testing.assert_close(torch.tensor(told["first"][i]), behind[0], rtol=0, atol=1e-4)
        assert Picker(1.0)(behind, u[i, : len(ids)])[0].tolist() == ids
        assert told["ended"][i] == ("eos" if ids[-1] == tokenizer.eos_id else "length")


@node
def test_greedy_and_the_end_of_the_context(countdown):
    [told] = ask_node(
        "complete",
        entry={**countdown, "config": {**countdown["config"], "max_seq_len": 40}},
        prompts=[countdown["task"]["problems"][0]["prompt"]],
        uniform=[[0.5] * 99],
        longest=99,
        temperature=0,
    )
    _, model, _, _ = open_model("countdown-base")
    with torch.no_grad():
        logits = model(torch.tensor([told["encoded"][0] + told["ids"][0]]))[0]
    start = len(told["encoded"][0]) - 1
    assert logits[start:-1].argmax(-1).tolist() == told["ids"][0]
    assert start + 1 + len(told["ids"][0]) <= 41 and told["ended"][0] in ("eos", "length")


@node
def test_text_is_cut_as_in_python(countdown):
    tokenizer = open_model("countdown-base").tokenizer
    texts = [
        "It's 12+7\r\n\r\n  ¿Cuánto?  ",
        "<think></think><answer>",
        "naïve 日本 🙂\u2028x\u0085y",
        "a" * 300,
        " \t\ufeff 'total' we'll",
        "",
        "#### 1,234.50\n\n",
        "e\u0301te\u0301",
    ]
    rng = random.Random(1)
    texts += ["".join(rng.choices("ab1 \n'.,ñ-<>#€", k=30)) for _ in range(40)]
    [told] = ask_node("encode", entry=countdown, texts=texts)
    assert [one["ids"] for one in told] == [tokenizer.encode(text) for text in texts]
    assert [one["back"] for one in told] == texts


@node
def test_answers_are_judged_as_the_task_does(countdown):
    problem = make_problem([4, 7, 25], 53)
    sums = [
        "4*7+25",
        "25+(7*4)",
        "25-(7-4)",
        "-(-25-4*7)",
        "-4*7+30",
        "2*(6/3)",
        "4**7",
        "(1",
        "25+4 *7",
        "07",
        "4*7=28",
        "53",
        "25/0",
        "7-25+4",
        "8/(3-8/3)",
        "",
        "4*(7+25)",
    ]
    texts = [f" 4*7=28, 28+25=53 ok\n<answer>{s}</answer>" for s in sums]
    texts += [
        " 25-7=18, 18+4=22 no\nwait,",
        " 4*7=28,",
        " 25+7=32,",
        " 4*7=29,",
        " 4*4=16,",
        " 25+7=32, 32+4=36 no\nwait, 7*4=28,",
        "<answer>53</answer><answer>4</answer>",
    ]
    task = get_task("countdown")
    [told] = ask_node(
        "judge", task=countdown["task"], texts=texts, problem={"numbers": [4, 7, 25], "target": 53}
    )
    for text, one in zip(texts, told, strict=True):
        assert one["right"] == task.grade(problem, text).correct, text
        assert one["key"] == task.vote_key(problem, task.read_answer(text)), text
        if "answer" not in text:
            assert one["alive"] == task.step_labels(problem, text)[-1], text


@node
def test_numbers_are_read_as_the_task_does():
    task, mark = get_task("gsm8k-mini"), {"judge": "answer", "mark": "####"}
    problem = task.question("What is 1000 + 234.5?")
    problem = type(problem)(**{**vars(problem), "answer": "1234.5"})
    said = ["1,234.50", "$1234.5", "1234.5.", "1,23", "-1234.5", "01234.50", "--1", "1e3", "", "٣"]
    texts = [f"\n#### {s}" for s in said] + ["#### 1\n#### 2", "nothing"]
    [told] = ask_node("judge", task=mark, texts=texts, problem={"answer": "1234.5"})
    for text, one in zip(texts, told, strict=True):
        assert one["right"] == task.grade(problem, text).correct, text


# -- search and rules ------------------------------------------------------------------------------


@node
def test_a_search_solves_and_keeps_its_budget(countdown):
    methods = [{"method": method, "budget": 400} for method in ("beam", "tree", "mcts")]
    poor = [{**how, "budget": 10} for how in methods]
    asked = {"problem": countdown["task"]["problems"][0], "seed": 3, "verifier": "exact"}
    told = ask_node("searchFor", methods + poor, entry=countdown, **asked)
    for solved, cut_off in zip(told[:3], told[3:], strict=True):
        assert solved["right"] is True and solved["tokens"] <= 400
        assert sum(place["state"] == "chosen" for place in solved["places"]) == 1
        assert cut_off["tokens"] == 10 and cut_off["chosen"] is None


@node
def test_the_heuristic_prunes_the_only_ways(countdown):
    """The page's ready example: 35 out of 3, 15, 7 goes through 5 or 105, and 45, 22, 21 are
    nearer."""
    prompt = get_task("countdown").render(make_problem([3, 15, 7], 35))
    problem = {"numbers": [3, 15, 7], "target": 35, "prompt": prompt}
    asked = {"entry": countdown, "problem": problem, "method": "beam", "budget": 400, "seed": 1}
    near, exact = ask_node("searchFor", [{"verifier": "distance"}, {"verifier": "exact"}], **asked)
    assert any(place["state"] == "pruned" and place["alive"] for place in near["places"])
    assert near["chosen"] is None and exact["right"] is True


@node
def test_the_word_is_banned_or_put_in(countdown):
    prompts = [problem["prompt"] for problem in countdown["task"]["problems"]]
    ways = [{"how": how} for how in ("free", "banned", "forced")]
    free, banned, forced = ask_node("ruled", ways, entry=countdown, prompts=prompts, longest=22)
    again = open_model("countdown-base").tokenizer.encode("\nwait, ")
    assert any("wait" in one["text"] for one in free) and not any(one["put"] for one in free)
    assert not any("wait" in one["text"] for one in banned)
    assert any(one["put"] for one in forced)
    for one in forced:
        assert one["put"] == (again * 9)[: len(one["put"])]
        assert " no\n<answer>" not in one["text"]


@node
def test_the_plain_loop_and_the_fast_one_agree(countdown):
    prompts = [problem["prompt"] for problem in countdown["task"]["problems"][:5]]
    uniform = uniform_noise(5, 8, seed=1).tolist()
    kinds = [{"entry": {**countdown, "plain": plain}} for plain in (False, True)]
    asked = {"prompts": prompts, "uniform": uniform, "longest": 8, "temperature": 1}
    fast, plain = ask_node("complete", kinds, **asked)
    assert fast["kernel"] and not plain["kernel"]
    assert fast["ids"] == plain["ids"]
    torch.testing.assert_close(
        torch.tensor(fast["first"]), torch.tensor(plain["first"]), rtol=0, atol=1e-4
    )


# -- in a browser ----------------------------------------------------------------------------------


def in_chromium(path, view, profile):
    """The page's document after it has run, and what it said in the console."""
    command = [
        CHROMIUM,
        "--headless=new",
        "--disable-gpu",
        "--no-sandbox",
        "--dump-dom",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=60000",
        f"{path.as_uri()}#{view}",
    ]
    done = subprocess.run(command, capture_output=True, timeout=180)
    said = [
        line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line
    ]
    return done.stdout.decode("utf-8"), said


@chromium
def test_the_page_runs_in_a_browser(countdown, tmp_path, monkeypatch):
    """From its file, under its policy: no error in the console, a chain written and forked, two
    models compared, a tree drawn."""
    clicks = (ROOT / "tests" / "page_clicks.js").read_text(encoding="utf-8")
    own = writer.read
    monkeypatch.setattr(writer, "read", lambda name: clicks if name == "clicks.js" else own(name))
    data = {"models": share_tokenizers([{**countdown, "label": label} for label in ("A", "B")])}
    path = tmp_path / "page.html"
    path.write_bytes(assemble("page.html", "page.css", (*VIEWS, "clicks.js"), data))
    document, said = in_chromium(path, "think", tmp_path / "profile")
    assert not said and 'data-clicked="all"' in document
    chain = re.search(r'class="trace"[^>]*data-done="eos"[^>]*>(.*?)</div>', document, re.DOTALL)
    tokens = re.findall(r'<span class="token"', chain[1])
    assert len(tokens) > 20 and "&lt;answer&gt;" in chain[1]
    assert len(re.findall(r'class="way"', document)) == 8  # the alternatives at one place
    assert "at token 9, " in document and document.count('data-put="in"') >= 1
    rows = re.findall(r"<tr><th>[AB]</th><td>(\d+)</td><td>([\d.]+)</td>", document)
    assert rows[0] == rows[1] and int(rows[0][0]) > 5  # one model under two names

    path.write_bytes(thinking_page([countdown]))
    document, said = in_chromium(path, "search", tmp_path / "profile")
    assert not said
    places = int(re.search(r'class="tree"[^>]*data-done="(\d+)"', document)[1])
    # the start has a place of its own in the count and in the picture
    assert len(re.findall(r'<g class="place ', document)) == places > 8


# -- the file, and what is refused -----------------------------------------------------------------


def test_the_page_is_one_file_that_lets_nothing_else_in(countdown):
    text = thinking_page([countdown, countdown]).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    assert policy.count("sha256-") == text.count("<script>") + text.count("<style>")
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:http|//)', text)
    code = "".join(path.read_text(encoding="utf-8") for path in WEB.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["models"]["shared"]) == 2  # tokenizer and task, once for both


def test_a_text_cannot_leave_the_data():
    hostile = {"question": "</script><script>alert(1)</script><!--"}
    page_ = assemble("page.html", "page.css", (), hostile).decode()
    assert page_.count("</script>") == 1 and "alert(1)" in page_
    assert json.loads(json_in_html(hostile)) == hostile


def test_the_scripts_can_be_read():
    for path in WEB.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 400, path.name
        assert not [line for line in lines if len(line) > 100], path.name


@pytest.fixture
def refused(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            page.main([str(word) for word in words])
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and said.count("\n") == 1 and said.startswith("error: ")
        return said

    return run


def test_what_the_page_cannot_run_is_one_line(refused, tmp_path, monkeypatch):
    out, small = ("--out", tmp_path / "page.html"), SCALES["pico"]
    tokenizer = open_model("countdown-base").tokenizer
    for name, config, words in (
        ("no-norm", ModelConfig(**{**vars(small), "qk_norm": False}), "another architecture (qk_"),
        ("no-task", small, "does not say what it is for"),
    ):
        save(tmp_path / name, Transformer(config), tokenizer)
        assert words in refused(*out, "--checkpoint", tmp_path / name)
    monkeypatch.setattr(page.packing, "ForeignTokenizer", type(tokenizer))
    assert "tokenizer of another project" in refused(*out, "--checkpoint", "countdown-base")
    monkeypatch.undo()
    assert "--out" in refused() and "--watch" in refused(*out, "--watch", tmp_path)
    assert "no checkpoint" in refused(*out, "--checkpoint", "nothing-base")
    assert "reads a file" in refused(*out, "--checkpoint", "countdown-base", "--task", "gsm8k")
    assert "as many labels" in refused(*out, "--label", "one", "--checkpoint", "a", "b")
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_a_page(tmp_path, capsys):
    out = tmp_path / "page.html"
    page.main(
        [
            "--out",
            str(out),
            "--checkpoint",
            "countdown-base",
            "--checkpoint",
            "multiplication-base",
            "--problems",
            "3",
        ]
    )
    assert re.search(r"page.html: [0-9.]+ MB", capsys.readouterr().out)
    assert out.stat().st_size < 3_500_000
    assert all(name in out.read_text() for name in ("countdown-base", "multiplication-base"))
