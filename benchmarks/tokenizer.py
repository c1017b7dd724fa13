"""Training a byte-pair tokenizer: minilrm's beside rustbpe, Hugging Face's tokenizers, and a plain
Python trainer.

All cut the same text into words with the same pattern (`minilrm.tokenizer.PATTERN`) and learn as
many merges. Two texts:

    library   4 MB of Python's own standard library, source files in the order of their names:
              enough different words for 4,096 merges, and the same on every machine with the same
              Python
    corpus    4 MB of what minilrm's tokenizer learns from. It holds but 1,600 different words, and
              after about 2,600 merges no pair occurs twice: where minilrm stops. The others are
              asked for as many merges

Are they the same merges? BPE takes the most frequent pair; where two are equally frequent, a rule
of the trainer's own decides, and everything after may differ. minilrm's own tokenizers take the
pair whose bytes come first, rustbpe the one whose token numbers do (an older token before a newer
one). Here minilrm learns by rustbpe's rule (`train_bpe(ties="age")`), so that both do the same
work; `equal_to_plain` says whether a trainer's merges are exactly those of the plain trainer below,
which can be read: rustbpe's and ours by rustbpe's rule, and ours once more by its own
(`ours_by_bytes`).

    python -m benchmarks.tokenizer
    python -m benchmarks.tokenizer --text FILE       another text
"""

import contextlib
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import regex

from benchmarks import common
from benchmarks.sides import Link, Worker
from minilrm import corpus, machine
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.options import option
from minilrm.tokenizer import BYTE_TO_CHAR, PATTERN, SPECIALS, from_chars, train_bpe


@dataclass
class Options(common.Options):
    """Seconds to train a byte-pair tokenizer, against rustbpe and tokenizers."""

    text: Path | None = option(
        None, "a text file to learn from, in place of the library and the corpus"
    )
    megabytes: float = option(4.0, "how much text", exclusive_minimum=0)
    merges: int = option(4096, "how many merges to learn", minimum=1)
    plain: bool = option(True, "run the plain Python trainer too (once)")


# -- texts -----------------------------------------------------------------------------------------


def library_texts() -> Iterator[str]:
    """Python's standard library, file by file, without its tests and without what was installed
    into it."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if not {"test", "tests", "idle_test", "lib2to3", "site-packages", "dist-packages"} & set(
            path.relative_to(root).parts
        ):
            yield path.read_text(encoding="utf-8", errors="replace")


def first_bytes(texts: Iterator[str], size: int) -> list[str]:
    """Texts until `size` bytes are full; the last is cut. Special tokens' names are broken up:
    peers know none of them."""
    taken: list[str] = []
    for text in texts:
        for name in SPECIALS:
            text = text.replace(name, name[0] + " " + name[1:])
        data = text.encode("utf-8", "replace")[:size]
        taken.append(data.decode("utf-8", "ignore"))
        size -= len(data)
        if size <= 0:
            return taken
    return taken


def texts_of(name: str, path: Path | None, size: int) -> list[str]:
    """One of the two texts, or a file's."""
    if path is not None:
        try:
            return first_bytes(iter([path.read_text(encoding="utf-8", errors="replace")]), size)
        except OSError as error:
            raise UserError(
                f"cannot read {path}: {error.strerror}; choose another --text"
            ) from error
    return first_bytes(library_texts() if name == "library" else corpus.tokenizer_texts(), size)


# -- trainers: texts -> tokens in the order in which they were learnt ------------------------------


def train_ours(texts: list[str], merges: int, ties: str = "age") -> list[bytes]:
    return [
        left + right for left, right in train_bpe(texts, len(SPECIALS) + 256 + merges, ties=ties)
    ]


def train_rustbpe(texts: list[str], merges: int) -> list[bytes]:
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(texts), vocab_size=256 + merges, pattern=PATTERN)
    ranks = sorted(tokenizer.get_mergeable_ranks(), key=lambda entry: entry[1])
    return [bytes(token) for token, _ in ranks[256:]]


