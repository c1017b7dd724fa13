"""The course beside the framework: `grade/` grades the exercises, `submission/` is the process that
a student's functions run in, and `build.py` makes, proves and releases what students get."""
