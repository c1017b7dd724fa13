"""Stories about trades: baking, repairs, orders and overtime."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="trays_of_rolls",
        numbers={"a": (3, 12), "b": (4, 12), "c": (2, 20), "n": (2, 6)},
        steps=("a*b", "s1-c", "s2/n"),
        text={
            "en": (
                (
                    "A baker makes {a} trays of {b} rolls.",
                    "A baker fills {a} trays with {b} rolls each.",
                ),
                (
                    "Of all the rolls {c} burn, and the rest go into bags of {n}.",
                    "The baker burns {c} rolls and puts the rest in bags of {n}.",
                ),
                ("How many bags are there?", "How many bags does the baker fill?"),
            ),
            "es": (
                (
                    "Una panadera hace {a} bandejas de {b} panes.",
                    "Una panadera llena {a} bandejas con {b} panes cada una.",
                ),
                (
                    "De todos los panes se queman {c}, y el resto va en bolsas de {n}.",
                    "La panadera quema {c} panes y pone el resto en bolsas de {n}.",
                ),
                ("¿Cuántas bolsas hay?", "¿Cuántas bolsas llena la panadera?"),
            ),
        },
        working={
            "en": (
                "There are {calc} rolls.",
                "There are {calc} good rolls.",
                "They fill {calc} bags.",
            ),
            "es": ("Hay {calc} panes.", "Hay {calc} panes buenos.", "Llenan {calc} bolsas."),
        },
        plan={
            "en": ("all the rolls", "the good rolls", "the bags"),
            "es": ("todos los panes", "los panes buenos", "las bolsas"),
        },
        distractors={
            "en": ("The shop has {d} chairs.", "It rains for {d} minutes."),
            "es": ("La tienda tiene {d} sillas.", "Llueve durante {d} minutos."),
        },
        where=lambda v: v["c"] < v["s2"],
    ),
    Template(
        name="repairs_at_half_the_price",
        numbers={"p": (4, 50), "a": (2, 10), "b": (2, 12)},
        steps=("p/2", "a*p", "b*s1", "s2+s3"),
        text={
            "en": (
                (
                    "{name} repairs a bike for {p} dollars and a radio for half as much.",
                    "{name} asks {p} dollars to repair a bike and half of that for a radio.",
                ),
                (
                    "This week {name} repairs {a} bikes and {b} radios.",
                    "On Monday {name} repairs {b} radios and {a} bikes.",
                ),
                ("How much does {name} earn?", "How many dollars does {name} get in all?"),
            ),
            "es": (
                (
                    "{name} arregla una bici por {p} euros y una radio por la mitad.",
                    "{name} cobra {p} euros por arreglar una bici y la mitad por una radio.",
                ),
                (
                    "Esta semana arregla {a} bicis y {b} radios.",
                    "El lunes arregla {b} radios y {a} bicis.",
                ),
                ("¿Cuánto gana {name}?", "¿Cuántos euros cobra {name} en total?"),
            ),
        },
        working={
            "en": (
                "One radio pays {calc} dollars.",
                "The bikes pay {calc} dollars.",
                "The radios pay {calc} dollars.",
                "{name} earns {calc} dollars.",
            ),
            "es": (
                "Una radio vale {calc} euros.",
                "Las bicis suman {calc} euros.",
                "Las radios suman {calc} euros.",
                "{name} gana {calc} euros.",
            ),
        },
        plan={
            "en": ("one radio", "the bikes", "the radios", "the total"),
            "es": ("una radio", "las bicis", "las radios", "el total"),
        },
        distractors={
            "en": ("{other} has {d} cousins.", "The {place} is {d} years old."),
            "es": ("{other} tiene {d} primos.", "La {place} tiene {d} años."),
        },
    ),
    Template(
        name="orders_of_three_days",
        numbers={"a": (5, 60), "b": (2, 40), "n": (2, 6)},
        steps=("2*a", "s1-b", "a+s1", "s3+s2", "s4/n"),
        text={
            "en": (
                (
                    "A shop gets {a} orders on Monday and twice as many on Tuesday.",
                    "On Monday a shop gets {a} orders, and on Tuesday twice as many.",
                ),
                (
                    "On Wednesday it gets {b} fewer than on Tuesday.",
                    "Wednesday brings {b} fewer than Tuesday.",
                ),
                (
                    "All the orders are shared equally by {n} workers.",
                    "Then {n} workers share all the orders equally.",
                ),
                ("How many orders does each worker get?", "How many orders go to each worker?"),
            ),
            "es": (
                (
                    "Una tienda recibe {a} pedidos el lunes y el doble el martes.",
                    "El lunes una tienda recibe {a} pedidos, y el martes, el doble.",
                ),
                (
                    "El miércoles recibe {b} menos que el martes.",
                    "El miércoles llegan {b} menos que el martes.",
                ),
                (
                    "Todos los pedidos se reparten por igual entre {n} personas.",
                    "Luego {n} personas se reparten todos los pedidos por igual.",
                ),
                ("¿Cuántos pedidos recibe cada persona?", "¿Cuántos pedidos tiene cada persona?"),
            ),
        },
        working={
            "en": (
                "Tuesday has {calc} orders.",
                "Wednesday has {calc} orders.",
                "The first two days have {calc}.",
                "All days have {calc} orders.",
                "Each worker gets {calc} orders.",
            ),
            "es": (
                "El martes hay {calc} pedidos.",
                "El miércoles hay {calc} pedidos.",
                "Los dos primeros días hay {calc}.",
                "En total hay {calc} pedidos.",
                "Cada persona recibe {calc} pedidos.",
            ),
        },
        plan={
            "en": ("Tuesday", "Wednesday", "the first two", "all days", "one worker"),
            "es": ("el martes", "el miércoles", "los dos primeros", "el total", "una persona"),
        },
        distractors={
            "en": ("The shop has {d} windows.", "The street has {d} trees."),
            "es": ("La tienda tiene {d} ventanas.", "La calle tiene {d} árboles."),
        },
    ),
    Template(
        name="overtime_pay",
        numbers={"a": (3, 14), "c": (2, 6), "h": (3, 15), "e": (2, 6), "t": (5, 90)},
        steps=("a*h", "a+c", "s2*e", "s1+s3", "s4-t"),
        text={
            "en": (
                (
                    "A normal hour pays {a} dollars, and an extra hour {c} dollars more.",
                    "An extra hour pays {c} dollars more than a normal hour, which pays {a} "
                    "dollars.",
                ),
                (
                    "{name} works {h} normal hours and {e} extra hours, then spends {t} dollars.",
                    "After {h} normal hours and {e} extra hours, {name} spends {t} dollars.",
                ),
                ("How much of the pay is left?", "How many dollars of the pay are left?"),
            ),
            "es": (
                (
                    "Una hora normal se paga a {a} euros, y una hora extra, a {c} euros más.",
                    "Por una hora normal pagan {a} euros y por una hora extra {c} euros más.",
                ),
                (
                    "{name} trabaja {h} horas normales y {e} horas extra, y gasta {t} euros.",
                    "Tras {h} horas normales y {e} horas extra, {name} gasta {t} euros.",
                ),
                ("¿Cuánto queda del sueldo?", "¿Cuántos euros del sueldo quedan?"),
            ),
        },
        working={
            "en": (
                "The normal hours pay {calc} dollars.",
                "An extra hour pays {calc} dollars.",
                "The extra hours pay {calc} dollars.",
                "The pay is {calc} dollars.",
                "There are {calc} dollars left.",
            ),
            "es": (
                "Las horas normales suman {calc} euros.",
                "Una hora extra vale {calc} euros.",
                "Las horas extra suman {calc} euros.",
                "El sueldo es de {calc} euros.",
                "Quedan {calc} euros.",
            ),
        },
        plan={
            "en": ("normal hours", "one extra hour", "extra hours", "the pay", "what is left"),
            "es": ("horas normales", "una hora extra", "horas extra", "el sueldo", "lo que queda"),
        },
        distractors={
            "en": ("{name} has {d} cousins.", "The {place} is {d} years old."),
            "es": ("{name} tiene {d} primos.", "La {place} tiene {d} años."),
        },
    ),
)
