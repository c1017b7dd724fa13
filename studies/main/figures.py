"""The main job's figures, drawn from the finished parts in data/results by code, so that no number
is typed by hand.

    python -m studies.main.figures

It reads data/results/main.jsonl and timing.jsonl (`python -m studies.main` writes them) and writes

    data/results/main.json     every number: each seed with its interval; mean, least and greatest
    data/results/main.png      R1-Zero's figure in miniature: thinking, length and accuracy
    data/results/hold.png      the same run, five times as long (once that is measured)
    data/results/main.md       all tables
    README.md                  what stands between <!-- figures:main -->, <!-- figures:plot -->,
                               <!-- transcript --> and their closing markers

The same results give the same files, byte for byte (the plots: with the same matplotlib). What has
not been measured is said so. A claim holds only if it holds in every one of at least three seeds.
"""

from pathlib import Path

from minilrm import files
from studies import common
from studies.main.numbers import read_results, summarise
from studies.main.plots import draw_hold, draw_main
from studies.main.text import details, fill_readme, verdict_lines

README = Path(__file__).resolve().parents[2] / "README.md"


def main() -> None:
    parser = common.parser("studies.main.figures", __doc__)
    parser.add_argument("--readme", type=Path, default=README, help="file whose blocks are filled")
    readme = parser.parse_args().readme
    results = read_results()
    summary = summarise(results)
    text = fill_readme(readme.read_text(encoding="utf-8"), summary, results["transcript"])
    folder = common.results_folder()
    folder.mkdir(exist_ok=True)
    files.write_json_atomic(folder / "main.json", summary)
    files.write_bytes_atomic(folder / "main.md", details(summary).encode())
    written = [str(readme), str(folder / "main.json"), str(folder / "main.md")]
    for kind, name, draw in (("grpo", "main.png", draw_main), ("hold", "hold.png", draw_hold)):
        if results[kind]:
            draw(results[kind], folder / name)
            written.append(str(folder / name))
    files.write_bytes_atomic(readme, text.encode())
    print("\n".join(verdict_lines(summary)))
    print(f"written: {', '.join(written)}")


if __name__ == "__main__":
    common.command(main)
