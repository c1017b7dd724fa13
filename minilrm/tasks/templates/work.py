"""Stories about work: wages, hours, packing and deliveries."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="weekend_wages",
        numbers={"a": (3, 16), "b": (2, 12), "c": (2, 12)},
        steps=("b+c", "a*s1"),
        text={
            "en": (
                (
                    "{name} earns {a} dollars an hour.",
                    "{name} gets {a} dollars for each hour of work.",
                ),
                (
                    "{name} works {b} hours on Saturday and {c} hours on Sunday.",
                    "On Saturday {name} works {b} hours, and on Sunday {c} hours.",
                ),
                ("How much does {name} earn in all?", "How many dollars does {name} earn?"),
            ),
            "es": (
                (
                    "{name} gana {a} euros por hora.",
                    "{name} cobra {a} euros por cada hora de trabajo.",
                ),
                (
                    "Trabaja {b} horas el sábado y {c} horas el domingo.",
                    "El sábado trabaja {b} horas y el domingo {c} horas.",
                ),
                ("¿Cuánto gana {name} en total?", "¿Cuántos euros gana {name}?"),
            ),
        },
        working={
            "en": ("{name} works {calc} hours.", "The pay is {calc} dollars."),
            "es": ("{name} trabaja {calc} horas.", "El sueldo es de {calc} euros."),
        },
        plan={"en": ("the hours", "the pay"), "es": ("las horas", "el sueldo")},
        distractors={
            "en": ("{name} has {d} cousins.", "The {place} is {d} years old."),
            "es": ("{name} tiene {d} primos.", "La {place} tiene {d} años."),
        },
    ),
    Template(
        name="hours_left_on_a_wall",
        numbers={"t": (40, 200), "a": (2, 9), "b": (2, 9), "c": (3, 40)},
        steps=("a*b", "s1+c", "t-s2"),
        text={
            "en": (
                ("A wall takes {t} hours of work.", "Building a wall takes {t} hours of work."),
                (
                    "{name} works {a} hours a day for {b} days, then {other} works {c} hours.",
                    "For {b} days {name} works {a} hours a day, and then {other} works {c} hours.",
                ),
                ("How many hours of work are left?", "How many hours are still to do?"),
            ),
            "es": (
                (
                    "Un muro lleva {t} horas de trabajo.",
                    "Hacer un muro lleva {t} horas de trabajo.",
                ),
                (
                    "{name} trabaja {a} horas al día durante {b} días y luego {other} trabaja "
                    "{c} horas.",
                    "Durante {b} días {name} trabaja {a} horas al día, y luego {other} trabaja "
                    "{c} horas.",
                ),
                ("¿Cuántas horas de trabajo quedan?", "¿Cuántas horas faltan?"),
            ),
        },
        working={
            "en": (
                "{name} works {calc} hours.",
                "Both work {calc} hours.",
                "There are {calc} hours left.",
            ),
            "es": (
                "{name} trabaja {calc} horas.",
                "En total trabajan {calc} horas.",
                "Quedan {calc} horas.",
            ),
        },
        plan={
            "en": ("hours of {name}", "hours of both", "hours left"),
            "es": ("horas de {name}", "horas en total", "horas que quedan"),
        },
        distractors={
            "en": ("The street has {d} trees.", "{other} has {d} cousins."),
            "es": ("La calle tiene {d} árboles.", "{other} tiene {d} primos."),
        },
    ),
    Template(
        name="boxes_packed_at_a_rate",
        numbers={"a": (2, 12), "b": (2, 10), "t": (20, 150)},
        steps=("t/b", "a*s1"),
        text={
            "en": (
                (
                    "{name} packs {a} boxes every {b} minutes.",
                    "Every {b} minutes {name} packs {a} boxes.",
                ),
                ("The work lasts {t} minutes.", "{name} works for {t} minutes."),
                ("How many boxes does {name} pack?", "How many boxes does {name} pack in all?"),
            ),
            "es": (
                (
                    "{name} llena {a} cajas cada {b} minutos.",
                    "Cada {b} minutos {name} llena {a} cajas.",
                ),
                ("El trabajo dura {t} minutos.", "{name} trabaja {t} minutos."),
                ("¿Cuántas cajas llena {name}?", "¿Cuántas cajas llena {name} en total?"),
            ),
        },
        working={
            "en": ("{name} does it {calc} times.", "That makes {calc} boxes."),
            "es": ("{name} lo hace {calc} veces.", "Son {calc} cajas."),
        },
        plan={"en": ("how many times", "the boxes"), "es": ("cuántas veces", "las cajas")},
        distractors={
            "en": ("The {place} is {d} years old.", "{other} has {d} cousins."),
            "es": ("La {place} tiene {d} años.", "{other} tiene {d} primos."),
        },
        where=lambda v: v["s1"] > 1,
    ),
    Template(
        name="two_workers_together",
        numbers={"a": (2, 12), "b": (2, 12), "t": (20, 300)},
        steps=("a+b", "a+s1", "t/s2"),
        text={
            "en": (
                (
                    "{name} packs {a} {thing} an hour, and {other} packs {b} more an hour than "
                    "{name}.",
                    "Each hour {name} packs {a} {thing}, and {other} packs {b} more than {name}.",
                ),
                (
                    "They work together to pack {t} {thing}.",
                    "Together they have to pack {t} {thing}.",
                ),
                ("How many hours do they need?", "How many hours does the work take?"),
            ),
            "es": (
                (
                    "{name} empaqueta {a} {thing} por hora, y {other}, {b} más por hora que "
                    "{name}.",
                    "Cada hora {name} empaqueta {a} {thing}, y {other}, {b} más que {name}.",
                ),
                (
                    "Trabajan en equipo para empaquetar {t} {thing}.",
                    "En equipo deben empaquetar {t} {thing}.",
                ),
                ("¿Cuántas horas necesitan?", "¿Cuántas horas dura el trabajo?"),
            ),
        },
        working={
            "en": (
                "{other} packs {calc} an hour.",
                "Together they pack {calc} an hour.",
                "They need {calc} hours.",
            ),
            "es": (
                "{other} empaqueta {calc} por hora.",
                "En equipo empaquetan {calc} por hora.",
                "Necesitan {calc} horas.",
            ),
        },
        plan={
            "en": ("{other} in an hour", "both in an hour", "the hours"),
            "es": ("{other} en una hora", "el equipo por hora", "las horas"),
        },
        distractors={
            "en": ("There are {d} trees in the street.", "{name} has {d} cousins."),
            "es": ("Hay {d} árboles en la calle.", "{name} tiene {d} primos."),
        },
        where=lambda v: v["s3"] > 1,
    ),
    Template(
        name="delivery_van",
        numbers={"m": (30, 160), "a": (2, 9), "b": (2, 8), "c": (2, 30), "n": (2, 6)},
        steps=("a*b", "m-s1", "s2+c", "s3/n"),
        text={
            "en": (
                ("A van starts with {m} boxes.", "There are {m} boxes in a van."),
                (
                    "It leaves {a} boxes at each of {b} shops, then picks up {c} more.",
                    "After leaving {a} boxes at each of {b} shops, it picks up {c} more.",
                ),
                (
                    "It then shares what it has equally among {n} houses.",
                    "Now it shares all its boxes equally among {n} houses.",
                ),
                ("How many boxes does each house get?", "How many boxes go to each house?"),
            ),
            "es": (
                ("Una furgoneta sale con {m} cajas.", "En una furgoneta hay {m} cajas."),
                (
                    "Deja {a} en cada una de {b} tiendas y al final recoge {c} más.",
                    "Tras dejar {a} cajas en cada una de {b} tiendas, recoge {c} más.",
                ),
                (
                    "Luego reparte lo que lleva por igual entre {n} casas.",
                    "Ahora reparte por igual todo lo que lleva entre {n} casas.",
                ),
                ("¿Cuántas cajas recibe cada casa?", "¿Cuántas cajas van a cada casa?"),
            ),
        },
        working={
            "en": (
                "The shops get {calc} boxes.",
                "The van has {calc} boxes left.",
                "Now it has {calc} boxes.",
                "Each house gets {calc} boxes.",
            ),
            "es": (
                "Las tiendas reciben {calc} cajas.",
                "En la furgoneta quedan {calc} cajas.",
                "Ahora lleva {calc} cajas.",
                "Cada casa recibe {calc} cajas.",
            ),
        },
        plan={
            "en": ("for the shops", "boxes left", "boxes now", "one house"),
            "es": ("para las tiendas", "las que quedan", "las de ahora", "una casa"),
        },
        distractors={
            "en": ("It rains for {d} minutes.", "The street has {d} trees."),
            "es": ("Llueve durante {d} minutos.", "La calle tiene {d} árboles."),
        },
    ),
)
