"""Stories about saving, and about spending what was saved."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="saving_for_a_bike",
        numbers={"p": (50, 200), "h": (5, 50), "g": (5, 40), "w": (2, 9)},
        steps=("h+g", "p-s1", "s2/w"),
        where=lambda v: 1 < v["s3"] <= 40,
        text={
            "en": (
                (
                    "{name} wants a bike that costs {p} dollars.",
                    "A bike for {name} costs {p} dollars.",
                ),
                (
                    "{name} has {h} dollars and gets {g} more.",
                    "{name} has {h} dollars, and {other} gives {g} more.",
                ),
                ("Each week {name} saves {w} dollars.", "Now {name} saves {w} dollars a week."),
                (
                    "How many weeks until {name} can buy the bike?",
                    "After how many weeks can {name} buy the bike?",
                ),
            ),
            "es": (
                (
                    "{name} quiere una bici que cuesta {p} euros.",
                    "Una bici para {name} cuesta {p} euros.",
                ),
                (
                    "{name} tiene {h} euros y recibe {g} más.",
                    "{name} tiene {h} euros y {other} le da {g} más.",
                ),
                (
                    "Cada semana {name} ahorra {w} euros.",
                    "Ahora {name} ahorra {w} euros por semana.",
                ),
                (
                    "¿Cuántas semanas faltan para comprar la bici?",
                    "¿En cuántas semanas puede {name} comprar la bici?",
                ),
            ),
        },
        working={
            "en": (
                "{name} has {calc} dollars.",
                "The bike needs {calc} dollars more.",
                "That takes {calc} weeks.",
            ),
            "es": (
                "{name} tiene {calc} euros.",
                "Para la bici faltan {calc} euros.",
                "Eso lleva {calc} semanas.",
            ),
        },
        plan={
            "en": ("the money now", "the money missing", "the weeks"),
            "es": ("el dinero actual", "el dinero que falta", "las semanas"),
        },
        distractors={
            "en": ("The shop is {d} minutes away.", "{other} is {d} years old."),
            "es": ("La tienda está a {d} minutos.", "{other} tiene {d} años."),
        },
    ),
    Template(
        name="spends_twice_and_more",
        numbers={"a": (5, 40), "b": (2, 30), "m": (60, 250)},
        steps=("2*a", "s1+b", "a+s2", "m-s3"),
        text={
            "en": (
                (
                    "{name} spends {a} dollars at the {place}.",
                    "At the {place}, {name} spends {a} dollars.",
                ),
                (
                    "{other} spends twice as much plus {b} dollars more.",
                    "{other} spends {b} dollars more than twice that.",
                ),
                (
                    "Before, they had {m} dollars together.",
                    "Together they had {m} dollars at first.",
                ),
                (
                    "How many dollars do they have left together?",
                    "How much money is left in total?",
                ),
            ),
            "es": (
                ("{name} gasta {a} euros en la {place}.", "En la {place}, {name} gasta {a} euros."),
                (
                    "{other} gasta el doble y {b} euros más.",
                    "{other} gasta {b} euros más que el doble de eso.",
                ),
                ("Antes tenían {m} euros en total.", "Al principio tenían {m} euros en total."),
                ("¿Cuántos euros les quedan en total?", "¿Cuánto dinero les queda en total?"),
            ),
        },
        working={
            "en": (
                "Twice as much is {calc} dollars.",
                "{other} spends {calc} dollars.",
                "Together they spend {calc} dollars.",
                "They have {calc} dollars left.",
            ),
            "es": (
                "El doble es {calc} euros.",
                "{other} gasta {calc} euros.",
                "En total gastan {calc} euros.",
                "Les quedan {calc} euros.",
            ),
        },
        plan={
            "en": ("twice as much", "what {other} spends", "the total cost", "the money left"),
            "es": ("el doble", "el gasto de {other}", "el gasto total", "el dinero que queda"),
        },
        distractors={
            "en": ("The bus comes in {d} minutes.", "{name} is {d} years old."),
            "es": ("El autobús llega en {d} minutos.", "{name} tiene {d} años."),
        },
    ),
    Template(
        name="paying_in_parts",
        numbers={"n": (2, 6), "p": (5, 30), "q": (20, 90), "c": (5, 30), "w": (2, 6)},
        steps=("n*p", "s1+q", "s2-c", "s3/w"),
        text={
            "en": (
                (
                    "{name} buys {n} shirts at {p} dollars each and a coat for {q} dollars.",
                    "{name} buys a coat for {q} dollars and {n} shirts at {p} dollars each.",
                ),
                (
                    "The shop takes {c} dollars off the total.",
                    "{name} gets {c} dollars off the total.",
                ),
                ("{name} pays in {w} equal parts.", "It is paid in {w} equal parts."),
                ("How much is each part?", "How much is one part?"),
            ),
            "es": (
                (
                    "{name} compra {n} camisas a {p} euros cada una y un abrigo de {q} euros.",
                    "{name} quiere un abrigo de {q} euros y {n} camisas a {p} euros cada una.",
                ),
                ("La tienda descuenta {c} euros del total.", "Del total le descuentan {c} euros."),
                ("{name} paga en {w} partes iguales.", "Se paga en {w} partes iguales."),
                ("¿De cuánto es cada parte?", "¿De cuántos euros es cada parte?"),
            ),
        },
        working={
            "en": (
                "The shirts cost {calc} dollars.",
                "With the coat it is {calc} dollars.",
                "{name} has to pay {calc} dollars.",
                "Each part is {calc} dollars.",
            ),
            "es": (
                "Las camisas cuestan {calc} euros.",
                "Con el abrigo son {calc} euros.",
                "{name} debe pagar {calc} euros.",
                "Cada parte es de {calc} euros.",
            ),
        },
        plan={
            "en": ("the shirts", "the total", "the new total", "one part"),
            "es": ("las camisas", "el total", "el nuevo total", "una parte"),
        },
        distractors={
            "en": ("{other} waits {d} minutes.", "The coat has {d} buttons."),
            "es": ("{other} espera {d} minutos.", "El abrigo tiene {d} botones."),
        },
    ),
    Template(
        name="tickets_at_half_price",
        numbers={"t": (4, 20), "a": (2, 6), "c": (2, 8), "m": (60, 250)},
        steps=("t/2", "a*t", "c*s1", "s2+s3", "m-s4"),
        where=lambda v: v["s1"] > 1,
        text={
            "en": (
                (
                    "A ticket costs {t} dollars, and children pay half.",
                    "Adults pay {t} dollars and children half of that.",
                ),
                (
                    "{name} buys tickets for {a} adults and {c} children.",
                    "{name} pays for {a} adults and {c} children.",
                ),
                ("Before, {name} had {m} dollars.", "{name} came with {m} dollars."),
                (
                    "How many dollars does {name} have left?",
                    "How much money does {name} have left?",
                ),
            ),
            "es": (
                (
                    "Una entrada cuesta {t} euros y los niños pagan la mitad.",
                    "Los adultos pagan {t} euros y los niños la mitad.",
                ),
                (
                    "{name} compra entradas para {a} adultos y {c} niños.",
                    "{name} paga por {a} adultos y {c} niños.",
                ),
                ("Antes, {name} tenía {m} euros.", "{name} llevaba {m} euros."),
                ("¿Cuántos euros le quedan a {name}?", "¿Cuánto dinero le queda a {name}?"),
            ),
        },
        working={
            "en": (
                "A child pays {calc} dollars.",
                "The adults pay {calc} dollars.",
                "The children pay {calc} dollars.",
                "Together they pay {calc} dollars.",
                "{name} has {calc} dollars left.",
            ),
            "es": (
                "Un niño paga {calc} euros.",
                "Los adultos pagan {calc} euros.",
                "Los niños pagan {calc} euros.",
                "En total pagan {calc} euros.",
                "A {name} le quedan {calc} euros.",
            ),
        },
        plan={
            "en": ("half price", "the adults", "the children", "the total", "the money left"),
            "es": ("la mitad", "los adultos", "los niños", "el total", "el dinero que queda"),
        },
        distractors={
            "en": ("The show begins in {d} minutes.", "{other} is {d} years old."),
            "es": ("La función empieza en {d} minutos.", "{other} tiene {d} años."),
        },
    ),
)
