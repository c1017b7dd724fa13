"""Stories that training never tells, with formulas in new combinations: mixtures, tournaments,
monthly plans and fines."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="mixing_pink_paint",
        numbers={"a": (2, 9), "b": (2, 9), "m": (12, 360)},
        steps=("a+b", "m/s1", "s2*a"),
        text={
            "en": (
                (
                    "For pink paint {name} mixes {a} liters of red with every {b} liters of white.",
                    "Pink paint takes {a} liters of red for every {b} liters of white.",
                ),
                (
                    "{name} wants {m} liters of pink paint.",
                    "{name} makes {m} liters of pink paint.",
                ),
                (
                    "How many liters of red paint are needed?",
                    "How many liters of red does {name} use?",
                ),
            ),
            "es": (
                (
                    "Para hacer pintura rosa {name} mezcla {a} litros de roja con cada {b} "
                    "litros de blanca.",
                    "La pintura rosa lleva {a} litros de roja por cada {b} litros de blanca.",
                ),
                (
                    "{name} quiere {m} litros de pintura rosa.",
                    "{name} hace {m} litros de pintura rosa.",
                ),
                (
                    "¿Cuántos litros de pintura roja hacen falta?",
                    "¿Cuántos litros de roja usa {name}?",
                ),
            ),
        },
        working={
            "en": (
                "One mix has {calc} liters.",
                "That takes {calc} mixes.",
                "That needs {calc} liters of red.",
            ),
            "es": (
                "Una mezcla tiene {calc} litros.",
                "Son {calc} mezclas.",
                "Llevan {calc} litros de roja.",
            ),
        },
        plan={
            "en": ("one mix", "the mixes", "the red"),
            "es": ("una mezcla", "las mezclas", "la roja"),
        },
        distractors={
            "en": ("{name} paints for {d} hours.", "The house is {d} years old."),
            "es": ("{name} pinta durante {d} horas.", "La casa tiene {d} años."),
        },
        where=lambda v: v["s2"] > 1 and v["a"] != v["b"],
    ),
    Template(
        name="last_teams_of_a_tournament",
        numbers={"a": (2, 9), "b": (3, 9), "c": (2, 20), "p": (4, 11), "t": (2, 3)},
        steps=("a*b", "s1-c", "s2/2", "p+t", "s3*s4"),
        text={
            "en": (
                (
                    "A tournament has {a} groups of {b} teams.",
                    "{a} groups of {b} teams play in a tournament.",
                ),
                (
                    "{c} teams go home, and then half of the rest.",
                    "First {c} teams leave, then half of the other teams.",
                ),
                (
                    "Each team has {p} players and {t} trainers.",
                    "A team has {p} players and {t} trainers.",
                ),
                ("How many people stay?", "How many players and trainers stay in total?"),
            ),
            "es": (
                (
                    "Un torneo tiene {a} grupos de {b} equipos.",
                    "{a} grupos de {b} equipos juegan en un torneo.",
                ),
                (
                    "{c} equipos se van a casa, y luego la mitad del resto.",
                    "Primero se van {c} equipos, luego la mitad de los otros equipos.",
                ),
                (
                    "Cada equipo tiene {p} jugadores y {t} entrenadores.",
                    "Un equipo tiene {p} jugadores y {t} entrenadores.",
                ),
                (
                    "¿Cuántas personas se quedan?",
                    "¿Cuántos jugadores y entrenadores se quedan en total?",
                ),
            ),
        },
        working={
            "en": (
                "There are {calc} teams.",
                "The rest is {calc} teams.",
                "Half is {calc} teams.",
                "A team has {calc} people.",
                "In total {calc} people stay.",
            ),
            "es": (
                "Hay {calc} equipos.",
                "El resto es {calc} equipos.",
                "La mitad es {calc} equipos.",
                "Un equipo tiene {calc} personas.",
                "En total se quedan {calc} personas.",
            ),
        },
        plan={
            "en": ("all teams", "the rest", "half", "one team", "the people"),
            "es": ("todos los equipos", "el resto", "la mitad", "un equipo", "las personas"),
        },
        distractors={
            "en": ("A game takes {d} minutes.", "The prize is {d} dollars."),
            "es": ("Un partido dura {d} minutos.", "El premio es de {d} euros."),
        },
        where=lambda v: v["s3"] > 1,
    ),
    Template(
        name="months_of_a_phone_plan",
        numbers={"a": (3, 12), "b": (2, 8), "m": (40, 400)},
        steps=("a+b", "m/s1"),
        text={
            "en": (
                (
                    "A phone costs {a} dollars a month for calls and {b} dollars a month for "
                    "messages.",
                    "Each month {name} pays {a} dollars for calls and {b} dollars for messages.",
                ),
                (
                    "{name} has {m} dollars for the phone.",
                    "For the phone {name} has saved {m} dollars.",
                ),
                ("For how many months is the money enough?", "For how many months can {name} pay?"),
            ),
            "es": (
                (
                    "Un teléfono cuesta {a} euros al mes por llamadas y {b} euros al mes por "
                    "mensajes.",
                    "Cada mes {name} paga {a} euros por llamadas y {b} euros por mensajes.",
                ),
                (
                    "{name} tiene {m} euros para el teléfono.",
                    "Para el teléfono {name} ha ahorrado {m} euros.",
                ),
                ("¿Para cuántos meses alcanza el dinero?", "¿Cuántos meses puede pagar {name}?"),
            ),
        },
        working={
            "en": ("A month costs {calc} dollars.", "The money is enough for {calc} months."),
            "es": ("Un mes cuesta {calc} euros.", "El dinero alcanza para {calc} meses."),
        },
        plan={"en": ("one month", "the months"), "es": ("un mes", "los meses")},
        distractors={
            "en": ("{name} is {d} years old.", "{other} writes {d} messages."),
            "es": ("{name} tiene {d} años.", "{other} escribe {d} mensajes."),
        },
        where=lambda v: v["s2"] > 1,
    ),
    Template(
        name="fine_at_the_library",
        numbers={"m": (10, 120), "n": (2, 6), "c": (10, 60)},
        steps=("m/n", "c-s1"),
        text={
            "en": (
                (
                    "{n} friends share a library fine of {m} dollars equally.",
                    "A library fine of {m} dollars is paid in equal parts by {n} friends.",
                ),
                (
                    "{name} is one of them and has {c} dollars.",
                    "One of them is {name}, who has {c} dollars.",
                ),
                (
                    "How much money is left for {name}?",
                    "How many dollars does {name} have after paying?",
                ),
            ),
            "es": (
                (
                    "{n} amigos se reparten por igual una multa de la biblioteca de {m} euros.",
                    "Una multa de la biblioteca de {m} euros se paga a partes iguales entre {n} "
                    "amigos.",
                ),
                (
                    "{name} está en el grupo y tiene {c} euros.",
                    "En el grupo está {name}, que tiene {c} euros.",
                ),
                (
                    "¿Cuánto dinero le queda a {name}?",
                    "¿Cuántos euros tiene {name} después de pagar?",
                ),
            ),
        },
        working={
            "en": ("Each friend pays {calc} dollars.", "{name} has {calc} dollars left."),
            "es": ("Cada amigo paga {calc} euros.", "A {name} le quedan {calc} euros."),
        },
        plan={"en": ("one share", "what is left"), "es": ("una parte", "lo que queda")},
        distractors={
            "en": ("The book is {d} days late.", "The library is {d} years old."),
            "es": ("El libro lleva {d} días de retraso.", "La biblioteca tiene {d} años."),
        },
        where=lambda v: v["s1"] > 1 and v["s2"] > 1,
    ),
)
