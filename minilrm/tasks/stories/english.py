"""How a story ends in English: the question, the sentences of its solution, the plan.

The slots are those of `english_told.py`.
"""

from minilrm.tasks.stories.english_told import TELL, TELL_DOING, TELL_YEARS

__all__ = ["TELL", "TELL_DOING", "TELL_YEARS"]

ASK = {
    "state": (
        "How many {T} {do} {S} {have_inf}?",
        "How many {T} is that for {So}?",
        "What is the number of {T} that {S} {have}?",
    ),
    "made": (
        "How many {T} {do} {S} {make_inf}?",
        "How many {T} {do} {S} {make_inf} in all?",
        "What is the number of {T} that {S} {make}?",
    ),
    "boxes": (
        "How many {T} {do} {S} have?",
        "How many {T} {do} {S} have in all?",
        "What is the number of {T} that {S} [has|have]?",
    ),
    "gets": (
        "How many {T} {do} {S} {have_inf} now?",
        "How many {T} {do} {S} {have_inf} in the end?",
        "How many {T} {do} {S} {have_inf} after that?",
    ),
    "left": (
        "How many {T} {do} {S} have left?",
        "How many {T} are left?",
        "How many {T} {do} {S} have in the end?",
    ),
    "together": (
        "How many {T} do they {have_pl} together?",
        "How many {T} do {A} and {B} {have_pl} together?",
        "How many {T} do the two of them {have_pl} in all?",
    ),
    "together3": (
        "How many {T} do they {have_pl} together?",
        "How many {T} do {A}, {B} and {C} {have_pl} together?",
        "How many {T} do all three {have_pl} in all?",
    ),
    "difference": (
        "How many more {T} {doA} {A} {have_pl} than {B}?",
        "How many fewer {T} {doA} {B} {have_pl} than {A}?",
        "By how many {T} {doA} {A} lead over {B}?",
    ),
    "sell": (
        "How many {u} {do} {S} get?",
        "How many {u} is that in all?",
        "How much money {do} {S} get?",
    ),
    "cost": (
        "How many {u} {do} {S} pay?",
        "How many {u} do the {T} cost?",
        "How much money is that?",
    ),
    "change": (
        "How many {u} {do} {S} get back?",
        "How many {u} of change {do} {S} get?",
        "How much money comes back?",
    ),
    "missing": (
        "How many {T} {do} {S} still need?",
        "How many {T} are still missing?",
        "How many more {T} {do} {S} need?",
    ),
    "weeks": (
        "How many {hs} does that take?",
        "After how many {hs} is it enough?",
        "How many {hs} {do} {S} need?",
    ),
    "share": (
        "How many {T} does each friend get?",
        "How many {T} are there for each friend?",
        "How many {T} go to each friend?",
    ),
    "pack": (
        "How many {boxes} {do} {S} fill?",
        "How many {boxes} are there in the end?",
        "How many {boxes} {do} {S} need?",
    ),
    "takes": (
        "How many minutes does that take?",
        "How many minutes {do} {S} need?",
        "How many minutes is that?",
    ),
    "longer": (
        "How many minutes does it take in all?",
        "How many minutes is that in all?",
        "How many minutes {do} {S} need in all?",
    ),
    "lasts": (
        "How many days do the {T} last?",
        "For how many days are there {T}?",
        "After how many days are the {T} gone?",
    ),
}

ASK_YEARS = {
    "state": ("How old is {S}?", "How many years old is {S}?", "What is the age of {S}?"),
    "gets": (
        "How old is {S} then?",
        "How old will {S} be then?",
        "What will be the age of {S} then?",
    ),
    "left": ("How old was {S} then?", "How many years old was {S}?", "What was the age of {S}?"),
    "together": (
        "How old are they together?",
        "What is the sum of the ages of {A} and {B}?",
        "How many years do their two ages make together?",
    ),
    "together3": (
        "How old are they together?",
        "What is the sum of the ages of {A}, {B} and {C}?",
        "How many years do their three ages make together?",
    ),
    "difference": (
        "How many years older is {A} than {B}?",
        "By how many years is {A} older than {B}?",
        "How many years younger is {B} than {A}?",
    ),
}

