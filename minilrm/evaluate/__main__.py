"""`python -m minilrm.evaluate`."""

from minilrm import cli
from minilrm.evaluate import Options, main

cli.run_command(main, Options, prog="python -m minilrm.evaluate", description=Options.__doc__)
