"""Programs to trace: what do they end with, where and why do they stop?

language.py     the small language: what a program may hold, and its shape
interpreter.py  runs it, and writes down each step
drafts.py       draws programs
ladder.py       what each rung of the ladder varies
solutions.py    questions, answers, solutions, the labels of single lines
task.py         the task
"""

from minilrm.tasks.program.task import Program

__all__ = ["Program"]
