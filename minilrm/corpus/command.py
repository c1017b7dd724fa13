"""`python -m minilrm.corpus`: print the mix of a corpus with samples, or write its documents to a
file."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from minilrm import machine
from minilrm.corpus.attempts import REFLECTION, Attempts, census
from minilrm.corpus.choose import corpus_of
from minilrm.corpus.documents import Corpus
from minilrm.corpus.parts import Parts
from minilrm.corpus.planned import tokenizer_texts
from minilrm.corpus.solved import Solved
from minilrm.corpus.web import Web
from minilrm.files import refuse_to_overwrite, user_errors
from minilrm.options import option
from minilrm.tasks import TASKS
from minilrm.tokenizer import Tokenizer


@dataclass
class Options:
    """Print the mix of a base corpus with a sample of each kind, or write documents to a file."""

    task: str = option("gsm8k-mini", "whose base reads it", choices=TASKS)
    seed: int = option(0, "seed of the documents")
    spanish: float | None = option(
        None,
        "share of Spanish, for word problems; the task's own if not given",
        minimum=0.0,
        maximum=1.0,
    )
    reflection: float | None = option(
        None,
        "share of writers who go on after a failed attempt, for tasks with attempts "
        f"(default {REFLECTION})",
        minimum=0.0,
        maximum=1.0,
    )
    split: str = option(
        "train", "split that the problems come from", choices=("train", "validation")
    )
    count: int = option(2000, "documents to make for the table", minimum=1)
    out: Path | None = option(None, "write the documents here, one JSON object a line")
    tokenizer: Path | None = option(
        None, "train the project's tokenizer on its sample texts and save it in this folder"
    )


def run(options: Options) -> None:
    refuse_to_overwrite(options.out)
    if options.tokenizer:
        with user_errors("make the folder", options.tokenizer):
            options.tokenizer.mkdir(parents=True, exist_ok=True)
        refuse_to_overwrite(options.tokenizer / "tokenizer.json", "--tokenizer")
        tokenizer = Tokenizer.train(tokenizer_texts(options.seed), vocab_size=1024)
        tokenizer.save(options.tokenizer)
        print(
            f"tokenizer of {len(tokenizer)} tokens, fingerprint {tokenizer.fingerprint()[:12]}, "
            f"in {options.tokenizer}"
        )
        return
    corpus = corpus_of(
        options.task,
        seed=options.seed,
        split=options.split,
        spanish=options.spanish,
        reflection=options.reflection,
    )
    if options.out:
        write(corpus, options.count, options.out)
    elif isinstance(corpus, Attempts):
        show_attempts(corpus, options.count)
    elif isinstance(corpus, Parts):
        print("the documents of " + ", ".join(corpus.corpora) + "; one of each:")
        for part, its_corpus in corpus.corpora.items():
            print(f"\n--- {part} ---\n{its_corpus.document(0).text}")
    elif isinstance(corpus, Web | Solved):
        show_mix(corpus, options.count)


def write(corpus: Corpus, count: int, out: Path) -> None:
    with user_errors("write", out), open(out, "x", encoding="utf-8") as file:
        for document in map(corpus.document, range(count)):
            file.write(
                json.dumps({"kind": document.kind, "text": document.text}, ensure_ascii=False)
                + "\n"
            )
    print(f"{count} documents written to {out}")


def show_mix(corpus: Web | Solved, count: int) -> None:
    """The share of each kind, as wanted and as found, and one sample of each."""
    documents = [corpus.document(i) for i in range(count)]
    characters: Counter[str] = Counter()
    for document in documents:
        characters[document.kind] += len(document.text)
    counts = Counter(document.kind for document in documents)
    print(f"{'kind':12} {'share':>6} {'found':>6} {'chars':>6}  what it is")
    for kind, (share, what) in corpus.mix.items():
        found, written = counts[kind] / count, characters[kind] / characters.total()
        print(f"{kind:12} {share:6.1%} {found:6.1%} {written:6.1%}  {what}")
    for kind in corpus.mix:
        print(f"\n--- {kind} ---\n{corpus.document(0, kind).text}")


def show_attempts(corpus: Attempts, count: int) -> None:
    """How much reflection there is, a few pages, and the longest page of those who go on."""
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    for what, value in census(corpus, tokenizer, count).items():
        print(f"{what:48} {value:8.1%}" if what.startswith("share") else f"{what:48} {value:8.6g}")
    pages = [corpus.document(i) for i in range(count)]
    for kind in dict.fromkeys(page.kind for page in pages):
        some = [page.text for page in pages if page.kind == kind]
        print(f"\n--- {kind} ---\n{some[0]}\n\n--- {kind}, the longest ---\n{max(some, key=len)}")
