"""Stories about trees, rain, bees, fish and seeds."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="trees_after_the_storms",
        numbers={"m": (20, 150), "a": (2, 30), "b": (2, 30)},
        steps=("a+b", "m-s1"),
        text={
            "en": (
                ("A park has {m} trees.", "There are {m} trees in a park."),
                (
                    "In spring {a} of them fall, and in winter {b} more fall.",
                    "One storm breaks {a} trees and the next storm breaks {b} more.",
                ),
                ("How many trees still stand?", "How many trees are left in the park?"),
            ),
            "es": (
                ("Un parque tiene {m} árboles.", "Hay {m} árboles en un parque."),
                (
                    "En primavera caen {a} de ellos y en invierno caen {b} más.",
                    "Una tormenta tira {a} árboles y la siguiente tira {b} más.",
                ),
                ("¿Cuántos árboles siguen en pie?", "¿Cuántos árboles quedan en el parque?"),
            ),
        },
        working={
            "en": ("In total {calc} trees fall.", "Then {calc} trees are left."),
            "es": ("En total caen {calc} árboles.", "Entonces quedan {calc} árboles."),
        },
        plan={
            "en": ("all that fall", "what is left"),
            "es": ("todos los que caen", "lo que queda"),
        },
        distractors={
            "en": ("{name} walks there for {d} minutes.", "The park is {d} years old."),
            "es": ("{name} camina allí durante {d} minutos.", "El parque tiene {d} años."),
        },
        where=lambda v: v["s2"] > 1,
    ),
    Template(
        name="rain_fills_a_tank",
        numbers={"m": (10, 100), "a": (2, 12), "t": (2, 12), "c": (2, 10), "b": (2, 12)},
        steps=("a*t", "m+s1", "c*b", "s2-s3"),
        text={
            "en": (
                ("A tank has {m} liters of water.", "There are {m} liters of water in a tank."),
                (
                    "Rain adds {a} liters an hour for {t} hours.",
                    "For {t} hours the rain adds {a} liters an hour.",
                ),
                (
                    "Then {name} takes {c} buckets of {b} liters.",
                    "Later {name} takes out {c} buckets of {b} liters.",
                ),
                ("How many liters are left in the tank?", "How many liters of water are left?"),
            ),
            "es": (
                ("Un tanque tiene {m} litros de agua.", "Hay {m} litros de agua en un tanque."),
                (
                    "La lluvia añade {a} litros por hora durante {t} horas.",
                    "Durante {t} horas la lluvia añade {a} litros por hora.",
                ),
                (
                    "Luego {name} saca {c} cubos de {b} litros.",
                    "Más tarde {name} saca {c} cubos de {b} litros.",
                ),
                ("¿Cuántos litros quedan en el tanque?", "¿Cuántos litros de agua quedan?"),
            ),
        },
        working={
            "en": (
                "The rain adds {calc} liters.",
                "Then the tank has {calc} liters.",
                "{name} takes {calc} liters.",
                "Now {calc} liters are left.",
            ),
            "es": (
                "La lluvia añade {calc} litros.",
                "Entonces el tanque tiene {calc} litros.",
                "{name} saca {calc} litros.",
                "Ahora quedan {calc} litros.",
            ),
        },
        plan={
            "en": ("the rain", "after the rain", "the buckets", "what is left"),
            "es": ("la lluvia", "tras la lluvia", "los cubos", "lo que queda"),
        },
        distractors={
            "en": ("The tank is {d} years old.", "{other} has {d} plants."),
            "es": ("El tanque tiene {d} años.", "{other} tiene {d} plantas."),
        },
        where=lambda v: v["s4"] > 1,
    ),
    Template(
        name="harvest_of_three_trees",
        numbers={"a": (4, 60), "b": (2, 30), "n": (2, 6)},
        steps=("2*a", "s1+b", "a+s1", "s3+s2", "s4/n"),
        text={
            "en": (
                (
                    "The first tree gives {a} kilos of fruit, the second twice as much "
                    "and the third {b} more than the second.",
                    "One tree gives {a} kilos of fruit, a second tree twice as much "
                    "and a third {b} kilos more than the second.",
                ),
                (
                    "{n} families share it all equally.",
                    "All of it is shared equally by {n} families.",
                ),
                (
                    "How many kilos does each family get?",
                    "How many kilos are there for each family?",
                ),
            ),
            "es": (
                (
                    "El primer árbol da {a} kilos de fruta, el segundo el doble y el tercero {b} "
                    "más que el segundo.",
                    "Un árbol da {a} kilos de fruta, un segundo árbol el doble "
                    "y un tercero {b} kilos más que el segundo.",
                ),
                (
                    "{n} familias se lo reparten todo por igual.",
                    "Todo se reparte por igual entre {n} familias.",
                ),
                ("¿Cuántos kilos recibe cada familia?", "¿Cuántos kilos son para cada familia?"),
            ),
        },
        working={
            "en": (
                "The second tree gives {calc} kilos.",
                "The third tree gives {calc} kilos.",
                "The first two give {calc} kilos.",
                "All three give {calc} kilos.",
                "Each family gets {calc} kilos.",
            ),
            "es": (
                "El segundo árbol da {calc} kilos.",
                "El tercer árbol da {calc} kilos.",
                "Los dos primeros dan {calc} kilos.",
                "Los tres dan {calc} kilos.",
                "Cada familia recibe {calc} kilos.",
            ),
        },
        plan={
            "en": ("the second tree", "the third tree", "the first two", "all three", "one share"),
            "es": (
                "el segundo árbol",
                "el tercer árbol",
                "los dos primeros",
                "los tres",
                "una parte",
            ),
        },
        distractors={
            "en": ("{name} works {d} hours.", "The {place} is {d} minutes away."),
            "es": ("{name} trabaja {d} horas.", "La {place} está a {d} minutos."),
        },
        where=lambda v: v["s5"] > 1,
    ),
    Template(
        name="trips_of_a_bee",
        numbers={"a": (5, 30), "b": (2, 15), "c": (2, 10)},
        steps=("a-b", "a+s1", "s2*c"),
        text={
            "en": (
                (
                    "A bee makes {a} trips in the morning and {b} fewer in the afternoon.",
                    "In the morning a bee makes {a} trips, and in the afternoon {b} trips fewer.",
                ),
                ("On each trip it visits {c} flowers.", "It visits {c} flowers a trip."),
                (
                    "How many flowers does the bee visit that day?",
                    "How many flowers does the bee visit in total?",
                ),
            ),
            "es": (
                (
                    "Una abeja hace {a} viajes por la mañana y {b} menos por la tarde.",
                    "Por la mañana una abeja hace {a} viajes, y por la tarde {b} viajes menos.",
                ),
                ("En cada viaje visita {c} flores.", "Visita {c} flores por viaje."),
                (
                    "¿Cuántas flores visita la abeja ese día?",
                    "¿Cuántas flores visita la abeja en total?",
                ),
            ),
        },
        working={
            "en": (
                "The afternoon has {calc} trips.",
                "The day has {calc} trips.",
                "The bee visits {calc} flowers.",
            ),
            "es": (
                "La tarde tiene {calc} viajes.",
                "El día tiene {calc} viajes.",
                "La abeja visita {calc} flores.",
            ),
        },
        plan={
            "en": ("afternoon trips", "all trips", "the flowers"),
            "es": ("viajes de la tarde", "todos los viajes", "las flores"),
        },
        distractors={
            "en": ("{name} watches the bee for {d} minutes.", "{name} has {d} cups of honey."),
            "es": ("{name} mira la abeja durante {d} minutos.", "{name} tiene {d} tazas de miel."),
        },
        where=lambda v: v["s1"] > 1,
    ),
    Template(
        name="fish_in_a_lake",
        numbers={"m": (40, 200), "a": (4, 15), "b": (2, 12), "k": (2, 10)},
        steps=("a-b", "s1*k", "m-s2"),
        text={
            "en": (
                ("A lake has {m} fish.", "There are {m} fish in a lake."),
                (
                    "Each day {name} takes out {a} fish and puts in {b} new ones.",
                    "Each day {a} fish are taken out and {b} new fish are put in.",
                ),
                (
                    "How many fish does the lake have after {k} days?",
                    "How many fish are in the lake {k} days later?",
                ),
            ),
            "es": (
                ("Un lago tiene {m} peces.", "Hay {m} peces en un lago."),
                (
                    "Cada día {name} saca {a} peces y mete {b} nuevos.",
                    "Cada día se sacan {a} peces y se meten {b} peces nuevos.",
                ),
                (
                    "¿Cuántos peces tiene el lago después de {k} días?",
                    "¿Cuántos peces hay en el lago {k} días más tarde?",
                ),
            ),
        },
        working={
            "en": (
                "Each day the lake loses {calc} fish.",
                "In all the days it loses {calc} fish.",
                "The lake has {calc} fish left.",
            ),
            "es": (
                "Cada día el lago pierde {calc} peces.",
                "En todos los días pierde {calc} peces.",
                "En el lago quedan {calc} peces.",
            ),
        },
        plan={
            "en": ("lost each day", "lost in total", "what is left"),
            "es": ("lo perdido al día", "lo perdido en total", "lo que queda"),
        },
        distractors={
            "en": ("{other} has {d} boats.", "The {place} is {d} minutes from the lake."),
            "es": ("{other} tiene {d} barcos.", "La {place} está a {d} minutos del lago."),
        },
        where=lambda v: v["s1"] > 1 and v["s3"] > 1,
    ),
    Template(
        name="seeds_in_pots",
        numbers={"m": (20, 200), "n": (2, 9), "c": (2, 15)},
        steps=("m/n", "s1+c"),
        text={
            "en": (
                (
                    "{name} puts {m} seeds into {n} pots, the same number in each.",
                    "{name} shares {m} seeds equally among {n} pots.",
                ),
                (
                    "Then {other} adds {c} more seeds to each pot.",
                    "Later {c} more seeds go into each pot.",
                ),
                (
                    "How many seeds are in each pot now?",
                    "How many seeds does one pot have in the end?",
                ),
            ),
            "es": (
                (
                    "{name} pone {m} semillas en {n} macetas, el mismo número en cada una.",
                    "{name} reparte {m} semillas por igual en {n} macetas.",
                ),
                (
                    "Luego {other} añade {c} semillas más a cada maceta.",
                    "Después van {c} semillas más a cada maceta.",
                ),
                (
                    "¿Cuántas semillas hay ahora en cada maceta?",
                    "¿Cuántas semillas tiene una maceta al final?",
                ),
            ),
        },
        working={
            "en": ("Each pot gets {calc} seeds.", "In the end it has {calc} seeds."),
            "es": ("Cada maceta recibe {calc} semillas.", "Al final tiene {calc} semillas."),
        },
        plan={
            "en": ("seeds at first", "seeds in the end"),
            "es": ("semillas al principio", "semillas al final"),
        },
        distractors={
            "en": ("{name} is {d} years old.", "They work {d} minutes in the garden."),
            "es": ("{name} tiene {d} años.", "Trabajan {d} minutos en el jardín."),
        },
        where=lambda v: v["s1"] > 1,
    ),
)
