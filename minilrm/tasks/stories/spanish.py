"""How a story ends in Spanish: the question, the sentences of its solution, the plan.

The slots are those of `spanish_told.py`.
"""

from minilrm.tasks.stories.spanish_told import TELL, TELL_DOING, TELL_YEARS

__all__ = ["TELL", "TELL_DOING", "TELL_YEARS"]

ASK = {
    "state": (
        "¿{Cuántos} {T} {have} {S}?",
        "¿{Cuántos} {T} son {los} de {So}?",
        "¿Cuál es el número de {T} de {So}?",
    ),
    "made": (
        "¿{Cuántos} {T} {make} {S}?",
        "¿{Cuántos} {T} {make} {S} en total?",
        "¿Cuál es el número de {T} que {make} {S}?",
    ),
    "boxes": (
        "¿{Cuántos} {T} [tiene|tienen] {S}?",
        "¿{Cuántos} {T} [tiene|tienen] {S} en total?",
        "¿Cuál es el número de {T} de {So}?",
    ),
    "gets": (
        "¿{Cuántos} {T} {have} {S} ahora?",
        "¿{Cuántos} {T} {have} {S} al final?",
        "¿{Cuántos} {T} {have} {S} después?",
    ),
    "left": (
        "¿{Cuántos} {T} le[|s] quedan a {So}?",
        "¿{Cuántos} {T} quedan?",
        "¿{Cuántos} {T} [tiene|tienen] {S} al final?",
    ),
    "together": (
        "¿{Cuántos} {T} {have_pl} en total?",
        "¿{Cuántos} {T} {have_pl} {A} y {B} en total?",
        "¿{Cuántos} {T} {have_pl} entre los dos?",
    ),
    "together3": (
        "¿{Cuántos} {T} {have_pl} en total?",
        "¿{Cuántos} {T} {have_pl} {A}, {B} y {C} en total?",
        "¿{Cuántos} {T} {have_pl} entre los tres?",
    ),
    "difference": (
        "¿{Cuántos} {T} más {haveA} {A} que {B}?",
        "¿{Cuántos} {T} menos {haveB} {B} que {A}?",
        "¿Cuántos {T} de ventaja lleva {A} a {B}?",
    ),
    "sell": (
        "¿Cuántos {u} [recibe|reciben] {S}?",
        "¿Cuántos {u} son en total?",
        "¿Cuánto dinero [recibe|reciben] {S}?",
    ),
    "cost": (
        "¿Cuántos {u} [paga|pagan] {S}?",
        "¿Cuántos {u} cuestan {los} {T}?",
        "¿Cuánto dinero es eso?",
    ),
    "change": (
        "¿Cuántos {u} le[|s] devuelven a {So}?",
        "¿Cuántos {u} de cambio [recibe|reciben] {S}?",
        "¿Cuánto dinero [recibe|reciben] {S} de vuelta?",
    ),
    "missing": (
        "¿{Cuántos} {T} le[|s] faltan a {So}?",
        "¿{Cuántos} {T} faltan todavía?",
        "¿{Cuántos} {T} más [necesita|necesitan] {S}?",
    ),
    "weeks": (
        "¿{CuántasH} {hs} hacen falta?",
        "¿Después de {cuántasH} {hs} es suficiente?",
        "¿{CuántasH} {hs} [necesita|necesitan] {S}?",
    ),
    "share": (
        "¿{Cuántos} {T} recibe cada amigo?",
        "¿{Cuántos} {T} hay para cada amigo?",
        "¿{Cuántos} {T} le tocan a cada amigo?",
    ),
    "pack": (
        "¿Cuántas {boxes} [llena|llenan] {S}?",
        "¿Cuántas {boxes} hay al final?",
        "¿Cuántas {boxes} [necesita|necesitan] {S}?",
    ),
    "takes": (
        "¿Cuántos minutos se tarda?",
        "¿Cuántos minutos [necesita|necesitan] {S}?",
        "¿Cuántos minutos son?",
    ),
    "longer": (
        "¿Cuántos minutos se tarda en total?",
        "¿Cuántos minutos son en total?",
        "¿Cuántos minutos [necesita|necesitan] {S} en total?",
    ),
    "lasts": (
        "¿Cuántos días duran {los} {T}?",
        "¿Para cuántos días hay {T}?",
        "¿Después de cuántos días se acaban {los} {T}?",
    ),
}

ASK_YEARS = {
    "state": ("¿Cuántos años tiene {S}?", "¿Qué edad tiene {S}?", "¿Cuál es la edad de {So}?"),
    "gets": (
        "¿Cuántos años tiene {S} entonces?",
        "¿Cuántos años tendrá {S} entonces?",
        "¿Qué edad tendrá {S} entonces?",
    ),
    "left": (
        "¿Cuántos años tenía {S} entonces?",
        "¿Qué edad tenía {S} entonces?",
        "¿Cuál era la edad de {S} entonces?",
    ),
    "together": (
        "¿Cuántos años tienen en total?",
        "¿Cuánto suman las edades de {A} y {B}?",
        "¿Cuántos años suman entre los dos?",
    ),
    "together3": (
        "¿Cuántos años tienen en total?",
        "¿Cuánto suman las edades de {A}, {B} y {C}?",
        "¿Cuántos años suman entre los tres?",
    ),
    "difference": (
        "¿Cuántos años más tiene {A} que {B}?",
        "¿Por cuántos años es {A} mayor que {B}?",
        "¿Cuántos años menos tiene {B} que {A}?",
    ),
}

