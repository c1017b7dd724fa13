"""The page that watches trainings: what its server hands out, and to whom."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from minilrm import page
from minilrm.errors import UserError
from minilrm.page.watching import make_server, run_folders, sample_groups
from minilrm.runlog import RunLog


@pytest.fixture
def runs(tmp_path):
    """Two runs that have not ended, and a folder that is none."""
    for name, reward in (("one", 0.25), ("two", 0.5)):
        log = RunLog.create("grpo", "countdown", {"seed": 0}, tmp_path / "runs" / name)
        for step in range(3):
            log.log(step, {"reward": reward * step})
        log.sample(
            2,
            [
                {"key": k, "prompt": k, "completion": c, "reward": 1.0, "correct": True}
                for k, c in (("a", "4"), ("a", "<b>4</b>"), ("b", "5"))
            ],
        )
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def get(runs):
    """Asks the server; answers (code, body)."""
    server = make_server(runs, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def ask(path, host=None):
        url = f"http://127.0.0.1:{server.server_port}{path}"
        request = urllib.request.Request(url, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    yield ask
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_server_hands_out_runs_as_they_grow(get, runs):
    code, text = get("/")
    assert code == 200 and "connect-src 'self'" in text and "{{" not in text.split("<style>")[0]
    named = {run["name"]: run for run in json.loads(get("/runs")[1])}
    assert set(named) == {"one", "two"} and not named["one"]["ended"]
    assert [line["reward"] for line in json.loads(get("/metrics?run=two")[1])] == [0.0, 0.5, 1.0]
    RunLog.open(runs / "two").log(3, {"reward": 1.5})
    with open(runs / "two" / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "rew')  # a line that is just being written
    assert [line["step"] for line in json.loads(get("/metrics?run=two&after=3")[1])] == [3]
    RunLog.open(runs / "one").summary({"steps": 3})
    assert {run["name"] for run in json.loads(get("/runs")[1]) if run["ended"]} == {"one"}


def test_completions_come_in_groups(get):
    first, second = json.loads(get("/samples?run=one")[1])
    assert [c["text"] for c in first["completions"]] == ["4", "<b>4</b>"]
    assert len(second["completions"]) == 1 and sample_groups([]) == []


def test_groups_of_training_come_before_validation(get, runs):
    log = RunLog.open(runs / "one")
    for step in (5, 10):
        log.group(step, [{"prompt": "a", "completion": str(i), "reward": i} for i in range(4)])
    [group] = json.loads(get("/samples?run=one")[1])
    assert group["step"] == 10 and [c["reward"] for c in group["completions"]] == [0, 1, 2, 3]
    log.truncate_after(5)
    assert {record["step"] for record in log.groups()} == {5}


@pytest.mark.parametrize(
    "path", ["/metrics?run=notes", "/metrics?run=../runs/one", "/metrics?run=one&after=x", "/etc"]
)
def test_nothing_but_runs_is_read(get, path):
    code, text = get(path)
    assert code == 404 and "error" in json.loads(text)


def test_another_host_is_refused(get):
    assert get("/runs", host="evil.example")[0] == 403


def test_an_empty_folder_and_a_taken_port_are_one_line(runs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        page.main(["--watch", str(tmp_path / "nothing")])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.count("\n") == 1 and "there is no run" in said
    server = make_server(runs, 0)
    with pytest.raises(UserError, match="choose another with --port"):
        make_server(runs, server.server_port)
    server.server_close()


def test_a_run_itself_can_be_watched(runs):
    assert list(run_folders(runs / "one")) == ["one"]
