"""Stories about going places: speed, fuel, tickets, hotels and luggage."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="boat_at_the_same_speed",
        numbers={"a": (20, 200), "b": (2, 6), "c": (2, 10)},
        steps=("a/b", "c*s1"),
        text={
            "en": (
                ("A boat travels {a} km in {b} hours.", "In {b} hours a boat travels {a} km."),
                ("Its speed never changes.", "It always goes at the same speed."),
                (
                    "How many km does it travel in {c} hours?",
                    "How many km does the boat go in {c} hours?",
                ),
            ),
            "es": (
                ("Un barco recorre {a} km en {b} horas.", "En {b} horas un barco recorre {a} km."),
                ("Su velocidad no cambia.", "Siempre va a la misma velocidad."),
                ("¿Cuántos km recorre en {c} horas?", "¿Cuántos km hace el barco en {c} horas?"),
            ),
        },
        working={
            "en": ("In one hour it travels {calc} km.", "In all it travels {calc} km."),
            "es": ("En una hora recorre {calc} km.", "En total recorre {calc} km."),
        },
        plan={"en": ("km in an hour", "all the km"), "es": ("km en una hora", "todos los km")},
        distractors={
            "en": ("The boat has {d} windows.", "There are {d} people on the boat."),
            "es": ("El barco tiene {d} ventanas.", "En el barco hay {d} personas."),
        },
        where=lambda v: v["b"] != v["c"],
    ),
    Template(
        name="half_the_bus_gets_off",
        numbers={"a": (10, 80), "b": (2, 40), "c": (2, 40)},
        steps=("a-b", "s1+c", "s2/2"),
        text={
            "en": (
                ("A bus has {a} passengers.", "There are {a} passengers on a bus."),
                (
                    "At the first stop {b} get off and {c} get on.",
                    "First {b} get off at a stop and {c} get on.",
                ),
                (
                    "At the next stop half of the passengers get off.",
                    "Half of the passengers get off at the next stop.",
                ),
                ("How many are still on the bus?", "How many passengers are left?"),
            ),
            "es": (
                ("Un autobús lleva {a} pasajeros.", "En un autobús hay {a} pasajeros."),
                (
                    "En la primera parada bajan {b} y suben {c}.",
                    "Primero bajan {b} en una parada y suben {c}.",
                ),
                (
                    "En la siguiente parada baja la mitad de los pasajeros.",
                    "La mitad de los pasajeros baja en la siguiente parada.",
                ),
                ("¿Cuántos siguen en el autobús?", "¿Cuántos pasajeros quedan?"),
            ),
        },
        working={
            "en": (
                "After some get off there are {calc}.",
                "With the new ones there are {calc}.",
                "Half of them, {calc}, are left.",
            ),
            "es": (
                "Al bajar unos quedan {calc}.",
                "Con los nuevos hay {calc}.",
                "Queda la mitad, {calc}.",
            ),
        },
        plan={
            "en": ("after getting off", "after getting on", "half of them"),
            "es": ("tras bajar", "tras subir", "la mitad"),
        },
        distractors={
            "en": ("The street has {d} trees.", "It rains for {d} minutes."),
            "es": ("La calle tiene {d} árboles.", "Llueve durante {d} minutos."),
        },
    ),
    Template(
        name="fuel_there_and_back",
        numbers={"m": (30, 200), "t": (10, 120), "b": (4, 12), "c": (2, 6)},
        steps=("2*t", "s1/b", "c*s2", "m-s3"),
        text={
            "en": (
                (
                    "{name} has {m} dollars and drives to a town {t} km away and back.",
                    "With {m} dollars {name} drives to a town and back, {t} km each way.",
                ),
                (
                    "The car goes {b} km on a liter of fuel, which costs {c} dollars.",
                    "A liter of fuel costs {c} dollars and lasts for {b} km.",
                ),
                (
                    "How much money is left after the trip?",
                    "How many dollars are left after the trip?",
                ),
            ),
            "es": (
                (
                    "{name} tiene {m} euros, va a un pueblo a {t} km y vuelve.",
                    "Con {m} euros, {name} va en coche a un pueblo y vuelve, {t} km cada vez.",
                ),
                (
                    "El coche hace {b} km con un litro de gasolina, que cuesta {c} euros.",
                    "Un litro de gasolina cuesta {c} euros y da para {b} km.",
                ),
                ("Tras el viaje, ¿cuánto dinero queda?", "¿Cuántos euros quedan tras el viaje?"),
            ),
        },
        working={
            "en": (
                "The trip is {calc} km.",
                "It needs {calc} liters.",
                "The fuel costs {calc} dollars.",
                "There are {calc} dollars left.",
            ),
            "es": (
                "El viaje es de {calc} km.",
                "Necesita {calc} litros.",
                "La gasolina cuesta {calc} euros.",
                "Quedan {calc} euros.",
            ),
        },
        plan={
            "en": ("the trip", "the liters", "the cost", "what is left"),
            "es": ("el viaje", "los litros", "el coste", "lo que queda"),
        },
        distractors={
            "en": ("{other} has {d} cousins.", "The town has {d} streets."),
            "es": ("{other} tiene {d} primos.", "El pueblo tiene {d} calles."),
        },
    ),
    Template(
        name="group_tickets",
        numbers={"a": (6, 20), "c": (2, 9), "n": (4, 25), "k": (2, 6)},
        steps=("a-c", "n+k", "s1*s2"),
        text={
            "en": (
                (
                    "A ticket costs {a} dollars, but groups pay {c} dollars less for each one.",
                    "A ticket costs {a} dollars, or {c} dollars less for each person in a group.",
                ),
                (
                    "A group of {n} children and {k} teachers buys a ticket each.",
                    "There is a group of {k} teachers and {n} children.",
                ),
                ("How much does the group pay?", "How many dollars does the group pay in all?"),
            ),
            "es": (
                (
                    "Una entrada cuesta {a} euros, pero los grupos pagan {c} euros menos por "
                    "cada una.",
                    "Una entrada cuesta {a} euros, o {c} euros menos por persona en grupo.",
                ),
                (
                    "Un grupo de {n} niños y {k} maestros compra una entrada por persona.",
                    "Hay un grupo de {k} maestros y {n} niños.",
                ),
                ("¿Cuánto paga el grupo?", "¿Cuántos euros paga el grupo en total?"),
            ),
        },
        working={
            "en": (
                "One ticket costs {calc} dollars.",
                "There are {calc} people.",
                "The group pays {calc} dollars.",
            ),
            "es": (
                "Una entrada cuesta {calc} euros.",
                "Hay {calc} personas.",
                "El grupo paga {calc} euros.",
            ),
        },
        plan={
            "en": ("one ticket", "the people", "the total"),
            "es": ("una entrada", "las personas", "el total"),
        },
        distractors={
            "en": ("The {place} is {d} years old.", "The show lasts {d} minutes."),
            "es": ("La {place} tiene {d} años.", "La obra dura {d} minutos."),
        },
    ),
    Template(
        name="cheaper_hotel",
        numbers={"m": (30, 240), "n": (2, 6), "b": (2, 20)},
        steps=("m/n", "s1-b"),
        text={
            "en": (
                (
                    "{name} pays {m} dollars for {n} nights in a hotel.",
                    "For {n} nights in a hotel {name} pays {m} dollars.",
                ),
                (
                    "In another hotel {other} pays {b} dollars less a night.",
                    "Another hotel, where {other} stays, costs {b} dollars less a night.",
                ),
                (
                    "How much does {other} pay for one night?",
                    "How many dollars is one night for {other}?",
                ),
            ),
            "es": (
                (
                    "{name} paga {m} euros por {n} noches de hotel.",
                    "Por {n} noches de hotel {name} paga {m} euros.",
                ),
                (
                    "En otro hotel {other} paga {b} euros menos por noche.",
                    "Otro hotel, donde está {other}, cuesta {b} euros menos por noche.",
                ),
                (
                    "¿Cuánto paga {other} por una noche?",
                    "¿Cuántos euros le cuesta una noche a {other}?",
                ),
            ),
        },
        working={
            "en": ("{name} pays {calc} dollars a night.", "{other} pays {calc} dollars a night."),
            "es": ("{name} paga {calc} euros por noche.", "{other} paga {calc} euros por noche."),
        },
        plan={
            "en": ("a night for {name}", "a night for {other}"),
            "es": ("noche de {name}", "noche de {other}"),
        },
        distractors={
            "en": ("The town has {d} streets.", "{name} has {d} cousins."),
            "es": ("El pueblo tiene {d} calles.", "{name} tiene {d} primos."),
        },
    ),
    Template(
        name="luggage_limit",
        numbers={"m": (60, 240), "a": (6, 60), "n": (2, 9)},
        steps=("a/3", "n*s1", "a+s2", "m-s3"),
        text={
            "en": (
                ("A car can carry {m} kg of luggage.", "The luggage in a car may weigh {m} kg."),
                (
                    "{name} puts in a suitcase of {a} kg and {n} bags that each weigh a third as "
                    "much.",
                    "{name} puts in {n} bags and a suitcase of {a} kg; each bag weighs a third "
                    "of the suitcase.",
                ),
                ("How many more kg can the car carry?", "How many kg are left?"),
            ),
            "es": (
                (
                    "Un coche puede llevar {m} kg de equipaje.",
                    "El equipaje de un coche puede pesar {m} kg.",
                ),
                (
                    "{name} mete una maleta de {a} kg y {n} bolsas que pesan un tercio de eso "
                    "cada una.",
                    "{name} mete {n} bolsas y una maleta de {a} kg; cada bolsa pesa un tercio de "
                    "la maleta.",
                ),
                ("¿Cuántos kg más puede llevar el coche?", "¿Cuántos kg quedan?"),
            ),
        },
        working={
            "en": (
                "One bag weighs {calc} kg.",
                "The bags weigh {calc} kg.",
                "All of it weighs {calc} kg.",
                "There are {calc} kg left.",
            ),
            "es": (
                "Una bolsa pesa {calc} kg.",
                "Las bolsas pesan {calc} kg.",
                "Todo pesa {calc} kg.",
                "Quedan {calc} kg.",
            ),
        },
        plan={
            "en": ("one bag", "all the bags", "the luggage", "what is left"),
            "es": ("una bolsa", "todas las bolsas", "el equipaje", "lo que queda"),
        },
        distractors={
            "en": ("The {place} is {d} years old.", "{other} has {d} cousins."),
            "es": ("La {place} tiene {d} años.", "{other} tiene {d} primos."),
        },
    ),
    Template(
        name="two_legs_and_the_rest",
        numbers={"m": (60, 250), "a": (4, 16), "b": (2, 5), "c": (4, 16), "e": (2, 5), "n": (2, 6)},
        steps=("a*b", "c*e", "s1+s2", "m-s3", "s4/n"),
        text={
            "en": (
                ("{name} travels {m} km.", "The trip of {name} is {m} km."),
                (
                    "The speed is {a} km an hour for {b} hours, then {c} for {e} hours.",
                    "The first {b} hours are at {a} km an hour, the next {e} hours at {c}.",
                ),
                ("The rest takes {n} hours.", "The rest of the way lasts {n} hours."),
                ("What is the speed for the rest?", "How many km an hour is the rest?"),
            ),
            "es": (
                ("{name} recorre {m} km.", "El viaje de {name} es de {m} km."),
                (
                    "Va {b} horas a {a} km por hora y luego {e} horas a {c}.",
                    "Las primeras {b} horas va a {a} km por hora, y las {e} siguientes, a {c}.",
                ),
                ("El resto dura {n} horas.", "Para el resto hacen falta {n} horas."),
                (
                    "¿A cuántos km por hora hace {name} el resto?",
                    "¿A cuántos km por hora va en el resto?",
                ),
            ),
        },
        working={
            "en": (
                "The first part is {calc} km.",
                "The next part is {calc} km.",
                "Together that is {calc} km.",
                "The rest is {calc} km.",
                "That is {calc} km an hour.",
            ),
            "es": (
                "La primera parte es de {calc} km.",
                "La siguiente es de {calc} km.",
                "En total son {calc} km.",
                "El resto es de {calc} km.",
                "Son {calc} km por hora.",
            ),
        },
        plan={
            "en": ("the first part", "the next part", "both parts", "the rest", "the speed"),
            "es": (
                "la primera parte",
                "la siguiente",
                "las dos partes",
                "el resto",
                "la velocidad",
            ),
        },
        distractors={
            "en": ("{other} has {d} {thing}.", "The {place} is {d} years old."),
            "es": ("{other} tiene {d} {thing}.", "La {place} tiene {d} años."),
        },
        where=lambda v: v["s5"] >= 3,
    ),
    Template(
        name="more_steps_walked",
        numbers={"a": (40, 99), "b": (40, 99), "c": (2, 12)},
        steps=("b-a", "c*s1"),
        text={
            "en": (
                (
                    "{name} takes {a} steps a minute and {other} takes {b}.",
                    "In a minute {name} takes {a} steps and {other} takes {b}.",
                ),
                ("They walk for {c} minutes.", "The walk lasts {c} minutes."),
                (
                    "How many more steps does {other} take than {name}?",
                    "How many more steps does {other} take?",
                ),
            ),
            "es": (
                (
                    "{name} da {a} pasos por minuto y {other} da {b}.",
                    "En un minuto {name} da {a} pasos y {other} da {b}.",
                ),
                ("Caminan {c} minutos.", "El paseo dura {c} minutos."),
                ("¿Cuántos pasos más que {name} da {other}?", "¿Cuántos pasos más da {other}?"),
            ),
        },
        working={
            "en": ("In a minute {other} takes {calc} more.", "In all that is {calc} more steps."),
            "es": ("En un minuto {other} da {calc} más.", "En total son {calc} pasos más."),
        },
        plan={
            "en": ("more in a minute", "more in all"),
            "es": ("más en un minuto", "más en total"),
        },
        distractors={
            "en": ("There are {d} trees in the park.", "{name} has {d} {thing}."),
            "es": ("Hay {d} árboles en el parque.", "{name} tiene {d} {thing}."),
        },
    ),
)
