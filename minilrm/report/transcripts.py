"""What the model wrote, for the same problems before and after."""

from __future__ import annotations

from collections.abc import Sequence

from minilrm.report.panels import is_number
from minilrm.report.words import escape


def choose_problems(
    samples: list[dict], most: int = 6
) -> tuple[list[tuple[dict, dict]], dict[str, int]]:
    """(before, after) of up to `most` problems sampled at the first and at the last evaluation, and
    a count of all.

    Chosen to teach, not to represent: mostly wrong → right, but one that stays wrong and one that
    was spoiled if there are any, so that nobody takes the choice for the whole. Hence the counts.
    """
    evals = [
        sample
        for sample in samples
        if sample.get("event") == "eval"
        and is_number(sample.get("step"))
        and sample.get("correct") is not None
    ]
    ends = sorted({sample["step"] for sample in evals})
    if len(ends) < 2:
        return [], {}
    # Of several samples of a problem the first counts: reversed, the first is written last.
    first, last = (
        {str(sample.get("key")): sample for sample in reversed(evals) if sample["step"] == step}
        for step in (ends[0], ends[-1])
    )
    names = ("wrong → right", "stays wrong", "right → wrong", "stays right")
    kinds: dict[str, list[tuple[dict, dict]]] = {kind: [] for kind in names}
    for key in reversed(first):
        if key in last:
            kinds[change(first[key], last[key])].append((first[key], last[key]))
    fixed, wrong, spoiled, right = kinds.values()
    sobering = wrong[:1] + spoiled[:1]
    chosen = fixed[: most - len(sobering)] + sobering
    chosen += (wrong[1:] + right + spoiled[1:])[: most - len(chosen)]
    return chosen, {kind: len(pairs) for kind, pairs in kinds.items()}


def change(before: dict, after: dict) -> str:
    was, now = ("right" if sample.get("correct") else "wrong" for sample in (before, after))
    return f"stays {now}" if was == now else f"{was} → {now}"


def render_transcripts(samples: list[dict]) -> str:
    """Problems in cards, before and after side by side; without two evaluations, the last that were
    written."""
    chosen, counts = choose_problems(samples)
    told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    intro = (
        f"<p>Of the {sum(counts.values()):,} problems sampled at the first and at the last "
        f"evaluation: {told}. Those shown were picked to be instructive.</p>"
    )
    last: list[tuple[dict, ...]] = [(sample,) for sample in samples[-3:]]
    cards: Sequence[tuple[dict, ...]] = chosen or last
    shown = "\n".join(render_card(number, card) for number, card in enumerate(cards, start=1))
    return intro + shown if chosen else shown


def render_card(number: int, versions: tuple[dict, ...]) -> str:
    """A problem, its right answer, and one column for each version of what the model wrote."""
    kind = f" · {change(*versions)}" if len(versions) == 2 else ""
    columns = "".join(render_version(version) for version in versions)
    prompt, answer = (escape(versions[-1].get(key)).strip() for key in ("prompt", "answer"))
    return (
        f"<article><h3>Problem {number}{kind}</h3><pre>{prompt}</pre>"
        f"<p>Right answer: <b>{answer or '–'}</b></p><div class=pair>{columns}</div></article>"
    )


def render_version(sample: dict) -> str:
    pieces = sample.get("pieces")
    # A trace is short enough to be shown whole, its attempts and second thoughts marked.
    if isinstance(pieces, list) and pieces:
        return (
            f"<div><h4>Step {escape(sample.get('step'))}</h4><pre>{render_pieces(pieces)}</pre>"
            f"<b>{right_or_wrong(sample)}</b></div>"
        )
    mark = str(sample.get("mark", "####"))  # the loops write down what announces an answer
    thinking, answer = split_answer(str(sample.get("completion") or ""), mark)
    words = len(thinking.split())
    folded = "<p class=none>no thinking</p>"
    if words:
        summary = f"<summary>thinking: {words} words</summary>"
        folded = f"<details>{summary}<pre>{escape(thinking)}</pre></details>"
    return (
        f"<div><h4>Step {escape(sample.get('step'))}</h4>{folded}"
        f"<pre class=answer>{escape(answer) or '(no answer)'}</pre>"
        f"<b>{right_or_wrong(sample)}</b></div>"
    )


def right_or_wrong(sample: dict) -> str:
    return {None: "", True: "✓ right", False: "✗ wrong"}[
        None if (ok := sample.get("correct")) is None else bool(ok)
    ]


def render_pieces(pieces: list) -> str:
    """A trace with its reflections highlighted and each attempt marked by what it is, not by what
    its writer says."""
    signs = {
        "attempt-right": "<i class=right>{}</i> ✓",
        "attempt-wrong": "<i class=wrong>{}</i> ✗",
        "reflection": "<mark>{}</mark>",
        "answer": "<b>{}</b>",
    }
    known = (piece for piece in pieces if isinstance(piece, (list, tuple)) and len(piece) == 2)
    return "".join(signs.get(str(kind), "{}").format(escape(text)) for text, kind in known).strip()


def split_answer(completion: str, mark: str) -> tuple[str, str]:
    """Thinking and answer: the answer begins with the last line that opens with the mark, or is the
    last line at all if there is no such line. Without a mark (""), all is answer.

    >>> split_answer("3*4=12\\n#### 12", "####")
    ('3*4=12', '#### 12')
    """
    if not mark:
        return "", completion.strip()
    lines = completion.strip().split("\n")
    cut = max(
        (i for i, line in enumerate(lines) if line.lstrip().startswith(mark)),
        default=len(lines) - 1,
    )
    return "\n".join(lines[:cut]).strip(), "\n".join(lines[cut:]).strip()
