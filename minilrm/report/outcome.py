"""What came out of a run, in words: what changed, how sure that is, and what it cost."""

from __future__ import annotations

from minilrm.report.panels import interval, is_number, points
from minilrm.report.words import duration, escape, last_step, percent

FEWEST = 20  # problems: of fewer no rate is told


def outcome(summary: dict, metrics: list[dict]) -> str:
    """One paragraph: what changed, how sure that is, and what it cost."""
    ended = (
        ""
        if summary
        else (
            "<b>This run has not ended</b>: it was interrupted, or is still going. "
            f"What follows is as of step {last_step(metrics):,}. "
        )
    )
    facts = summary or facts_so_far(metrics)
    return ended + " ".join(
        accuracy_sentences(facts)
        + loss_sentences(metrics)
        + dropped_sentences(facts)
        + cost_sentences(facts)
    )


def facts_so_far(metrics: list[dict]) -> dict:
    """What a summary would say about accuracy, out of the first and the last evaluation."""
    evals = [line for line in metrics if line.get("event") == "eval"]
    if len(evals) < 2:
        return {}
    facts = {"eval_n": evals[-1].get("n")}
    for when, line in (("before", evals[0]), ("after", evals[-1])):
        facts |= {
            f"accuracy_{when}": line.get("accuracy"),
            f"accuracy_{when}_ci": line.get("accuracy_ci"),
            f"greedy_{when}": line.get("greedy"),
            f"length_{when}": line.get("mean_length"),
        }
    return facts


def accuracy_sentences(facts: dict) -> list[str]:
    before, after, n = (facts.get(name) for name in ("accuracy_before", "accuracy_after", "eval_n"))
    if not is_number(before) or not is_number(after):
        return []
    if is_number(n) and n < FEWEST:
        return [f"Accuracy was measured on too few problems for a rate (n = {n:,})."]
    first, last = (interval(facts.get(f"accuracy_{when}_ci")) for when in ("before", "after"))
    asked = f" on {n:,} problems" if is_number(n) else ""
    said = [
        f"Sampled accuracy{asked} went from {percent(before, first)} to {percent(after, last)}."
    ]
    if first and last and first[1] >= last[0] and last[1] >= first[0]:
        said.append(
            "The two intervals overlap: this run alone does not settle whether accuracy changed."
        )
    for name, words, unit in (
        ("greedy", "Greedy decoding", percent),
        ("length", "Tokens per completion", "{:.1f}".format),
    ):
        start, end = facts.get(f"{name}_before"), facts.get(f"{name}_after")
        if is_number(start) and is_number(end):
            said.append(f"{words}: {unit(start)} before, {unit(end)} after.")
    return said


def loss_sentences(metrics: list[dict]) -> list[str]:
    """For runs whose loss means something. A policy gradient's does not: it hovers around zero
    however well it goes."""
    losses = {
        "Training loss": points(metrics, "loss", "train"),
        "Held-out loss": points(metrics, "val_loss"),
    }
    losses = (
        {} if points(metrics, "reward") else {name: line for name, line in losses.items() if line}
    )
    return [
        f"{name}: {line[0][1]:.3f} at first, <b>{line[-1][1]:.3f}</b> at last."
        for name, line in losses.items()
    ]


def dropped_sentences(facts: dict) -> list[str]:
    """For runs that had to leave out what did not fit into the context."""
    dropped, drawn = facts.get("examples_dropped"), facts.get("examples_drawn")
    if not is_number(dropped) or not is_number(drawn) or not dropped:
        return []
    return [
        f"{dropped:,} of {drawn:,} solved problems were too long for the model's context and were "
        "left out."
    ]


def cost_sentences(facts: dict) -> list[str]:
    if not is_number(facts.get("seconds")):
        return []
    device = f" on {escape(facts['device'])}" if facts.get("device") else ""
    tokens = [
        f"{facts[key]:,} tokens {done}"
        for key, done in (("tokens_generated", "generated"), ("tokens_trained", "trained on"))
        if is_number(facts.get(key))
    ]
    return [
        f"It took {duration(facts['seconds'])}{device}{': ' if tokens else ''}{', '.join(tokens)}."
    ]
