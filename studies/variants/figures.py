"""The variant study's table and figure, from the finished parts in data/results/variants.jsonl.

    python -m studies.variants.figures                print the table
    python -m studies.variants.figures --into FILE    fill this Markdown file, too: what stands
                                                      between the markers <!-- figures:variants -->
                                                      and <!-- /figures:variants -->

It writes data/results/variants.json (every number), variants.md (every column) and variants.png.
"""

from pathlib import Path

from minilrm import files
from studies import common, markdown
from studies.variants.numbers import summarise
from studies.variants.plots import draw
from studies.variants.study import TASK
from studies.variants.text import page, tables


def main() -> None:
    parser = common.parser("studies.variants.figures", __doc__)
    words = "Markdown files whose block figures:variants is filled"
    parser.add_argument("--into", type=Path, nargs="+", default=[], metavar="FILE", help=words)
    into = parser.parse_args().into
    summary, folder = summarise(), common.results_folder()
    folder.mkdir(exist_ok=True)
    files.write_json_atomic(folder / "variants.json", summary)
    files.write_bytes_atomic(folder / "variants.md", page(summary).encode())
    markdown.fill(into, lambda text: markdown.put(text, "figures:variants", tables(summary)))
    print(page(summary))
    if summary["tasks"][TASK]["arms"]:
        draw(summary, folder / "variants.png")


if __name__ == "__main__":
    common.command(main)
