"""The parts of a page -> one HTML file.

Everything stands inside it: a browser that opens a file by its path may load nothing else. The
page's content security policy names the hash of each script and of the style, and allows nothing
beyond them: no other script, no connection, no picture from elsewhere. So even a mistake in the
page could not turn what a model wrote into something that runs.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

VIEWS = (
    "page.js",
    "kernel.js",
    "judge.js",
    "tree.js",
    "shell.js",
    "think.js",
    "chains.js",
    "search.js",
    "compare.js",
    "start.js",
)


def thinking_page(models: Sequence[dict[str, Any]]) -> bytes:
    """The page that runs these models (of `packing.pack`)."""
    return assemble("page.html", "page.css", VIEWS, {"models": share_tokenizers(models)})


def watching_page() -> bytes:
    """The page that `--watch` serves; it fetches its data from the server that it came from."""
    return assemble(
        "watch.html", "page.css", ("shell.js", "curves.js", "watch.js"), {}, connect=True
    )


def share_tokenizers(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The models, with what several of them have in common written down once."""
    shared: list[Any] = []
    entries = []
    for model in models:
        entry = dict(model)
        for part in ("tokenizer", "task"):
            if entry[part] not in shared:
                shared.append(entry[part])
            entry[part] = shared.index(entry[part])
        entries.append(entry)
    return {"shared": shared, "entries": entries}


def assemble(
    template: str, style: str, scripts: Sequence[str], data: dict[str, Any], connect: bool = False
) -> bytes:
    """The template with style, data and scripts in it, and the policy that admits them alone."""
    sources = [read(name) for name in scripts]
    css = read(style)
    policy = [
        "default-src 'none'",
        # wasm-unsafe-eval: WebAssembly may be compiled (kernel.js); JavaScript out of texts may not
        "script-src 'wasm-unsafe-eval' " + " ".join(map(hash_source, sources)),
        f"style-src {hash_source(css)}",
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if connect else []),
    ]
    parts = {
        "policy": "; ".join(policy),
        "style": css,
        "data": json_in_html(data),
        "scripts": "\n".join(f"<script>{source}</script>" for source in sources),
    }
    page = read(template)
    for name, text in parts.items():
        page = page.replace("{{" + name + "}}", text, 1)
    return page.encode("utf-8")


def hash_source(text: str) -> str:
    """How a policy names a script or a style that stands inside the page (CSP level 2).

    >>> hash_source("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def json_in_html(data: Any) -> str:
    """JSON that no text inside it can end early: `</script>` and `<!--` lose their bracket.

    >>> json_in_html({"a": "</script>"})
    '{"a":"\\\\u003c/script>"}'
    """
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def read(name: str) -> str:
    """A part of the page that lies beside this file. Line ends are the same on every system: the
    browser hashes what it reads."""
    text = files("minilrm.page").joinpath("web", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")
