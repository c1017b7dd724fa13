"""Stories about the house: reading, painting, cleaning, pets, the garden and water."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="pages_of_a_book",
        numbers={"p": (60, 200), "a": (4, 12), "b": (3, 7), "c": (2, 10)},
        steps=("a*b", "p-s1", "s2/c"),
        where=lambda v: v["s3"] > 1 and v["a"] != v["c"],
        text={
            "en": (
                ("A book has {p} pages.", "{name} starts a book of {p} pages."),
                (
                    "{name} reads {a} pages a day for {b} days.",
                    "For {b} days {name} reads {a} pages each day.",
                ),
                (
                    "After that, {name} reads {c} pages a day.",
                    "Then {name} changes to {c} pages a day.",
                ),
                (
                    "How many more days does {name} need to finish?",
                    "How many more days until the book is done?",
                ),
            ),
            "es": (
                ("Un libro tiene {p} páginas.", "{name} empieza un libro de {p} páginas."),
                (
                    "{name} lee {a} páginas al día durante {b} días.",
                    "Durante {b} días {name} lee {a} páginas cada día.",
                ),
                (
                    "Después {name} lee {c} páginas al día.",
                    "Luego {name} pasa a {c} páginas al día.",
                ),
                (
                    "¿Cuántos días más necesita {name} para terminar?",
                    "¿Cuántos días más faltan para acabar el libro?",
                ),
            ),
        },
        working={
            "en": (
                "At first {name} reads {calc} pages.",
                "Then {calc} pages are left.",
                "That takes {calc} more days.",
            ),
            "es": (
                "Primero {name} lee {calc} páginas.",
                "Entonces quedan {calc} páginas.",
                "Eso lleva {calc} días más.",
            ),
        },
        plan={
            "en": ("the pages read", "the pages left", "the days"),
            "es": ("las páginas leídas", "las páginas que quedan", "los días"),
        },
        distractors={
            "en": ("The book costs {d} dollars.", "{other} is {d} years old."),
            "es": ("El libro cuesta {d} euros.", "{other} tiene {d} años."),
        },
    ),
    Template(
        name="garden_beds",
        numbers={"b": (2, 6), "r": (2, 6), "n": (2, 8), "k": (2, 20)},
        steps=("b*r", "s1*n", "s2-k"),
        text={
            "en": (
                (
                    "A garden has {b} beds with {r} rows each.",
                    "{name} makes {b} garden beds with {r} rows in each.",
                ),
                ("Each row has {n} flowers.", "There are {n} flowers in every row."),
                ("A dog eats {k} flowers.", "The cold kills {k} flowers."),
                ("How many flowers are left?", "How many flowers does the garden still have?"),
            ),
            "es": (
                (
                    "Un jardín tiene {b} parcelas con {r} filas cada una.",
                    "{name} hace {b} parcelas en el jardín con {r} filas en cada una.",
                ),
                ("Cada fila tiene {n} flores.", "Hay {n} flores en cada fila."),
                ("Un perro se come {k} flores.", "El frío mata {k} flores."),
                ("¿Cuántas flores quedan?", "¿Cuántas flores tiene aún el jardín?"),
            ),
        },
        working={
            "en": (
                "There are {calc} rows.",
                "They have {calc} flowers.",
                "Then {calc} flowers are left.",
            ),
            "es": ("Hay {calc} filas.", "Tienen {calc} flores.", "Entonces quedan {calc} flores."),
        },
        plan={
            "en": ("the rows", "all the flowers", "the flowers left"),
            "es": ("las filas", "todas las flores", "las flores que quedan"),
        },
        distractors={
            "en": ("{other} works for {d} minutes.", "A tree in the garden is {d} years old."),
            "es": ("{other} trabaja {d} minutos.", "Un árbol del jardín tiene {d} años."),
        },
    ),
    Template(
        name="paint_for_a_floor",
        numbers={"a": (3, 12), "b": (3, 12), "c": (2, 6), "e": (2, 6), "p": (2, 9)},
        steps=("a*b", "s1/c", "s2-e", "s3*p"),
        where=lambda v: v["s3"] > 1,
        text={
            "en": (
                (
                    "{name} paints a floor of {a} by {b} meters.",
                    "The floor of a room is {a} by {b} meters.",
                ),
                (
                    "A can of paint costs {p} dollars and covers {c} square meters.",
                    "A can of paint covers {c} square meters and costs {p} dollars.",
                ),
                ("{name} already has {e} cans.", "At home {name} has {e} cans."),
                (
                    "How much do the missing cans cost?",
                    "How many dollars do the missing cans cost?",
                ),
            ),
            "es": (
                (
                    "{name} pinta un suelo de {a} por {b} metros.",
                    "El suelo de una habitación mide {a} por {b} metros.",
                ),
                (
                    "Un bote de pintura cuesta {p} euros y cubre {c} metros cuadrados.",
                    "Un bote de pintura cubre {c} metros cuadrados y cuesta {p} euros.",
                ),
                ("{name} ya tiene {e} botes.", "En casa {name} tiene {e} botes."),
                (
                    "¿Cuánto cuestan los botes que faltan?",
                    "¿Cuántos euros cuestan los botes que faltan?",
                ),
            ),
        },
        working={
            "en": (
                "The floor has {calc} square meters.",
                "That takes {calc} cans.",
                "So {calc} cans are missing.",
                "They cost {calc} dollars.",
            ),
            "es": (
                "El suelo tiene {calc} metros cuadrados.",
                "Eso lleva {calc} botes.",
                "Así que faltan {calc} botes.",
                "Cuestan {calc} euros.",
            ),
        },
        plan={
            "en": ("the floor", "all the cans", "the missing cans", "the cost"),
            "es": ("el suelo", "todos los botes", "los botes que faltan", "el coste"),
        },
        distractors={
            "en": ("{other} helps for {d} minutes.", "The house is {d} years old."),
            "es": ("{other} ayuda {d} minutos.", "La casa tiene {d} años."),
        },
    ),
    Template(
        name="two_showers",
        numbers={"a": (2, 8), "t": (6, 15), "e": (2, 5), "m": (100, 300)},
        steps=("t-e", "t+s1", "a*s2", "m-s3"),
        where=lambda v: v["s1"] > 1,
        text={
            "en": (
                (
                    "A shower uses {a} liters of water a minute.",
                    "The shower at home uses {a} liters a minute.",
                ),
                (
                    "{name} showers for {t} minutes, {other} for {e} less.",
                    "{name} takes {t} minutes, and {other} takes {e} less.",
                ),
                ("The tank had {m} liters of water.", "Before, the tank had {m} liters."),
                (
                    "How many liters are left in the tank?",
                    "How many liters does the tank have now?",
                ),
            ),
            "es": (
                (
                    "Una ducha gasta {a} litros de agua por minuto.",
                    "La ducha de casa gasta {a} litros por minuto.",
                ),
                (
                    "{name} se ducha {t} minutos y {other}, {e} menos.",
                    "{name} tarda {t} minutos y {other} tarda {e} menos.",
                ),
                ("El tanque tenía {m} litros de agua.", "Antes, el tanque tenía {m} litros."),
                ("¿Cuántos litros quedan en el tanque?", "¿Cuántos litros tiene ahora el tanque?"),
            ),
        },
        working={
            "en": (
                "{other} takes {calc} minutes.",
                "Together it is {calc} minutes.",
                "They use {calc} liters.",
                "There are {calc} liters left.",
            ),
            "es": (
                "{other} tarda {calc} minutos.",
                "En total son {calc} minutos.",
                "Gastan {calc} litros.",
                "Quedan {calc} litros.",
            ),
        },
        plan={
            "en": ("the time of {other}", "the total time", "the water used", "the water left"),
            "es": (
                "el tiempo de {other}",
                "el tiempo total",
                "el agua gastada",
                "el agua que queda",
            ),
        },
        distractors={
            "en": ("{name} is {d} years old.", "The house is {d} years old."),
            "es": ("{name} tiene {d} años.", "La casa tiene {d} años."),
        },
    ),
    Template(
        name="cats_and_dogs",
        numbers={"a": (2, 8), "b": (2, 6), "c": (2, 5), "e": (2, 5), "m": (50, 200)},
        steps=("c+e", "a*c", "b*s1", "s2+s3", "m-s4"),
        text={
            "en": (
                ("{name} has {a} cats and {b} dogs.", "{name} feeds {a} cats and {b} dogs."),
                (
                    "A cat eats {c} cups a day, a dog eats {e} more.",
                    "Each cat gets {c} cups a day, each dog gets {e} more.",
                ),
                ("There are {m} cups of food.", "{name} has {m} cups of food."),
                ("How many cups are left after one day?", "After one day, how many cups are left?"),
            ),
            "es": (
                ("{name} tiene {a} gatos y {b} perros.", "{name} cuida {a} gatos y {b} perros."),
                (
                    "Un gato come {c} tazas al día y un perro come {e} más.",
                    "Cada gato recibe {c} tazas al día y cada perro recibe {e} más.",
                ),
                ("Hay {m} tazas de comida.", "{name} tiene {m} tazas de comida."),
                (
                    "¿Cuántas tazas quedan después de un día?",
                    "Después de un día, ¿cuántas tazas quedan?",
                ),
            ),
        },
        working={
            "en": (
                "A dog eats {calc} cups.",
                "The cats eat {calc} cups.",
                "The dogs eat {calc} cups.",
                "Together they eat {calc} cups.",
                "There are {calc} cups left.",
            ),
            "es": (
                "Un perro come {calc} tazas.",
                "Los gatos comen {calc} tazas.",
                "Los perros comen {calc} tazas.",
                "En total comen {calc} tazas.",
                "Quedan {calc} tazas.",
            ),
        },
        plan={
            "en": ("one dog", "the cats", "the dogs", "the total", "the food left"),
            "es": ("un perro", "los gatos", "los perros", "el total", "la comida que queda"),
        },
        distractors={
            "en": ("{other} lives {d} minutes away.", "The food costs {d} dollars."),
            "es": ("{other} vive a {d} minutos.", "La comida cuesta {d} euros."),
        },
    ),
    Template(
        name="half_of_the_cleaning",
        numbers={"b": (5, 20), "e": (2, 8), "a": (2, 6), "c": (2, 9), "k": (2, 20)},
        steps=("a*b", "c*e", "s1+s2", "s3/2", "s4-k"),
        text={
            "en": (
                (
                    "A room takes {b} minutes to clean, a window {e}.",
                    "Cleaning takes {b} minutes a room and {e} a window.",
                ),
                (
                    "There are {a} rooms and {c} windows.",
                    "The house has {a} rooms and {c} windows.",
                ),
                (
                    "{name} must do half and has worked {k} minutes.",
                    "{name} does half the work and has done {k} minutes.",
                ),
                (
                    "How many more minutes must {name} work?",
                    "How many minutes are left for {name}?",
                ),
            ),
            "es": (
                (
                    "Una habitación se limpia en {b} minutos y una ventana en {e}.",
                    "Limpiar lleva {b} minutos por habitación y {e} por ventana.",
                ),
                (
                    "Hay {a} habitaciones y {c} ventanas.",
                    "La casa tiene {a} habitaciones y {c} ventanas.",
                ),
                (
                    "{name} hace la mitad y ya lleva {k} minutos.",
                    "A {name} le toca la mitad y ya lleva {k} minutos.",
                ),
                (
                    "¿Cuántos minutos más debe trabajar {name}?",
                    "¿Cuántos minutos le quedan a {name}?",
                ),
            ),
        },
        working={
            "en": (
                "The rooms take {calc} minutes.",
                "The windows take {calc} minutes.",
                "Together {calc} minutes.",
                "Half of it is {calc} minutes.",
                "{name} must work {calc} more minutes.",
            ),
            "es": (
                "Las habitaciones llevan {calc} minutos.",
                "Las ventanas llevan {calc} minutos.",
                "En total {calc} minutos.",
                "La mitad son {calc} minutos.",
                "A {name} le quedan {calc} minutos.",
            ),
        },
        plan={
            "en": ("the rooms", "the windows", "the total", "half of it", "the time left"),
            "es": (
                "las habitaciones",
                "las ventanas",
                "el total",
                "la mitad",
                "el tiempo que queda",
            ),
        },
        distractors={
            "en": ("The house is {d} years old.", "{other} has {d} {thing}."),
            "es": ("La casa tiene {d} años.", "{other} tiene {d} {thing}."),
        },
    ),
)