WORK = {
    "has": (),
    "boxes": ("{S} [tiene|tienen] {c} {T}.",),
    "rate": ("{S} {make} {c} {T}.",),
    "each": ("{S} {make} {c} {T}.",),
    "more": ("{S} {have} {c} {T}.",),
    "fewer": ("{S} {have} {c} {T}.",),
    "times": ("{S} {have} {c} {T}.",),
    "part": ("{S} {have} {c} {T}.",),
    "gets": ("Ahora {S} {have} {c} {T}.",),
    "loses": ("A {So} le[|s] quedan {c} {T}.",),
    "gives_each": ("{S} [da|dan] {c} {T}.", "A {So} le[|s] quedan {c} {T}."),
    "half": ("A {So} le[|s] quedan {c} {T}.",),
    "part_away": ("{S} {lose} {c} {T}.", "A {So} le[|s] quedan {c} {T}."),
    "together": ("En total {have_pl} {c} {T}.",),
    "together3": ("{A} y {B} {have_pl} {c} {T}.", "Los tres {have_pl} {c} {T}."),
    "difference": ("{A} {haveA} {c} {T} más que {B}.",),
    "sell": ("{S} [recibe|reciben] {c} {u}.",),
    "cost": ("{Los} {T} cuestan {c} {u}.",),
    "change": ("{S} [recibe|reciben] {c} {u} de vuelta.",),
    "missing": ("A {So} le[|s] faltan {c} {T}.",),
    "weeks": ("Hacen falta {c} {hs}.",),
    "share": ("Cada amigo recibe {c} {T}.",),
    "pack": ("{S} [llena|llenan] {c} {boxes}.",),
    "takes": ("Se tarda {c} minutos.",),
    "longer": ("En total se tarda {c} minutos.",),
    "lasts": ("{Los} {T} duran {c} días.",),
}
WORK_YEARS = {
    "more": ("{S} tiene {c} años.",),
    "fewer": ("{S} tiene {c} años.",),
    "times": ("{S} tiene {c} años.",),
    "part": ("{S} tiene {c} años.",),
    "gets": ("Entonces {S} tiene {c} años.",),
    "loses": ("Entonces {S} tenía {c} años.",),
    "together": ("En total tienen {c} años.",),
    "together3": ("{A} y {B} tienen {c} años.", "Los tres tienen {c} años."),
    "difference": ("{A} tiene {c} años más que {B}.",),
}
WORK_DOING = {"gets": ("En total {S} {have} {c} {T}.",)}

PLAN = {
    "state": "{los} {T} de {So}",
    "left": "{los} {T} que quedan",
    "away": "{los} {T} que se van",
    "together": "{todos} {los} {T}",
    "two": "{los} {T} de {A} y {B}",
    "difference": "la diferencia",
    "money": "el dinero",
    "change": "el cambio",
    "missing": "lo que falta",
    "time": "el tiempo",
    "share": "una parte",
    "boxes": "las {boxes}",
}

IRRELEVANT = (
    "{X} tiene {d} años.",
    "Fuera hay {d} grados.",
    "{X} vive en una casa con {d} ventanas.",
    "El autobús número {d} para cerca.",
    "{X} espera {d} minutos.",
    "La tienda lleva abierta {d} años.",
    "{X} tiene {d} primos.",
    "Hay {d} árboles en la calle.",
    "{X} ve {d} pájaros en el tejado.",
)
IRRELEVANT_UNSEEN = (
    "La radio pone {d} canciones.",
    "{X} vive en el número {d}.",
    "En la pared hay un reloj de {d} años.",
    "{X} cuenta {d} nubes.",
)

WORDS = {
    "u": ("euro", "euros"),
    "they": "Ellos",
    "do": ("", ""),
    "parts": {2: "la mitad", 3: "un tercio", 4: "un cuarto", 5: "un quinto"},
    "shares": {3: "un tercio", 4: "un cuarto", 5: "un quinto"},
    "percents": {4: "el 25 por ciento", 5: "el 20 por ciento", 10: "el 10 por ciento"},
    "times": lambda k: "el doble de" if k == 2 else f"{k} veces más",
    "goal": "{P} {T} para {object}",
    "objects": (
        "una bici",
        "una guitarra",
        "una tienda",
        "una cámara",
        "un abrigo",
        "un móvil",
        "una mesa",
    ),
    "hours": (("", "hora", "horas"), ("", "día", "días"), ("", "semana", "semanas")),
}
