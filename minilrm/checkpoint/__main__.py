"""`python -m minilrm.checkpoint import FILE.gguf --out DIR`."""

import sys

from minilrm import cli
from minilrm.checkpoint.gguf_file import Options, run

if __name__ == "__main__":
    words = sys.argv[1:]
    if words and words[0] not in ("import", "-h", "--help"):
        cli.fail(f"`python -m minilrm.checkpoint` knows no {words[0]!r}; it is: import FILE.gguf")
    cli.run_command(
        run,
        Options,
        words[1:] if words and words[0] == "import" else words,
        prog="python -m minilrm.checkpoint import",
        description=Options.__doc__,
        first="file",
    )
