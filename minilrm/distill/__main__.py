"""`python -m minilrm.distill`."""

from minilrm import cli
from minilrm.distill import Options, train

cli.run_command(
    lambda options: train(options).exit_code,
    Options,
    prog="python -m minilrm.distill",
    description=Options.__doc__,
)
