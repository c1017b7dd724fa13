"""What the figures.py of a study shares: from its finished parts to numbers, pictures and pages.

    FIGURES = Figures("rlhf", summarise, {"rlhf.png": draw}, {"figures:rlhf": block})
    FIGURES.main(__doc__)       # the command: python -m studies.rlhf.figures --into FILE ...

Every number that is drawn or told goes through `summarise` and stands in data/results/STUDY.json.
A picture of parts that are missing is not drawn, and a block says what has not been measured yet.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import files
from minilrm.errors import UserError
from minilrm.intervals import mean
from studies import common, markdown

Summary = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """study: its name, as in data/results. summarise: every number, from the results. pictures:
    name of a file -> its bytes, or None where parts are missing. blocks: a marker -> the text that
    stands behind it."""

    study: str
    summarise: Callable[[], Summary]
    pictures: Mapping[str, Callable[[Summary], bytes | None]]
    blocks: Mapping[str, Callable[[Summary], str]]

    def filled(self, page: str, summary: Summary) -> str:
        """The page with its blocks written anew; UserError if it has none."""
        markers = re.findall(r"<!-- (figures:[\w-]+) -->", page)
        names = [name for name in markers if name in self.blocks]
        if not names:
            raise UserError(f"the page has none of the markers {', '.join(self.blocks)}")
        for name in names:
            page = markdown.put(page, name, self.blocks[name](summary))
        return page

    def main(self, about: str | None) -> None:
        """Write the numbers and the pictures, fill the pages of --into, print all blocks."""
        parser = common.parser(f"studies.{self.study}.figures", about)
        words = "Markdown files whose blocks are filled"
        parser.add_argument("--into", type=Path, nargs="+", default=[], metavar="FILE", help=words)
        into = parser.parse_args().into
        summary, folder = self.summarise(), common.results_folder()
        folder.mkdir(exist_ok=True)
        files.write_json_atomic(folder / f"{self.study}.json", summary)
        for name, draw in self.pictures.items():
            picture = draw(summary)
            if picture is not None:
                files.write_bytes_atomic(folder / name, picture)
        markdown.fill(into, lambda page: self.filled(page, summary))
        for write in self.blocks.values():
            print(write(summary), end="\n\n")


def not_yet(study: str) -> str:
    """What a block says whose parts are missing."""
    return (
        f"Not measured yet: `python -m studies.{study} all`, then "
        f"`python -m studies.{study}.figures --into` this file."
    )


def over_seeds(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Mean, least and greatest of the seeds that have a value, and how many these are; None of
    none.

    >>> over_seeds([0.5, None, 1.0])
    {'mean': 0.75, 'min': 0.5, 'max': 1.0, 'seeds': 2}
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"mean": mean(known), "min": min(known), "max": max(known), "seeds": len(known)}
