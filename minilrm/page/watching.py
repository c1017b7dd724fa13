"""Watch a training: a small server on this machine that hands its run folders to a browser.

    GET /                                   the page
    GET /runs                               which runs there are, newest first
    GET /metrics?run=NAME&after=N           the lines of metrics.jsonl from line N on
    GET /samples?run=NAME                   the last completions, in groups of one problem: those of
                                            training where it learns from groups, else of validation

It listens on 127.0.0.1 alone, answers no request that was meant for another host (so that no page
of the web can read it through a name of its own), reads nothing but run folders, and writes
nothing.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from minilrm.errors import UserError
from minilrm.page.writer import watching_page
from minilrm.runlog import RunLog

HOST = "127.0.0.1"
GROUPS, LINES = 6, 16  # groups of one problem that are shown, and completions of each


def watch(folder: Path, port: int) -> None:
    """Serve the runs in a folder until Ctrl-C. UserError if it holds none, or the port is taken."""
    server = make_server(folder, port)
    print(f"watching {folder}: open http://{HOST}:{server.server_port}/ (Ctrl-C ends it)")
    sys.stdout.flush()
    with server:
        server.serve_forever()


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """The server, not yet serving; port 0 takes a free one."""
    if not run_folders(folder):
        raise UserError(
            f"there is no run in {folder}: start one, as with `python -m minilrm.grpo`, or name "
            "the folder that holds your runs"
        )
    page = watching_page()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Host") not in hosts(server.server_port):
                self.answer(403, b"this server is for this machine alone", "text/plain")
                return
            url = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
            if url.path == "/":
                self.answer(200, page, "text/html; charset=utf-8")
                return
            try:
                found = json.dumps(look_up(folder, url.path, asked)).encode()
                self.answer(200, found, "application/json")
            except (UserError, ValueError) as error:
                self.answer(404, json.dumps({"error": str(error)}).encode(), "application/json")

        def answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged: the page asks every few seconds."""

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise UserError(
            f"port {port} cannot be used ({(error.strerror or str(error)).lower()}); choose "
            "another with --port, or 0 for a free one"
        ) from error
    return server


def hosts(port: int) -> tuple[str, str]:
    """What a browser on this machine calls the server."""
    return f"{HOST}:{port}", f"localhost:{port}"


# -- what is served --------------------------------------------------------------------------------


def run_folders(folder: Path) -> dict[str, Path]:
    """name -> folder of each run: the folders with a config.json in `folder`, newest first; or
    `folder` itself, if it is one."""
    if (folder / "config.json").is_file():
        return {folder.resolve().name: folder}
    found = [path.parent for path in folder.glob("*/config.json")] if folder.is_dir() else []
    return {path.name: path for path in sorted(found, key=last_change, reverse=True)}


def last_change(folder: Path) -> float:
    """When the run last logged something; 0 for one that is just being removed."""
    for name in ("metrics.jsonl", "config.json"):
        try:
            return (folder / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def look_up(folder: Path, path: str, asked: dict[str, str]) -> Any:
    """What a request is answered with. UserError or ValueError for what is not there."""
    runs = run_folders(folder)
    if path == "/runs":
        return [describe(name, place) for name, place in runs.items()]
    name = asked.get("run", "")
    if path not in ("/metrics", "/samples") or name not in runs:
        raise UserError("there is nothing here")
    log = RunLog.open(runs[name])
    return (
        log.metrics()[int(asked.get("after", 0)) :]
        if path == "/metrics"
        else sample_groups(log.groups() or log.samples())
    )


def describe(name: str, folder: Path) -> dict[str, Any]:
    """A run in a line. One whose config.json cannot be read has its name alone."""
    try:
        config = RunLog.open(folder).config
    except UserError:
        config = {}
    return {
        "name": name,
        "command": config.get("command"),
        "task": config.get("task"),
        "ended": (folder / "summary.json").is_file(),
    }


def sample_groups(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The completions of the last step that has any, those of one problem together.

    >>> sample_groups([{"step": 1, "prompt": "2+2?", "completion": " 4", "reward": 1}])
    [{'prompt': '2+2?', 'step': 1, 'completions': [{'text': ' 4', 'reward': 1, 'correct': None}]}]
    """
    last = [sample for sample in samples if sample.get("step") == samples[-1].get("step")]
    groups: dict[str, dict[str, Any]] = {}
    for sample in last:
        prompt = str(sample.get("prompt"))
        group = groups.setdefault(
            prompt, {"prompt": prompt, "step": sample.get("step"), "completions": []}
        )
        told = {"reward": sample.get("reward"), "correct": sample.get("correct")}
        group["completions"].append({"text": sample.get("completion"), **told})
    largest = sorted(groups.values(), key=lambda group: -len(group["completions"]))[:GROUPS]
    return [{**group, "completions": group["completions"][:LINES]} for group in largest]
