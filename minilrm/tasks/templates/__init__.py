"""The sentences: word-problem templates, one module a theme. `TRAINING` and `HELD_OUT` are all of
them.

Their order counts: a problem draws its story by number, so a new theme goes to the end.
"""

from minilrm.tasks.templates import (
    farm,
    held_out,
    held_out_plans,
    home,
    kitchen,
    nature,
    people,
    savings,
    shopping,
    trades,
    travel,
    work,
)

TRAINING = (
    *shopping.TEMPLATES,
    *savings.TEMPLATES,
    *kitchen.TEMPLATES,
    *home.TEMPLATES,
    *work.TEMPLATES,
    *trades.TEMPLATES,
    *travel.TEMPLATES,
    *farm.TEMPLATES,
    *nature.TEMPLATES,
    *people.TEMPLATES,
)
#: stories that no training or validation problem ever tells: half of the `ood` split
HELD_OUT = (*held_out.TEMPLATES, *held_out_plans.TEMPLATES)
