"""Word problems composed of relations, with a ladder that measures how far reasoning carries."""

from minilrm.tasks.stories.ladder import HAND_WRITTEN, LADDER, Rung
from minilrm.tasks.stories.task import Stories

__all__ = ["HAND_WRITTEN", "LADDER", "Rung", "Stories"]
