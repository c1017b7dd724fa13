"""`python -m minilrm.reflection`: measure how a checkpoint reflects."""

from minilrm.cli import run_command
from minilrm.reflection.command import Options, main

if __name__ == "__main__":
    run_command(main, Options, prog="python -m minilrm.reflection", description=Options.__doc__)
