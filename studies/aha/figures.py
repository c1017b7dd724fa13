"""The aha moment's figures, drawn from the finished parts in data/results/aha.jsonl by code: no
number is typed by hand.

    python -m studies.aha.figures --into lectures/17_aha_moment/README.md README.md

It reads what `python -m studies.aha` and `python -m studies.aha.baselines` have written, for
`countdown` and `multiplication`, and writes

    data/results/aha.json              every number: each seed with its count and interval, then
                                       mean, least and greatest
    data/results/aha.md                the block of the lecture, and all measures seed by seed
    data/results/aha-tokens.png        accuracy against tokens, and pass@k
    data/results/aha.png               accuracy, first try, retry rate and length, arm by arm
    data/results/aha-pretraining.png   retry data in pretraining, before any reinforcement learning
    each FILE                          what stands between <!-- figures:aha --> and
                                       <!-- /figures:aha -->; in a file with the markers
                                       figures:aha-short, a table of a few lines

The same results give the same files. What has not been measured is said so. A claim holds only if
it holds in every one of at least three seeds; accuracies of two models are compared problem by
problem (paired bootstrap).
"""

from pathlib import Path

from minilrm import files
from studies import common, markdown
from studies.aha import rivals
from studies.aha.claims import rival_claims
from studies.aha.numbers import read_results, summarise
from studies.aha.plots import draw_arms, draw_pretraining
from studies.aha.plots_tokens import draw_tokens
from studies.aha.study import ARMS, TASKS
from studies.aha.text import block, headline, page


def fill(text: str, summary: dict) -> str:
    """The page with the table of a few lines, if it has a place for it, or else with the block."""
    if "<!-- figures:aha-short -->" in text:
        return markdown.put(text, "figures:aha-short", headline(summary))
    return markdown.put(text, "figures:aha", block(summary))


def draw(results: dict, summary: dict, folder: Path) -> list[Path]:
    """The plots of what has been measured."""
    trained = {task: k for task, k in results.items() if any(k[arm] for arm in ARMS)}
    pretrained = {task: s["pretraining"] for task, s in summary.items() if s["pretraining"]}
    first = summary[TASKS[0]]
    beside = first if first["rivals"]["forced"]["seeded"] else None
    drawn = []
    for draw_one, found, name in (
        (draw_arms, trained, "aha.png"),
        (draw_pretraining, pretrained, "aha-pretraining.png"),
        (draw_tokens, beside, "aha-tokens.png"),
    ):
        if found:
            draw_one(found, folder / name)
            drawn.append(folder / name)
    return drawn


def main() -> None:
    parser = common.parser("studies.aha.figures", __doc__)
    words = "Markdown files whose block is filled"
    parser.add_argument("--into", type=Path, nargs="+", default=[], metavar="FILE", help=words)
    into = parser.parse_args().into
    results, baselines = read_results(), rivals.load()
    summary = summarise(results)
    for task, parts in baselines.items():
        weights = common.records("aha-steps", task=task)
        summary[task]["rivals"] = rivals.summarise(results[task], parts, weights)
        summary[task]["claims"] += rival_claims(summary[task])
    folder = common.results_folder()
    folder.mkdir(exist_ok=True)
    written = markdown.fill(into, lambda page: fill(page, summary))
    files.write_json_atomic(folder / "aha.json", summary)
    files.write_bytes_atomic(folder / "aha.md", page(summary).encode())
    written += [folder / "aha.json", folder / "aha.md", *draw(results, summary, folder)]
    if not into:
        print(block(summary))
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    common.command(main)
