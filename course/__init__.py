"""The course beside the framework: what grades the exercises (`grade/`) and what builds and proves them (`build.py`)."""
