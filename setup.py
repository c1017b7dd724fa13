"""What pyproject.toml cannot say: that a wheel holds the shipped data, as `minilrm/data/`.

From a clone (`pip install -e .`) the data is the folder `data/` beside the package, and the course
is there with its lectures. A wheel is for those who want the commands alone: it has what these
read, and neither the course nor the results of the studies.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = Path(__file__).resolve().parent / "data"
OF_STUDIES = "results"


class WithData(build_py):
    def finalize_options(self):
        super().finalize_options()
        if not self.editable_mode:
            self.packages = [name for name in self.packages if name.split(".")[0] == "minilrm"]

    def run(self):
        super().run()
        if not self.editable_mode:
            there = Path(self.build_lib, "minilrm", "data")
            shutil.rmtree(there, ignore_errors=True)
            shutil.copytree(DATA, there, ignore=shutil.ignore_patterns(OF_STUDIES))


setup(cmdclass={"build_py": WithData})
