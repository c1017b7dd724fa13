"""Puzzles that are solved by inference alone: categories, knights and knaves, orders."""

from minilrm.tasks.logic.ladder import LADDER, Rung
from minilrm.tasks.logic.task import Logic

__all__ = ["LADDER", "Logic", "Rung"]
