"""Cash on its way through companies: how much is where, what went in fees, which entry is wrong."""

from minilrm.tasks.ledger.ladder import LADDER, Rung
from minilrm.tasks.ledger.task import Ledger

__all__ = ["LADDER", "Ledger", "Rung"]
