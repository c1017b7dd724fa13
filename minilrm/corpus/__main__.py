"""`python -m minilrm.corpus`"""

from minilrm.cli import run_command
from minilrm.corpus.command import Options, run

if __name__ == "__main__":
    run_command(run, Options, prog="python -m minilrm.corpus", description=Options.__doc__)