def train_tokenizers(texts: list[str], merges: int) -> list[bytes]:
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Theirs

    tokenizer = Theirs(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges, initial_alphabet=list(BYTE_TO_CHAR.values()), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return [from_chars(chars) for chars, _ in vocabulary[256:]]


TRAINERS = {"ours": train_ours, "rustbpe": train_rustbpe, "tokenizers": train_tokenizers}


def train_plain(texts: list[str], merges: int, ties: str = "bytes") -> list[bytes]:
    """The textbook's loop, to read and to check the others by: find the most frequent pair, merge
    it, count anew.

    Counting anew is done for the words that held the pair. ties: of pairs that are equally
    frequent, take the one whose bytes come first ("bytes"), or the one of the older tokens
    ("numbers").

    >>> train_plain(["low"] * 5 + ["lot"] * 3 + ["now"] * 2, merges=2)
    [b'lo', b'low']
    """
    counted = Counter(word for text in texts for word in regex.findall(PATTERN, text))
    words, times = [list(word.encode()) for word in counted], list(counted.values())
    tokens = [bytes([byte]) for byte in range(256)]
    counts: Counter = Counter()
    holders = defaultdict(set)
    for i, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += times[i]
            holders[pair].add(i)
    while len(tokens) < 256 + merges and counts:
        most = max(counts.values())
        if most < 2:
            break
        equals = [pair for pair, count in counts.items() if count == most]
        best = min(
            equals,
            key=(lambda pair: (tokens[pair[0]], tokens[pair[1]])) if ties == "bytes" else None,
        )
        tokens.append(tokens[best[0]] + tokens[best[1]])
        for i in holders.pop(best):
            before, after = words[i], joined(words[i], best, len(tokens) - 1)
            words[i] = after
            for pair in pairwise(before):
                counts[pair] -= times[i]
                if not counts[pair]:  # keeps the search for the most frequent short
                    del counts[pair]
            for pair in pairwise(after):
                counts[pair] += times[i]
                holders[pair].add(i)
        counts.pop(best, None)
    return tokens[256:]


def joined(word: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """The word with the pair replaced by the new token, from left to right.

    >>> joined([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    out: list[int] = []
    i = 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


# -- measuring -------------------------------------------------------------------------------------


def trainer(link: Link, side: str, texts: list[str], merges: int) -> None:
    """A worker: one of the trainers."""
    while True:
        link.next()
        started = time.perf_counter()
        tokens = TRAINERS[side](texts, merges)
        link.answer(
            seconds=time.perf_counter() - started, work=1, learnt=len(tokens), learnt_tokens=tokens
        )


def plain_trainer(link: Link, texts: list[str], merges: int) -> None:
    """A worker: the plain trainer, with both tie rules."""
    link.next()
    started = time.perf_counter()
    by_bytes = train_plain(texts, merges, "bytes")
    seconds = time.perf_counter() - started
    link.answer(
        seconds=seconds, work=1, bytes=by_bytes, numbers=train_plain(texts, merges, "numbers")
    )


def agreement(a: list[bytes], b: list[bytes]) -> dict:
    """How two lists of learnt tokens compare: the same list, where they part, and how many tokens
    they share.

    >>> agreement([b"lo", b"low", b"no"], [b"lo", b"no", b"ow"])
    {'equal': False, 'first_difference': 1, 'shared': 2, 'of': 3}
    """
    parting = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    return {
        "equal": a == b,
        "first_difference": None if a == b else parting,
        "shared": len(set(a) & set(b)),
        "of": max(len(a), len(b)),
    }


def measure(name: str, options: Options, threads: int, peak: float) -> dict:
    """One text: all trainers in turn, and whether they learn the same."""
    size = 50_000 if options.quick else int(options.megabytes * 1e6)
    texts = texts_of(name, options.text, size)
    merges = 200 if options.quick else options.merges
    merges = len(train_ours(texts, merges)) if name == "corpus" else merges  # it may hold fewer
    sides = [side for side in TRAINERS if side == "ours" or options.peer]
    with contextlib.ExitStack() as stack:
        workers = {
            side: stack.enter_context(
                Worker(trainer, threads=threads, side=side, texts=texts, merges=merges)
            )
            for side in sides
        }
        rounds = common.alternate(workers, options.pairs)
    learnt = {side: [pair[side].pop("learnt_tokens") for pair in rounds][-1] for side in sides}
    case = {
        "name": f"{name}, {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB, {merges} merges",
        "text": name,
        "bytes": sum(len(t.encode()) for t in texts),
        "merges": merges,
    }
    if options.peer:
        case |= common.compare(rounds, peak, peer="rustbpe")
        case["ratio_tokenizers"] = common.spread(
            [common.rate(p["ours"]) / common.rate(p["tokenizers"]) for p in rounds]
        )
    else:
        case |= common.compare(rounds, peak)
    case["same_as_ours"] = {
        side: agreement(learnt["ours"], learnt[side]) for side in sides if side != "ours"
    }
    if options.plain:
        with Worker(plain_trainer, threads=threads, texts=texts, merges=merges) as worker:
            found = worker()
        case["plain_seconds"] = found["seconds"]
        case["equal_to_plain"] = {
            side: learnt[side] == found["numbers"] for side in sides if side != "tokenizers"
        }
        case["equal_to_plain"]["ours_by_bytes"] = (
            train_ours(texts, merges, "bytes") == found["bytes"]
        )
    return case


def say_agreement(case: dict) -> None:
    """The merges in words."""
    for side, a in case["same_as_ours"].items():
        parting = "the same merges in the same order"
        if not a["equal"]:
            shared = f"{a['shared']} of {a['of']} tokens the same"
            parting = f"{shared}; the lists part at merge {a['first_difference']}"
        print(f"  {side:<10} against ours: {parting}")
    if "plain_seconds" in case:
        proofs = ", ".join(
            f"{side} {'yes' if same else 'NO'}" for side, same in case["equal_to_plain"].items()
        )
        print(
            f"  plain      {case['plain_seconds']:.3g} s (one run); exactly its merges, each with "
            f"its own tie rule: {proofs}",
            flush=True,
        )


def run(options: Options) -> Path:
    """All texts; writes the report."""
    if options.peer:
        common.require("rustbpe", "tokenizers")
    threads = options.threads or machine.default_threads()
    report = common.new_report("tokenizer", options, [threads])
    for name in [options.text.name] if options.text else ["library", "corpus"]:
        case = measure(name, options, threads, common.peak(report, threads))
        report["cases"].append(case)
        common.say(f"{case['name']} (ratio: ours against rustbpe; above 1 ours is faster)", case)
        say_agreement(case)
    return common.write(report, options)


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.tokenizer", description=Options.__doc__)
