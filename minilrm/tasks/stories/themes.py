"""Where a story takes place: things, verbs, containers and sources that go together.

Every entry lists what may be chosen. A verb is written "eats|eat" (one person, several), a thing
"cookie cookies" in English and "galleta galletas f" in Spanish with its gender. Containers are
feminine in Spanish, so that every sentence can say "cada una".
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: relations of any theme with things that one can hold
HOLDING = frozenset(
    "has boxes rate each more fewer times part gets loses gives_each half part_away together "
    "together3 difference sell cost change missing weeks share pack takes longer lasts".split()
)
#: of themes where something is done, and nothing held (kilometers, points)
DOING = frozenset(
    "has rate each more fewer times part gets together together3 difference missing weeks".split()
)
AGES = frozenset("has more fewer times part gets loses together together3 difference".split())
MONEY = HOLDING - {"boxes", "sell", "cost", "change", "pack", "takes", "longer"}


Words = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Theme:
    """name: for `meta`. relations: those that make sense. words: language -> the slots that the
    sentences may use. kind: "things", "money" or "years". longest: steps of its longest story."""

    name: str
    relations: frozenset[str]
    words: Mapping[str, Words]
    kind: str = "things"
    longest: int = 9

    @property
    def is_done(self) -> bool:
        """Whether something is done, and nothing held."""
        return self.relations is DOING


def many(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


def theme(
    name: str,
    en: Words,
    es: Words,
    relations: frozenset[str] = HOLDING,
    kind: str = "things",
    longest: int = 9,
) -> Theme:
    return Theme(name, relations, {"en": en, "es": es}, kind, longest)


THEMES = (
    theme(
        "shop",
        dict(
            things=many(
                "shirt shirts|hat hats|lamp lamps|ball balls|cup cups|toy toys|chair chairs|"
                "candle candles|bowl bowls|clock clocks|scarf scarves|doll dolls"
            ),
            have=("has|have",),
            get=("buys|buy", "orders|order"),
            lose=("sells|sell", "gives away|give away", "breaks|break"),
            make=("paints|paint", "repairs|repair", "buys|buy"),
            boxes=("box boxes", "crate crates", "bag bags"),
            sources=("in shop shops", "in store stores", "for guest guests"),
            handle=("wrap|wraps|wrap", "clean|cleans|clean"),
        ),
        dict(
            things=many(
                "camisa camisas f|gorro gorros m|lámpara lámparas f|pelota pelotas f|"
                "taza tazas f|juguete juguetes m|silla sillas f|vela velas f|plato platos m|"
                "reloj relojes m|bufanda bufandas f|muñeca muñecas f"
            ),
            have=("tiene|tienen",),
            get=("compra|compran", "encarga|encargan"),
            lose=("vende|venden", "regala|regalan", "rompe|rompen"),
            make=("pinta|pintan", "repara|reparan", "compra|compran"),
            boxes=("caja cajas", "bolsa bolsas", "cesta cestas"),
            sources=("en tienda tiendas", "en puesto puestos", "para cliente clientes"),
            handle=("envolver|envuelve|envuelven", "limpiar|limpia|limpian"),
        ),
    ),
    theme(
        "kitchen",
        dict(
            things=many(
                "cookie cookies|muffin muffins|roll rolls|pancake pancakes|cake cakes|"
                "sandwich sandwiches|waffle waffles|bun buns|dumpling dumplings|pie pies"
            ),
            have=("has|have",),
            get=("bakes|bake", "makes|make", "gets|get"),
            lose=("eats|eat", "burns|burn", "gives away|give away"),
            make=("bakes|bake", "makes|make"),
            boxes=("tray trays", "box boxes", "plate plates"),
            sources=("for guest guests", "for child children", "in oven ovens"),
            handle=("fill|fills|fill", "decorate|decorates|decorate"),
        ),
        dict(
            things=many(
                "galleta galletas f|pastel pasteles m|bollo bollos m|tortita tortitas f|"
                "tarta tartas f|bocadillo bocadillos m|empanada empanadas f|panecillo panecillos m|"
                "croqueta croquetas f|rosquilla rosquillas f"
            ),
            have=("tiene|tienen",),
            get=("hornea|hornean", "hace|hacen", "recibe|reciben"),
            lose=("come|comen", "quema|queman", "regala|regalan"),
            make=("hornea|hornean", "hace|hacen"),
            boxes=("bandeja bandejas", "caja cajas", "fuente fuentes"),
            sources=("para invitado invitados", "para niño niños", "en horno hornos"),
            handle=("rellenar|rellena|rellenan", "decorar|decora|decoran"),
        ),
    ),
    theme(
        "garden",
        dict(
            things=many(
                "tomato tomatoes|apple apples|rose roses|pumpkin pumpkins|carrot carrots|"
                "lemon lemons|onion onions|pear pears|tulip tulips|melon melons|plum plums|"
                "berry berries"
            ),
            have=("has|have",),
            get=("picks|pick", "finds|find", "gathers|gather"),
            lose=("eats|eat", "gives away|give away", "cooks|cook", "throws away|throw away"),
            make=("picks|pick", "gathers|gather"),
            boxes=("basket baskets", "bag bags", "crate crates"),
            sources=("from row rows", "from garden gardens", "from field fields"),
            handle=("wash|washes|wash", "peel|peels|peel"),
        ),
        dict(
            things=many(
                "tomate tomates m|manzana manzanas f|rosa rosas f|calabaza calabazas f|"
                "zanahoria zanahorias f|limón limones m|cebolla cebollas f|pera peras f|"
                "tulipán tulipanes m|melón melones m|ciruela ciruelas f|fresa fresas f"
            ),
            have=("tiene|tienen",),
            get=("recoge|recogen", "encuentra|encuentran", "corta|cortan"),
            lose=("come|comen", "regala|regalan", "cocina|cocinan", "tira|tiran"),
            make=("recoge|recogen", "corta|cortan"),
            boxes=("cesta cestas", "bolsa bolsas", "caja cajas"),
            sources=("de fila filas", "de jardín jardines", "de campo campos"),
            handle=("lavar|lava|lavan", "pelar|pela|pelan"),
        ),
    ),
    theme(
        "school",
        dict(
            things=many(
                "pencil pencils|sticker stickers|book books|crayon crayons|card cards|"
                "stamp stamps|marble marbles|notebook notebooks|ruler rulers|pen pens|"
                "picture pictures|puzzle puzzles"
            ),
            have=("has|have",),
            get=("finds|find", "buys|buy", "gets|get"),
            lose=("loses|lose", "gives away|give away", "lends out|lend out"),
            make=("collects|collect", "gets|get"),
            boxes=("box boxes", "pack packs", "folder folders"),
            sources=("from friend friends", "from class classes", "from teacher teachers"),
            handle=("mark|marks|mark", "sort|sorts|sort"),
        ),
        dict(
            things=many(
                "lápiz lápices m|cromo cromos m|libro libros m|cera ceras f|carta cartas f|"
                "sello sellos m|canica canicas f|cuaderno cuadernos m|regla reglas f|"
                "bolígrafo bolígrafos m|dibujo dibujos m|goma gomas f"
            ),
            have=("tiene|tienen",),
            get=("encuentra|encuentran", "compra|compran", "recibe|reciben"),
            lose=("pierde|pierden", "regala|regalan", "presta|prestan"),
            make=("reúne|reúnen", "recibe|reciben"),
            boxes=("caja cajas", "bolsa bolsas", "carpeta carpetas"),
            sources=("de amigo amigos", "de clase clases", "de maestro maestros"),
            handle=("marcar|marca|marcan", "ordenar|ordena|ordenan"),
        ),
    ),
    theme(
        "work",
        dict(
            things=many(
                "table tables|letter letters|basket baskets|pot pots|sign signs|shelf shelves|"
                "bench benches|page pages|door doors|window windows|bracelet bracelets"
            ),
            have=("has|have",),
            get=("makes|make", "finishes|finish", "gets|get"),
            lose=("sells|sell", "sends off|send off", "breaks|break"),
            make=("makes|make", "finishes|finish"),
            boxes=("box boxes", "pile piles", "cart carts"),
            sources=("for customer customers", "for office offices", "for school schools"),
            handle=("check|checks|check", "paint|paints|paint"),
        ),
        dict(
            things=many(
                "mesa mesas f|carta cartas f|cesto cestos m|jarrón jarrones m|"
                "cartel carteles m|estante estantes m|banco bancos m|página páginas f|"
                "puerta puertas f|ventana ventanas f|pulsera pulseras f"
            ),
            have=("tiene|tienen",),
            get=("hace|hacen", "termina|terminan", "recibe|reciben"),
            lose=("vende|venden", "envía|envían", "rompe|rompen"),
            make=("hace|hacen", "termina|terminan"),
            boxes=("caja cajas", "pila pilas", "carretilla carretillas"),
            sources=("para cliente clientes", "para oficina oficinas", "para escuela escuelas"),
            handle=("revisar|revisa|revisan", "pintar|pinta|pintan"),
        ),
    ),
    theme(
        "road",
        dict(
            things=("kilometer kilometers", "mile miles"),
            have=("rides|ride", "walks|walk", "drives|drive"),
            get=("rides|ride", "walks|walk"),
            make=("rides|ride", "walks|walk", "drives|drive"),
            sources=("on day days", "on trip trips", "on morning mornings"),
        ),
        dict(
            things=("kilómetro kilómetros m", "milla millas f"),
            have=("recorre|recorren", "anda|andan", "conduce|conducen"),
            get=("recorre|recorren", "anda|andan"),
            make=("recorre|recorren", "anda|andan", "conduce|conducen"),
            sources=("en día días", "en viaje viajes", "en etapa etapas"),
        ),
        DOING,
    ),
    theme(
        "sport",
        dict(
            things=("point points", "goal goals"),
            have=("scores|score", "makes|make"),
            get=("scores|score", "makes|make"),
            make=("scores|score", "makes|make"),
            sources=("in game games", "in round rounds", "in match matches"),
        ),
        dict(
            things=("punto puntos m", "gol goles m"),
            have=("marca|marcan", "logra|logran"),
            get=("marca|marcan", "logra|logran"),
            make=("marca|marcan", "logra|logran"),
            sources=("en juego juegos", "en ronda rondas", "en partido partidos"),
        ),
        DOING,
    ),
    theme(
        "savings",
        dict(
            things=("dollar dollars",),
            have=("has|have",),
            get=("saves|save", "earns|earn", "gets|get"),
            lose=("spends|spend", "gives away|give away"),
            make=("earns|earn", "saves|save"),
            sources=("from aunt aunts", "from job jobs", "from neighbor neighbors"),
        ),
        dict(
            things=("euro euros m",),
            have=("tiene|tienen",),
            get=("ahorra|ahorran", "gana|ganan", "recibe|reciben"),
            lose=("gasta|gastan", "regala|regalan"),
            make=("gana|ganan", "ahorra|ahorran"),
            sources=("de tía tías", "de trabajo trabajos", "de vecina vecinas"),
        ),
        MONEY,
        "money",
    ),
    theme(
        "family",
        dict(things=("year years",), have=("has|have",)),
        dict(things=("año años m",), have=("tiene|tienen",)),
        AGES,
        "years",
        4,
    ),
)
