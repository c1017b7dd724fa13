"""Stories that training never tells, with formulas in new combinations: seats, posts, sheets and
laps. With `held_out_plans` half of the `ood` split."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="empty_seats_in_a_theater",
        numbers={"a": (5, 20), "b": (5, 20), "m": (20, 200), "c": (2, 20)},
        steps=("a*b", "m-c", "s1-s2"),
        text={
            "en": (
                (
                    "A theater has {a} rows of {b} seats.",
                    "In a theater there are {a} rows with {b} seats each.",
                ),
                (
                    "{m} people buy a ticket, but {c} of them stay at home.",
                    "Of the {m} people with a ticket, {c} do not come.",
                ),
                ("How many seats are empty?", "How many seats does nobody use?"),
            ),
            "es": (
                (
                    "Un teatro tiene {a} filas de {b} sillas.",
                    "En un teatro hay {a} filas con {b} sillas cada una.",
                ),
                (
                    "{m} personas compran una entrada, pero {c} de ellas se quedan en casa.",
                    "De las {m} personas con entrada, {c} no vienen.",
                ),
                ("¿Cuántas sillas quedan vacías?", "¿Cuántas sillas no usa nadie?"),
            ),
        },
        working={
            "en": (
                "The theater has {calc} seats.",
                "In the end {calc} people come.",
                "Then {calc} seats are empty.",
            ),
            "es": (
                "El teatro tiene {calc} sillas.",
                "Al final vienen {calc} personas.",
                "Entonces quedan vacías {calc} sillas.",
            ),
        },
        plan={
            "en": ("all seats", "the people", "empty seats"),
            "es": ("todas las sillas", "las personas", "sillas vacías"),
        },
        distractors={
            "en": ("A ticket costs {d} dollars.", "The theater is {d} years old."),
            "es": ("Una entrada cuesta {d} euros.", "El teatro tiene {d} años."),
        },
        where=lambda v: v["s2"] > 1 and v["s3"] > 1,
    ),
    Template(
        name="fence_posts_around_a_field",
        numbers={"a": (6, 40), "b": (6, 40), "k": (2, 6), "p": (2, 8)},
        steps=("a+b", "2*s1", "s2/k", "s3*p"),
        text={
            "en": (
                (
                    "A field is {a} meters long and {b} meters wide.",
                    "{name} has a field {a} meters long and {b} meters wide.",
                ),
                (
                    "All around it stands a fence with a post every {k} meters.",
                    "The fence all around has one post for every {k} meters.",
                ),
                (
                    "How much do the posts cost at {p} dollars each?",
                    "What is the cost of the posts if each is {p} dollars?",
                ),
            ),
            "es": (
                (
                    "Un campo mide {a} metros de largo y {b} metros de ancho.",
                    "{name} tiene un campo de {a} metros de largo y {b} metros de ancho.",
                ),
                (
                    "Alrededor hay una valla con un poste cada {k} metros.",
                    "La valla que lo rodea tiene un poste por cada {k} metros.",
                ),
                (
                    "¿Cuánto cuestan los postes a {p} euros cada uno?",
                    "¿Cuánto valen los postes si cada uno cuesta {p} euros?",
                ),
            ),
        },
        working={
            "en": (
                "Two sides are {calc} meters.",
                "All sides are {calc} meters.",
                "That takes {calc} posts.",
                "They cost {calc} dollars.",
            ),
            "es": (
                "Dos lados miden {calc} metros.",
                "Todos los lados miden {calc} metros.",
                "Hacen falta {calc} postes.",
                "Cuestan {calc} euros.",
            ),
        },
        plan={
            "en": ("two sides", "all sides", "the posts", "the cost"),
            "es": ("dos lados", "todos los lados", "los postes", "el coste"),
        },
        distractors={
            "en": ("There are {d} cows in the field.", "{other} works there for {d} hours."),
            "es": ("Hay {d} vacas en el campo.", "{other} trabaja allí {d} horas."),
        },
        where=lambda v: v["a"] > v["b"],
    ),
    Template(
        name="sheets_for_a_printer",
        numbers={"b": (2, 12), "a": (10, 50), "k": (2, 9), "m": (4, 40)},
        steps=("b*a", "m/2", "k*s2", "s1-s3"),
        text={
            "en": (
                (
                    "A printer has {b} packs of {a} sheets of paper.",
                    "{name} has {b} packs of paper with {a} sheets each.",
                ),
                (
                    "{name} prints {k} copies of a book of {m} pages, 2 pages on each sheet.",
                    "With 2 pages on each sheet, {name} prints a book of {m} pages {k} times.",
                ),
                ("How many sheets are left?", "How many sheets of paper does {name} not use?"),
            ),
            "es": (
                (
                    "Una impresora tiene {b} paquetes de {a} hojas de papel.",
                    "{name} tiene {b} paquetes de papel con {a} hojas cada uno.",
                ),
                (
                    "{name} imprime {k} copias de un libro de {m} páginas, 2 páginas en cada hoja.",
                    "Con 2 páginas en cada hoja, {name} imprime un libro de {m} páginas {k} veces.",
                ),
                ("¿Cuántas hojas quedan?", "¿Cuántas hojas de papel no usa {name}?"),
            ),
        },
        working={
            "en": (
                "There are {calc} sheets.",
                "One book takes {calc} sheets.",
                "All the copies take {calc} sheets.",
                "Then {calc} sheets are left.",
            ),
            "es": (
                "Hay {calc} hojas.",
                "Un libro necesita {calc} hojas.",
                "Todas las copias necesitan {calc} hojas.",
                "Entonces quedan {calc} hojas.",
            ),
        },
        plan={
            "en": ("all sheets", "one book", "all copies", "what is left"),
            "es": ("todas las hojas", "un libro", "todas las copias", "lo que queda"),
        },
        distractors={
            "en": ("The work takes {d} minutes.", "The printer is {d} years old."),
            "es": ("El trabajo dura {d} minutos.", "La impresora tiene {d} años."),
        },
        where=lambda v: v["s4"] > 1,
    ),
    Template(
        name="swimming_race",
        numbers={"m": (20, 200), "a": (5, 12), "p": (5, 20), "q": (6, 25), "r": (2, 20)},
        steps=("m/a", "s1*p", "s1*q", "s3+r", "s4-s2"),
        text={
            "en": (
                (
                    "A swimming race is {m} meters in a pool of {a} meters.",
                    "{name} and {other} swim {m} meters in a pool of {a} meters.",
                ),
                (
                    "{name} needs {p} seconds a length and {other} {q}.",
                    "{name} swims a length in {p} seconds, {other} in {q} seconds.",
                ),
                (
                    "{other} also rests once for {r} seconds.",
                    "{other} also loses {r} seconds at the start.",
                ),
                (
                    "By how many seconds does {name} win?",
                    "How many seconds before {other} does {name} finish?",
                ),
            ),
            "es": (
                (
                    "Una carrera es de {m} metros en una piscina de {a} metros.",
                    "{name} y {other} nadan {m} metros en una piscina de {a} metros.",
                ),
                (
                    "{name} tarda {p} segundos por largo y {other} {q}.",
                    "{name} nada un largo en {p} segundos, {other} en {q} segundos.",
                ),
                (
                    "{other} además descansa una vez {r} segundos.",
                    "{other} además pierde {r} segundos en la salida.",
                ),
                (
                    "¿Por cuántos segundos gana {name}?",
                    "¿Cuántos segundos antes que {other} termina {name}?",
                ),
            ),
        },
        working={
            "en": (
                "The race has {calc} lengths.",
                "{name} needs {calc} seconds.",
                "{other} swims for {calc} seconds.",
                "In total {other} needs {calc} seconds.",
                "{name} wins by {calc} seconds.",
            ),
            "es": (
                "La carrera tiene {calc} largos.",
                "{name} necesita {calc} segundos.",
                "{other} nada {calc} segundos.",
                "En total {other} necesita {calc} segundos.",
                "{name} gana por {calc} segundos.",
            ),
        },
        plan={
            "en": (
                "the lengths",
                "time of {name}",
                "swim of {other}",
                "time of {other}",
                "the difference",
            ),
            "es": (
                "los largos",
                "tiempo de {name}",
                "nado de {other}",
                "tiempo de {other}",
                "la diferencia",
            ),
        },
        distractors={
            "en": ("The pool is {d} years old.", "{d} people watch the race."),
            "es": ("La piscina tiene {d} años.", "{d} personas miran la carrera."),
        },
        where=lambda v: v["s1"] > 1 and v["s5"] > 1 and v["p"] != v["q"],
    ),
)
