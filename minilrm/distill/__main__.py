"""`python -m minilrm.distill`."""

from minilrm import cli
from minilrm.distill import Options, main

cli.run_command(main, Options, prog="python -m minilrm.distill", description=Options.__doc__)
