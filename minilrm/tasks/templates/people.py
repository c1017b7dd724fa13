"""Stories about people together: ages, games, classes, parties and savings."""

from minilrm.tasks.templates.template import Template

TEMPLATES = (
    Template(
        name="ages_in_some_years",
        numbers={"a": (3, 30), "b": (2, 15), "c": (2, 12)},
        steps=("a+b", "a+s1", "2*c", "s2+s3"),
        text={
            "en": (
                (
                    "{name} is {a} years old and {other} is {b} years older.",
                    "{name} is {a} years old. {other} is {b} years older than {name}.",
                    "{other} is {b} years older than {name}, who is {a} years old.",
                ),
                (
                    "How old will the two be together in {c} years?",
                    "What will be the total of both ages in {c} years?",
                    "In {c} years, how old will {name} and {other} be together?",
                ),
            ),
            "es": (
                (
                    "{name} tiene {a} años y {other} tiene {b} años más.",
                    "{name} tiene {a} años. {other} tiene {b} años más que {name}.",
                    "{other} tiene {b} años más que {name}, que tiene {a} años.",
                ),
                (
                    "¿Cuántos años tendrán entre los dos dentro de {c} años?",
                    "¿Cuál será el total de las dos edades dentro de {c} años?",
                    "Dentro de {c} años, ¿cuánto sumarán las edades de {name} y {other}?",
                ),
            ),
        },
        working={
            "en": (
                "{other} is {calc} years old.",
                "Together they are {calc} years old.",
                "Both together gain {calc} years.",
                "Then the total is {calc} years.",
            ),
            "es": (
                "{other} tiene {calc} años.",
                "Ahora suman {calc} años.",
                "Entre los dos cumplen {calc} años más.",
                "Entonces el total es {calc} años.",
            ),
        },
        plan={
            "en": ("age of {other}", "total now", "years to add", "total then"),
            "es": ("edad de {other}", "total ahora", "años que se suman", "total entonces"),
        },
        distractors={
            "en": ("{name} has {d} books.", "The {place} is {d} minutes away."),
            "es": ("{name} tiene {d} libros.", "La {place} está a {d} minutos."),
        },
    ),
    Template(
        name="points_of_two_players",
        numbers={"p": (3, 9), "q": (2, 6), "a": (2, 12), "b": (2, 12), "c": (2, 10)},
        steps=("a*p", "b*q", "s1+s2", "c*p", "s3-s4"),
        text={
            "en": (
                (
                    "In a game a red ball gives {p} points and a blue ball {q}.",
                    "Each red ball gives {p} points and each blue ball {q} points.",
                ),
                (
                    "{name} gets {a} red and {b} blue balls; {other} gets {c} red balls.",
                    "{name} has {a} red and {b} blue balls, {other} has only {c} red balls.",
                ),
                (
                    "How many more points than {other} does {name} have?",
                    "By how many points does {name} win?",
                ),
            ),
            "es": (
                (
                    "En un juego una bola roja da {p} puntos y una bola azul {q}.",
                    "Cada bola roja da {p} puntos y cada bola azul {q} puntos.",
                ),
                (
                    "{name} saca {a} bolas rojas y {b} azules; {other} saca {c} bolas rojas.",
                    "{name} tiene {a} bolas rojas y {b} azules, {other} solo tiene {c} bolas "
                    "rojas.",
                ),
                (
                    "¿Cuántos puntos más que {other} tiene {name}?",
                    "¿Por cuántos puntos gana {name}?",
                ),
            ),
        },
        working={
            "en": (
                "The red balls give {name} {calc} points.",
                "The blue balls give {calc} points.",
                "{name} has {calc} points.",
                "{other} has {calc} points.",
                "{name} has {calc} points more.",
            ),
            "es": (
                "Las bolas rojas dan a {name} {calc} puntos.",
                "Las bolas azules dan {calc} puntos.",
                "{name} tiene {calc} puntos.",
                "{other} tiene {calc} puntos.",
                "{name} tiene {calc} puntos más.",
            ),
        },
        plan={
            "en": ("red points", "blue points", "{name}", "{other}", "the difference"),
            "es": ("puntos rojos", "puntos azules", "{name}", "{other}", "la diferencia"),
        },
        distractors={
            "en": ("The game takes {d} minutes.", "{name} is {d} years old."),
            "es": ("El juego dura {d} minutos.", "{name} tiene {d} años."),
        },
        where=lambda v: v["s5"] > 1 and v["p"] != v["q"],
    ),
    Template(
        name="girls_and_boys_in_groups",
        numbers={"a": (10, 90), "b": (2, 40), "n": (2, 6)},
        steps=("a+b", "a+s1", "s2/n"),
        text={
            "en": (
                (
                    "A school has {a} girls and {b} more boys than girls.",
                    "In a school there are {a} girls. There are {b} more boys than girls.",
                ),
                (
                    "All the children work in groups of {n}.",
                    "The girls and boys together make groups of {n} children.",
                ),
                ("How many groups are there?", "How many groups does the school have?"),
            ),
            "es": (
                (
                    "Una escuela tiene {a} niñas y {b} niños más que niñas.",
                    "En una escuela hay {a} niñas. Hay {b} niños más que niñas.",
                ),
                (
                    "Todos juntos trabajan en grupos de {n}.",
                    "Las niñas y los niños juntos forman grupos de {n}.",
                ),
                ("¿Cuántos grupos hay?", "¿Cuántos grupos tiene la escuela?"),
            ),
        },
        working={
            "en": (
                "There are {calc} boys.",
                "The school has {calc} children.",
                "They make {calc} groups.",
            ),
            "es": (
                "Hay {calc} niños.",
                "En total son {calc} niñas y niños.",
                "Forman {calc} grupos.",
            ),
        },
        plan={
            "en": ("the boys", "all children", "the groups"),
            "es": ("los niños", "el total", "los grupos"),
        },
        distractors={
            "en": ("The school is {d} years old.", "The lesson takes {d} minutes."),
            "es": ("La escuela tiene {d} años.", "La clase dura {d} minutos."),
        },
        where=lambda v: v["s3"] > 1,
    ),
    Template(
        name="people_at_tables",
        numbers={"m": (20, 120), "b": (2, 30), "a": (2, 6)},
        steps=("m+b", "s1/a"),
        text={
            "en": (
                (
                    "{m} people come to lunch and then {b} more arrive.",
                    "{name} waits for {m} people, but {b} more come too.",
                ),
                ("They sit at tables of {a} people each.", "{a} people sit at each table."),
                ("How many tables are full?", "How many tables are needed?"),
            ),
            "es": (
                (
                    "{m} personas vienen a comer y luego llegan {b} más.",
                    "{name} espera a {m} personas, pero vienen además otras {b}.",
                ),
                (
                    "Se sientan en mesas de {a} personas cada una.",
                    "En cada mesa se sientan {a} personas.",
                ),
                ("¿Cuántas mesas se llenan?", "¿Cuántas mesas se necesitan?"),
            ),
        },
        working={
            "en": ("In total {calc} people come.", "They fill {calc} tables."),
            "es": ("En total vienen {calc} personas.", "Llenan {calc} mesas."),
        },
        plan={"en": ("all people", "the tables"), "es": ("todas las personas", "las mesas")},
        distractors={
            "en": ("The lunch takes {d} minutes.", "{other} brings {d} flowers."),
            "es": ("La comida dura {d} minutos.", "{other} trae {d} flores."),
        },
        where=lambda v: v["s2"] > 1,
    ),
    Template(
        name="teams_from_several_schools",
        numbers={"n": (2, 12), "a": (5, 60), "c": (2, 10)},
        steps=("n*a", "s1/c"),
        text={
            "en": (
                (
                    "{n} schools send {a} children each to the games.",
                    "{a} children from each of {n} schools come to play.",
                    "{n} schools come to the games, each with {a} children.",
                ),
                (
                    "All of them make mixed teams of {c}.",
                    "Together the children make teams of {c}.",
                ),
                ("How many teams are there?", "How many teams does this make?"),
            ),
            "es": (
                (
                    "{n} escuelas mandan {a} niños cada una a los juegos.",
                    "{a} niños de cada una de {n} escuelas vienen a jugar.",
                    "{n} escuelas vienen a los juegos, cada una con {a} niños.",
                ),
                ("Todos forman equipos mixtos de {c}.", "Juntos los niños forman equipos de {c}."),
                ("¿Cuántos equipos hay?", "¿Cuántos equipos salen?"),
            ),
        },
        working={
            "en": ("There are {calc} children.", "They make {calc} teams."),
            "es": ("Hay {calc} niños.", "Forman {calc} equipos."),
        },
        plan={"en": ("all children", "the teams"), "es": ("todos los niños", "los equipos")},
        distractors={
            "en": ("They play for {d} minutes.", "The park is {d} years old."),
            "es": ("Juegan durante {d} minutos.", "El parque tiene {d} años."),
        },
        where=lambda v: v["s2"] > 1,
    ),
    Template(
        name="cookies_at_a_party",
        numbers={"m": (40, 250), "n": (2, 12), "a": (2, 9), "b": (2, 12), "c": (2, 6)},
        steps=("n*a", "b*c", "s1+s2", "m-s3"),
        text={
            "en": (
                ("{name} makes {m} cookies for a party.", "For a party {name} buys {m} cookies."),
                (
                    "{n} children eat {a} each and {b} parents eat {c} each.",
                    "Each of {n} children eats {a} cookies and each of {b} parents eats {c}.",
                ),
                ("How many cookies are left?", "How many cookies are there after the party?"),
            ),
            "es": (
                (
                    "{name} hace {m} galletas para una fiesta.",
                    "Para una fiesta {name} compra {m} galletas.",
                ),
                (
                    "{n} niños comen {a} cada uno y {b} padres comen {c} cada uno.",
                    "Cada uno de {n} niños come {a} galletas y cada uno de {b} padres come {c}.",
                ),
                ("¿Cuántas galletas quedan?", "¿Cuántas galletas hay después de la fiesta?"),
            ),
        },
        working={
            "en": (
                "The children eat {calc} cookies.",
                "The parents eat {calc} cookies.",
                "Together they eat {calc} cookies.",
                "Then {calc} cookies are left.",
            ),
            "es": (
                "Los niños comen {calc} galletas.",
                "Los padres comen {calc} galletas.",
                "Juntos comen {calc} galletas.",
                "Entonces quedan {calc} galletas.",
            ),
        },
        plan={
            "en": ("the children", "the parents", "all eaten", "what is left"),
            "es": ("los niños", "los padres", "lo comido", "lo que queda"),
        },
        distractors={
            "en": ("The party starts at {d} minutes past five.", "{other} brings {d} candles."),
            "es": ("La fiesta empieza a las cinco y {d} minutos.", "{other} trae {d} velas."),
        },
        where=lambda v: v["s4"] > 1,
    ),
    Template(
        name="gift_between_two_collections",
        numbers={"a": (10, 60), "b": (10, 60), "c": (2, 20)},
        steps=("a-c", "b+c", "s2-s1"),
        text={
            "en": (
                (
                    "{name} has {a} {thing} and {other} has {b}.",
                    "{name} has {a} {thing}. {other} has {b} {thing}.",
                ),
                (
                    "{name} gives {c} of the {thing} to {other}.",
                    "{other} gets {c} {thing} from {name}.",
                ),
                (
                    "How many more {thing} than {name} does {other} have now?",
                    "Now {other} has more {thing} than {name}: how many more?",
                ),
            ),
            "es": (
                (
                    "{name} tiene {a} {thing} y {other} tiene {b}.",
                    "{name} tiene {a} {thing}. {other} tiene {b} {thing}.",
                ),
                (
                    "{name} da {c} de las {thing} a {other}.",
                    "{other} recibe {c} {thing} de {name}.",
                ),
                (
                    "¿Cuántas {thing} más que {name} tiene ahora {other}?",
                    "Ahora {other} tiene más {thing} que {name}: ¿cuántas más?",
                ),
            ),
        },
        working={
            "en": (
                "{name} has {calc} {thing} left.",
                "{other} has {calc} {thing} now.",
                "{other} has {calc} more.",
            ),
            "es": (
                "A {name} le quedan {calc} {thing}.",
                "{other} tiene ahora {calc} {thing}.",
                "{other} tiene {calc} más.",
            ),
        },
        plan={
            "en": ("{name} now", "{other} now", "the difference"),
            "es": ("{name} ahora", "{other} ahora", "la diferencia"),
        },
        distractors={
            "en": ("They play for {d} minutes.", "The {place} is {d} years old."),
            "es": ("Juegan durante {d} minutos.", "La {place} tiene {d} años."),
        },
        where=lambda v: v["s1"] > 1 and v["s3"] > 1,
    ),
    Template(
        name="weeks_to_a_savings_goal",
        numbers={"a": (5, 30), "b": (2, 25), "m": (20, 300)},
        steps=("a-b", "m/s1"),
        text={
            "en": (
                (
                    "Each week {name} earns {a} dollars and spends {b}.",
                    "{name} gets {a} dollars a week and spends {b} of them.",
                ),
                ("{name} wants to save {m} dollars.", "A new bike costs {m} dollars."),
                (
                    "How many weeks does {name} have to save?",
                    "After how many weeks does {name} have the money?",
                ),
            ),
            "es": (
                (
                    "Cada semana {name} gana {a} euros y gasta {b}.",
                    "{name} recibe {a} euros por semana y gasta {b} de ellos.",
                ),
                ("{name} quiere ahorrar {m} euros.", "Una bicicleta nueva cuesta {m} euros."),
                (
                    "¿Cuántas semanas tiene que ahorrar {name}?",
                    "¿Después de cuántas semanas tiene {name} el dinero?",
                ),
            ),
        },
        working={
            "en": ("Each week {name} saves {calc} dollars.", "That takes {calc} weeks."),
            "es": ("Cada semana {name} ahorra {calc} euros.", "Para eso necesita {calc} semanas."),
        },
        plan={"en": ("saved a week", "the weeks"), "es": ("ahorro por semana", "las semanas")},
        distractors={
            "en": ("{name} is {d} years old.", "{other} has {d} {thing}."),
            "es": ("{name} tiene {d} años.", "{other} tiene {d} {thing}."),
        },
        where=lambda v: 2 <= v["s1"] <= 12 and 2 <= v["s2"] <= 60,
    ),
)
