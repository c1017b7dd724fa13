"""Stories about hens, cows and eggs."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="legs_of_hens_and_cows",
        numbers={"a": (2, 50), "b": (2, 40)},
        steps=("2*a", "4*b", "s1+s2"),
        text={
            "en": (
                (
                    "A farm has {a} hens and {b} cows.",
                    "{name} has {a} hens and {b} cows.",
                    "{name} sees {a} hens and {b} cows.",
                ),
                (
                    "A hen has 2 legs and a cow has 4 legs.",
                    "Each hen has 2 legs and each cow has 4.",
                ),
                (
                    "How many legs do all the hens and cows have?",
                    "How many legs do the animals have in total?",
                ),
            ),
            "es": (
                (
                    "Una granja tiene {a} gallinas y {b} vacas.",
                    "{name} tiene {a} gallinas y {b} vacas.",
                    "{name} ve {a} gallinas y {b} vacas.",
                ),
                (
                    "Una gallina tiene 2 patas y una vaca tiene 4 patas.",
                    "Cada gallina tiene 2 patas y cada vaca 4.",
                ),
                (
                    "¿Cuántas patas tienen todas las gallinas y vacas?",
                    "¿Cuántas patas tienen los animales en total?",
                ),
            ),
        },
        working={
            "en": (
                "The hens have {calc} legs.",
                "The cows have {calc} legs.",
                "Together they have {calc} legs.",
            ),
            "es": (
                "Las gallinas tienen {calc} patas.",
                "Las vacas tienen {calc} patas.",
                "Juntas tienen {calc} patas.",
            ),
        },
        plan={
            "en": ("legs of hens", "legs of cows", "the total"),
            "es": ("patas de gallinas", "patas de vacas", "el total"),
        },
        distractors={
            "en": ("The barn is {d} years old.", "{other} works {d} hours on the farm."),
            "es": ("El granero tiene {d} años.", "{other} trabaja {d} horas en la granja."),
        },
    ),
    Template(
        name="eggs_into_boxes",
        numbers={"a": (2, 12), "b": (2, 12), "k": (2, 7), "c": (2, 20), "n": (2, 6)},
        steps=("a+b", "s1*k", "s2-c", "s3/n"),
        text={
            "en": (
                (
                    "Each day {name} collects {a} eggs in the morning and {b} in the evening.",
                    "The hens lay {a} eggs each morning and {b} eggs each evening.",
                ),
                (
                    "After {k} days, {c} eggs break and the rest go into boxes of {n}.",
                    "In {k} days {c} eggs break. The others go into boxes of {n} eggs.",
                ),
                ("How many boxes are there?", "How many boxes of eggs does this make?"),
            ),
            "es": (
                (
                    "Cada día {name} recoge {a} huevos por la mañana y {b} por la tarde.",
                    "Las gallinas ponen {a} huevos cada mañana y {b} huevos cada tarde.",
                ),
                (
                    "Tras {k} días, se rompen {c} huevos y el resto va en cajas de {n}.",
                    "En {k} días se rompen {c} huevos. Los otros van en cajas de {n} huevos.",
                ),
                ("¿Cuántas cajas hay?", "¿Cuántas cajas de huevos se llenan?"),
            ),
        },
        working={
            "en": (
                "A day gives {calc} eggs.",
                "All the days give {calc} eggs.",
                "The rest is {calc} eggs.",
                "They fill {calc} boxes.",
            ),
            "es": (
                "Un día da {calc} huevos.",
                "Todos los días dan {calc} huevos.",
                "El resto es {calc} huevos.",
                "Llenan {calc} cajas.",
            ),
        },
        plan={
            "en": ("eggs a day", "all eggs", "the rest", "the boxes"),
            "es": ("huevos al día", "todos los huevos", "el resto", "las cajas"),
        },
        distractors={
            "en": ("{other} has {d} sheep.", "The farm is {d} years old."),
            "es": ("{other} tiene {d} ovejas.", "La granja tiene {d} años."),
        },
        where=lambda v: v["s4"] > 1,
    ),
)