#: the sentences of a solution, one a step; {c} is the sum and its result
WORK = {
    "has": (),
    "boxes": ("{S} [has|have] {c} {T}.",),
    "rate": ("{S} {make} {c} {T}.",),
    "each": ("{S} {make} {c} {T}.",),
    "more": ("{S} {have} {c} {T}.",),
    "fewer": ("{S} {have} {c} {T}.",),
    "times": ("{S} {have} {c} {T}.",),
    "part": ("{S} {have} {c} {T}.",),
    "gets": ("Now {S} {have} {c} {T}.",),
    "loses": ("{S} [has|have] {c} {T} left.",),
    "gives_each": ("{S} [gives|give] away {c} {T}.", "{S} [has|have] {c} {T} left."),
    "half": ("{S} [has|have] {c} {T} left.",),
    "part_away": ("{S} {lose} {c} {T}.", "{S} [has|have] {c} {T} left."),
    "together": ("Together they {have_pl} {c} {T}.",),
    "together3": ("{A} and {B} {have_pl} {c} {T}.", "All three {have_pl} {c} {T}."),
    "difference": ("{A} {haveA} {c} more {T} than {B}.",),
    "sell": ("{S} [gets|get] {c} {u}.",),
    "cost": ("The {T} cost {c} {u}.",),
    "change": ("{S} [gets|get] {c} {u} back.",),
    "missing": ("{S} still [needs|need] {c} {T}.",),
    "weeks": ("That takes {c} {hs}.",),
    "share": ("Each friend gets {c} {T}.",),
    "pack": ("{S} [fills|fill] {c} {boxes}.",),
    "takes": ("That takes {c} minutes.",),
    "longer": ("In all it takes {c} minutes.",),
    "lasts": ("The {T} last {c} days.",),
}
WORK_YEARS = {
    "more": ("{S} is {c} years old.",),
    "fewer": ("{S} is {c} years old.",),
    "times": ("{S} is {c} years old.",),
    "part": ("{S} is {c} years old.",),
    "gets": ("Then {S} is {c} years old.",),
    "loses": ("Then {S} was {c} years old.",),
    "together": ("Together they are {c} years old.",),
    "together3": ("{A} and {B} are {c} years old.", "All three are {c} years old."),
    "difference": ("{A} is {c} years older than {B}.",),
}
WORK_DOING = {"gets": ("In all {S} {have} {c} {T}.",)}

#: what each step finds, for a plan
PLAN = {
    "state": "the {T} of {So}",
    "left": "the {T} left",
    "away": "the {T} that go",
    "together": "all the {T}",
    "two": "the {T} of {A} and {B}",
    "difference": "the difference",
    "money": "the money",
    "change": "the change",
    "missing": "what is missing",
    "time": "the time",
    "share": "one share",
    "boxes": "the {boxes}",
}

IRRELEVANT = (
    "{X} is {d} years old.",
    "It is {d} degrees warm outside.",
    "{X} lives in a house with {d} windows.",
    "The bus number {d} stops nearby.",
    "{X} waits for {d} minutes.",
    "The shop has been open for {d} years.",
    "{X} has {d} cousins.",
    "There are {d} trees in the street.",
    "{X} sees {d} birds on the roof.",
)
IRRELEVANT_UNSEEN = (
    "The radio plays {d} songs.",
    "{X} lives at number {d}.",
    "On the wall hangs a clock that is {d} years old.",
    "{X} counts {d} clouds.",
)

WORDS = {
    "u": ("dollar", "dollars"),
    "they": "They",
    "do": ("does", "do"),
    "parts": {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"},
    "shares": {3: "a third", 4: "a quarter", 5: "a fifth"},
    "percents": {4: "25 percent", 5: "20 percent", 10: "10 percent"},
    "times": lambda k: "twice" if k == 2 else f"{k} times",
    "goal": "{P} {T} for {object}",
    "objects": ("a bike", "a guitar", "a tent", "a camera", "a coat", "a phone", "a table"),
    "hours": (("an hour", "hour", "hours"), ("a day", "day", "days"), ("a week", "week", "weeks")),
}
