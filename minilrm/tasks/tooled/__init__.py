"""Tasks that need a tool: no model of a few million parameters solves their hard problems alone.

task.py      what they share: the style "tool", how a call is written, levels
long_sums.py needs the calculator: numbers of up to four digits, and six beyond training
prices.py    needs the database: prices and heights that differ from table to table
facts.py     those tables: made, written, read
loops.py     needs the sandbox: programs whose loops turn too often to be traced
mixed.py     all three in one, which is what their base reads
"""

from minilrm.tasks.tooled.long_sums import Sums
from minilrm.tasks.tooled.loops import Loops
from minilrm.tasks.tooled.mixed import Tools
from minilrm.tasks.tooled.prices import Prices
from minilrm.tasks.tooled.task import ToolTask

__all__ = ["Loops", "Prices", "Sums", "ToolTask", "Tools"]
