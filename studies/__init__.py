"""The studies: what was run to get the figures of README and lectures, and what draws them.

    python -m studies.main grpo 0     measure one part of a study
    python -m studies.main all        measure everything that is missing
    python -m studies.main.figures    numbers, plots and tables, from what is measured

A study is a folder: `study.py` measures, `numbers.py` computes from the measured lines, `plots.py`
draws, `text.py` writes tables, and `figures.py` is the command that does the last three. `main`
(the run of `make grpo`), `aha` (reflection) and `variants` (of GRPO) are such folders. `distill.py`
and `doctor.py` need one file each, and `census.py` counts countdown's problems.

`common.py` holds what studies share; `markdown.py` the cells of their tables; `lecture.py` what
the lectures' figures share. Each finished part is a line of data/results/<study>.jsonl. Nothing in
the package `minilrm` imports this folder.
"""
