"""The sentences: word-problem templates, one module a theme. `TRAINING` and `HELD_OUT` are all of
them."""

from minilrm.tasks.templates import held_out, home, nature, people, shopping, travel, work

TRAINING = (
    *shopping.TEMPLATES,
    *home.TEMPLATES,
    *work.TEMPLATES,
    *travel.TEMPLATES,
    *nature.TEMPLATES,
    *people.TEMPLATES,
)
#: stories that no training or validation problem ever tells: half of the `ood` split
HELD_OUT = held_out.TEMPLATES
