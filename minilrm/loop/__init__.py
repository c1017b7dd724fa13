"""The one training loop, for everything that learns: pretrain, sft, grpo, ppo, distill.

    open the run folder; evaluate                             <- the figures at step 0
    while there is something left to do:
        metrics = trainer.step(step)                          <- the algorithm: a trainer brings it
        now and then: evaluate, keep the best, stop if accuracy has collapsed
        now and then, and at Ctrl-C: save all that it takes to resume bit for bit
    evaluate, write the summary and the report

A trainer is a subclass of `Trainer` with a model, its optimizers and a `step` (sft.py is the
shortest). Its command has options of its own on top of `Options`. `trainer.py` is what a run
carries, `run.py` the way from the first evaluation to the report. Nothing here knows an objective.
"""

from minilrm.loop.run import Result, carry_on, train
from minilrm.loop.trainer import Evaluation, Options, State, Trainer

__all__ = ["Evaluation", "Options", "Result", "State", "Trainer", "carry_on", "train"]
