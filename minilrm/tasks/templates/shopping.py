"""Stories about buying and selling."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="change_from_a_note",
        numbers={"a": (2, 12), "b": (2, 12), "m": (20, 200)},
        steps=("a*b", "m-s1"),
        text={
            "en": (
                (
                    "{name} buys {a} {thing} at {b} dollars each.",
                    "{name} takes {a} {thing}, each for {b} dollars.",
                ),
                ("{name} pays with {m} dollars.", "{name} hands over {m} dollars."),
                ("How much change does {name} get?", "How many dollars come back?"),
            ),
            "es": (
                (
                    "{name} compra {a} {thing} a {b} euros cada una.",
                    "{name} lleva {a} {thing}, cada una a {b} euros.",
                ),
                ("{name} paga con {m} euros.", "{name} entrega {m} euros."),
                ("¿Cuánto cambio recibe {name}?", "¿Cuántos euros le devuelven a {name}?"),
            ),
        },
        working={
            "en": ("The {thing} cost {calc} dollars.", "The change is {calc} dollars."),
            "es": ("Las {thing} cuestan {calc} euros.", "El cambio es {calc} euros."),
        },
        plan={"en": ("the cost", "the change"), "es": ("el coste", "el cambio")},
        distractors={
            "en": ("{other} is {d} years old.", "{other} waits {d} minutes."),
            "es": ("{other} tiene {d} años.", "{other} espera {d} minutos."),
        },
    ),
    Template(
        name="two_kinds_shared_cost",
        numbers={"a": (2, 10), "b": (2, 9), "c": (2, 10), "e": (2, 9), "n": (2, 6)},
        steps=("a*b", "c*e", "s1+s2", "s3/n"),
        text={
            "en": (
                (
                    "{n} friends buy {a} {thing} at {b} dollars each and {c} {thing2} at {e} "
                    "dollars each.",
                    "{n} friends want {a} {thing} for {b} dollars each and {c} {thing2} for {e} "
                    "dollars each.",
                ),
                ("They share the cost equally.", "They split the bill evenly."),
                ("How much does each friend pay?", "How many dollars is that for each friend?"),
            ),
            "es": (
                (
                    "{n} amigos compran {a} {thing} a {b} euros cada una y {c} {thing2} a {e} "
                    "euros cada una.",
                    "{n} amigos quieren {a} {thing} de {b} euros y {c} {thing2} de {e} euros.",
                ),
                ("Reparten el coste por igual.", "Pagan a partes iguales."),
                ("¿Cuánto paga cada amigo?", "¿Cuántos euros pone cada amigo?"),
            ),
        },
        working={
            "en": (
                "The {thing} cost {calc} dollars.",
                "The {thing2} cost {calc} dollars.",
                "Together {calc} dollars.",
                "Each pays {calc} dollars.",
            ),
            "es": (
                "Las {thing} cuestan {calc} euros.",
                "Las {thing2} cuestan {calc} euros.",
                "En total {calc} euros.",
                "Cada uno paga {calc} euros.",
            ),
        },
        plan={
            "en": ("the {thing}", "the {thing2}", "the total", "one share"),
            "es": ("las {thing}", "las {thing2}", "el total", "una parte"),
        },
        distractors={
            "en": ("{name} is {d} years old.", "The {place} is {d} minutes away."),
            "es": ("{name} tiene {d} años.", "La {place} está a {d} minutos."),
        },
    ),
    Template(
        name="cheaper_chairs",
        numbers={"p": (10, 40), "c": (2, 9), "n": (2, 9)},
        steps=("p-c", "s1*n"),
        text={
            "en": (
                ("A chair costs {p} dollars.", "The price of a chair is {p} dollars."),
                (
                    "Today each chair is {c} dollars cheaper.",
                    "Today the shop takes {c} dollars off each chair.",
                ),
                (
                    "How much do {n} chairs cost today?",
                    "How many dollars does {name} pay today for {n} chairs?",
                ),
            ),
            "es": (
                ("Una silla cuesta {p} euros.", "El precio de una silla es de {p} euros."),
                (
                    "Hoy cada silla cuesta {c} euros menos.",
                    "Hoy la tienda descuenta {c} euros en cada silla.",
                ),
                (
                    "¿Cuánto cuestan hoy {n} sillas?",
                    "¿Cuántos euros paga hoy {name} por {n} sillas?",
                ),
            ),
        },
        working={
            "en": ("Today a chair costs {calc} dollars.", "All the chairs cost {calc} dollars."),
            "es": ("Hoy una silla cuesta {calc} euros.", "Todas las sillas cuestan {calc} euros."),
        },
        plan={"en": ("the new price", "the total"), "es": ("el nuevo precio", "el total")},
        distractors={
            "en": ("The shop is {d} years old.", "{other} lives {d} minutes away."),
            "es": ("La tienda tiene {d} años.", "{other} vive a {d} minutos."),
        },
    ),
    Template(
        name="packs_of_candles",
        numbers={"n": (2, 9), "p": (2, 15), "m": (10, 120)},
        steps=("m/n", "s1*p"),
        where=lambda v: v["s1"] > 1,
        text={
            "en": (
                ("Candles come in packs of {n}.", "A pack has {n} candles."),
                ("Each pack costs {p} dollars.", "The price of a pack is {p} dollars."),
                ("{name} buys {m} candles.", "{name} needs {m} candles."),
                ("How much do the candles cost?", "How many dollars does {name} pay?"),
            ),
            "es": (
                ("Las velas vienen en paquetes de {n}.", "Un paquete trae {n} velas."),
                ("Cada paquete cuesta {p} euros.", "El precio de un paquete es de {p} euros."),
                ("{name} compra {m} velas.", "{name} necesita {m} velas."),
                ("¿Cuánto cuestan las velas?", "¿Cuántos euros paga {name}?"),
            ),
        },
        working={
            "en": ("{name} buys {calc} packs.", "The packs cost {calc} dollars."),
            "es": ("{name} compra {calc} paquetes.", "Los paquetes cuestan {calc} euros."),
        },
        plan={"en": ("the packs", "the cost"), "es": ("los paquetes", "el coste")},
        distractors={
            "en": ("A candle burns for {d} hours.", "{other} turns {d} years old."),
            "es": ("Una vela dura {d} horas.", "{other} cumple {d} años."),
        },
    ),
    Template(
        name="broken_plates",
        numbers={"b": (2, 8), "n": (3, 10), "q": (2, 12), "p": (2, 5)},
        steps=("b*n", "s1-q", "s2*p"),
        where=lambda v: v["s2"] > 1,
        text={
            "en": (
                (
                    "{name} brings {b} boxes of {n} plates to the market.",
                    "{name} has {b} boxes with {n} plates each.",
                ),
                ("On the way {q} plates break.", "Sadly, {q} plates break."),
                (
                    "{name} sells the rest at {p} dollars each.",
                    "All the others are sold at {p} dollars each.",
                ),
                ("How much does {name} get?", "How many dollars does {name} get for the plates?"),
            ),
            "es": (
                (
                    "{name} lleva {b} cajas de {n} platos al mercado.",
                    "{name} tiene {b} cajas con {n} platos cada una.",
                ),
                ("En el camino se rompen {q} platos.", "Por desgracia, se rompen {q} platos."),
                (
                    "{name} vende el resto a {p} euros cada uno.",
                    "Todos los demás se venden a {p} euros cada uno.",
                ),
                ("¿Cuánto dinero recibe {name}?", "¿Cuántos euros recibe {name} por los platos?"),
            ),
        },
        working={
            "en": (
                "There are {calc} plates.",
                "After that {calc} plates are left.",
                "They sell for {calc} dollars.",
            ),
            "es": (
                "Hay {calc} platos.",
                "Después quedan {calc} platos.",
                "Se venden por {calc} euros.",
            ),
        },
        plan={
            "en": ("all the plates", "the plates left", "the money"),
            "es": ("todos los platos", "los platos que quedan", "el dinero"),
        },
        distractors={
            "en": ("The trip takes {d} minutes.", "{other} is {d} years old."),
            "es": ("El viaje dura {d} minutos.", "{other} tiene {d} años."),
        },
    ),
    Template(
        name="profit_at_the_market",
        numbers={"n": (4, 12), "a": (2, 10), "b": (5, 20), "r": (2, 15)},
        steps=("b-a", "s1*n", "s2-r"),
        text={
            "en": (
                (
                    "{name} buys {n} {thing} at {a} dollars each.",
                    "{name} gets {n} {thing} for {a} dollars each.",
                ),
                (
                    "{name} sells them all at {b} dollars each.",
                    "Then all are sold at {b} dollars each.",
                ),
                (
                    "A table to sell on costs {r} dollars.",
                    "{name} also pays {r} dollars for a table.",
                ),
                (
                    "How much does {name} earn after all costs?",
                    "How much profit does {name} make in the end?",
                ),
            ),
            "es": (
                (
                    "{name} compra {n} {thing} a {a} euros cada una.",
                    "{name} consigue {n} {thing} por {a} euros cada una.",
                ),
                (
                    "Luego las vende todas a {b} euros cada una.",
                    "Después vende todas a {b} euros cada una.",
                ),
                (
                    "Una mesa para vender cuesta {r} euros.",
                    "{name} también paga {r} euros por una mesa.",
                ),
                (
                    "¿Cuánto gana {name} después de pagarlo todo?",
                    "¿Cuántos euros de ganancia tiene {name} al final?",
                ),
            ),
        },
        working={
            "en": (
                "Each one brings a gain of {calc} dollars.",
                "All the {thing} bring {calc} dollars.",
                "After the cost of the table it is {calc} dollars.",
            ),
            "es": (
                "Con cada una gana {calc} euros.",
                "Con todas las {thing} gana {calc} euros.",
                "Después de pagar la mesa son {calc} euros.",
            ),
        },
        plan={
            "en": ("the gain on one", "the gain on all", "the rest"),
            "es": ("la ganancia por una", "la ganancia por todas", "el resto"),
        },
        distractors={
            "en": ("{other} stays for {d} minutes.", "The market is {d} years old."),
            "es": ("{other} se queda {d} minutos.", "El mercado tiene {d} años."),
        },
    ),
)
