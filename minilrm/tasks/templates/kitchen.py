"""Stories about the kitchen: baking, cooking, sharing."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="oven_trays",
        numbers={"a": (5, 20), "n": (2, 8), "b": (8, 25)},
        steps=("n*b", "a+s1"),
        text={
            "en": (
                (
                    "The oven takes {a} minutes to get hot.",
                    "{name} waits {a} minutes until the oven is hot.",
                ),
                (
                    "Then {name} bakes {n} trays, one by one, {b} minutes each.",
                    "Then {n} trays bake one after another for {b} minutes each.",
                ),
                (
                    "How many minutes does it all take?",
                    "After how many minutes is everything ready?",
                ),
            ),
            "es": (
                (
                    "El horno tarda {a} minutos en calentarse.",
                    "{name} espera {a} minutos a que el horno se caliente.",
                ),
                (
                    "Luego {name} hornea {n} bandejas, una por una, {b} minutos cada una.",
                    "Luego se hornean {n} bandejas, una tras otra, {b} minutos cada una.",
                ),
                ("¿Cuántos minutos pasan en total?", "¿En cuántos minutos está todo listo?"),
            ),
        },
        working={
            "en": ("The trays take {calc} minutes.", "With the oven it is {calc} minutes."),
            "es": ("Las bandejas tardan {calc} minutos.", "Con el horno son {calc} minutos."),
        },
        plan={"en": ("the trays", "the total time"), "es": ("las bandejas", "el tiempo total")},
        distractors={
            "en": ("A tray holds {d} cookies.", "{other} is {d} years old."),
            "es": ("En una bandeja caben {d} galletas.", "{other} tiene {d} años."),
        },
    ),
    Template(
        name="rice_for_the_soup",
        numbers={"a": (2, 6), "b": (4, 72), "c": (3, 24)},
        steps=("b/a", "s1*c"),
        where=lambda v: v["s1"] > 1 and v["a"] != v["c"],
        text={
            "en": (
                (
                    "A soup for {a} people needs {b} spoons of rice.",
                    "In a soup for {a} people, {name} uses {b} spoons of rice.",
                ),
                (
                    "Today {name} makes the soup for {c} people.",
                    "Today the soup is for {c} people.",
                ),
                (
                    "How many spoons of rice does {name} need today?",
                    "How many spoons of rice go into the soup today?",
                ),
            ),
            "es": (
                (
                    "Una sopa para {a} personas lleva {b} cucharadas de arroz.",
                    "En una sopa para {a} personas, {name} usa {b} cucharadas de arroz.",
                ),
                ("Hoy {name} hace la sopa para {c} personas.", "Hoy la sopa es para {c} personas."),
                (
                    "¿Cuántas cucharadas de arroz necesita hoy {name}?",
                    "¿Cuántas cucharadas de arroz lleva hoy la sopa?",
                ),
            ),
        },
        working={
            "en": ("One person needs {calc} spoons.", "Today it is {calc} spoons of rice."),
            "es": (
                "Una persona necesita {calc} cucharadas.",
                "Hoy son {calc} cucharadas de arroz.",
            ),
        },
        plan={"en": ("for one person", "for today"), "es": ("por persona", "para hoy")},
        distractors={
            "en": ("The soup cooks for {d} minutes.", "{other} is {d} years old."),
            "es": ("La sopa se cuece {d} minutos.", "{other} tiene {d} años."),
        },
    ),
    Template(
        name="cookies_for_friends",
        numbers={"a": (20, 120), "b": (2, 15), "n": (2, 9)},
        steps=("a-b", "s1/n"),
        where=lambda v: v["s2"] > 1,
        text={
            "en": (
                ("{name} bakes {a} cookies.", "{name} makes {a} cookies at home."),
                (
                    "{name} keeps {b} and shares the rest equally among {n} friends.",
                    "{b} cookies burn, and {n} friends share the rest equally.",
                ),
                (
                    "How many cookies does each friend get?",
                    "How many cookies are there for each friend?",
                ),
            ),
            "es": (
                ("{name} hornea {a} galletas.", "{name} hace {a} galletas en casa."),
                (
                    "{name} guarda {b} y reparte el resto por igual entre {n} amigos.",
                    "Se queman {b} galletas y {n} amigos se reparten el resto por igual.",
                ),
                ("¿Cuántas galletas recibe cada amigo?", "¿Cuántas galletas hay para cada amigo?"),
            ),
        },
        working={
            "en": ("There are {calc} cookies to share.", "Each friend gets {calc} cookies."),
            "es": ("Hay {calc} galletas para repartir.", "Cada amigo recibe {calc} galletas."),
        },
        plan={"en": ("the rest", "one share"), "es": ("el resto", "una parte")},
        distractors={
            "en": ("The oven is on for {d} minutes.", "The house is {d} years old."),
            "es": ("El horno está encendido {d} minutos.", "La casa tiene {d} años."),
        },
    ),
)
