"""The words of `general.py`: names, and tables of what goes with what in English and Spanish."""

Table = tuple[tuple[str, ...], ...]

NAMES = (
    "Ana Ben Carl Clara Dan Diego Elena Emma Eva Fay Finn Gus Hana Hugo Inés Iván Jack Jill Jorge "
    "Julia Kate Leo Lily Lola Luis María Marta Max Mia Nora Omar Pablo Paul Rosa Sam Sara Tom "
    "Tomás Vera Zoe"
).split()


def rows(text: str) -> Table:
    """A table out of lines: `rows("red/rojo, blue/azul")` is
    `(('red', 'rojo'), ('blue', 'azul'))`."""
    return tuple(
        tuple(entry.strip().split("/"))
        for entry in text.replace("\n", ",").split(",")
        if entry.strip()
    )


# English/Spanish
COMMON = rows("""
    red/rojo, blue/azul, green/verde, yellow/amarillo, black/negro, white/blanco, grey/gris,
    pink/rosa, brown/marrón, cat/gato, dog/perro, horse/caballo, cow/vaca, bird/pájaro,
    fish/pez, duck/pato, sheep/oveja, goat/cabra, lion/león, bear/oso, wolf/lobo, rabbit/conejo,
    house/casa, door/puerta, window/ventana, table/mesa, chair/silla, bed/cama, book/libro,
    pen/pluma, key/llave, clock/reloj, lamp/lámpara, bread/pan, milk/leche, water/agua,
    egg/huevo, cheese/queso, apple/manzana, pear/pera, salt/sal, sugar/azúcar, rice/arroz,
    soup/sopa, sun/sol, moon/luna, star/estrella, sky/cielo, sea/mar, river/río,
    mountain/montaña, tree/árbol, flower/flor, rain/lluvia, snow/nieve, wind/viento, fire/fuego,
    hand/mano, foot/pie, head/cabeza, eye/ojo, nose/nariz, car/coche, train/tren, boat/barco,
    street/calle, bridge/puente, city/ciudad, school/escuela, friend/amigo, garden/jardín,
    king/rey, queen/reina, shirt/camisa, shoe/zapato, hat/sombrero, coat/abrigo, ring/anillo
""")
DAYS = rows(
    "Monday/lunes, Tuesday/martes, Wednesday/miércoles, Thursday/jueves, Friday/viernes, "
    "Saturday/sábado, Sunday/domingo"
)
MONTHS = rows(
    "January/enero, February/febrero, March/marzo, April/abril, May/mayo, June/junio, July/julio, "
    "August/agosto, September/septiembre, October/octubre, November/noviembre, December/diciembre"
)
# asked in English/answer in English/asked in Spanish/answer in Spanish
CAPITALS = rows("""
    France/Paris/Francia/París, Spain/Madrid/España/Madrid, Portugal/Lisbon/Portugal/Lisboa,
    Italy/Rome/Italia/Roma, Germany/Berlin/Alemania/Berlín, Austria/Vienna/Austria/Viena,
    Greece/Athens/Grecia/Atenas, Ireland/Dublin/Irlanda/Dublín, Norway/Oslo/Noruega/Oslo,
    Sweden/Stockholm/Suecia/Estocolmo, Finland/Helsinki/Finlandia/Helsinki,
    Denmark/Copenhagen/Dinamarca/Copenhague, Iceland/Reykjavik/Islandia/Reikiavik,
    Poland/Warsaw/Polonia/Varsovia, Hungary/Budapest/Hungría/Budapest,
    Romania/Bucharest/Rumania/Bucarest, Bulgaria/Sofia/Bulgaria/Sofía,
    Croatia/Zagreb/Croacia/Zagreb, Serbia/Belgrade/Serbia/Belgrado, Ukraine/Kyiv/Ucrania/Kiev,
    Russia/Moscow/Rusia/Moscú, Belgium/Brussels/Bélgica/Bruselas,
    Estonia/Tallinn/Estonia/Tallin, Latvia/Riga/Letonia/Riga, Lithuania/Vilnius/Lituania/Vilna,
    Slovenia/Ljubljana/Eslovenia/Liubliana, Slovakia/Bratislava/Eslovaquia/Bratislava,
    Albania/Tirana/Albania/Tirana, Turkey/Ankara/Turquía/Ankara, Egypt/Cairo/Egipto/El Cairo,
    Morocco/Rabat/Marruecos/Rabat, Tunisia/Tunis/Túnez/Túnez, Kenya/Nairobi/Kenia/Nairobi,
    Ghana/Accra/Ghana/Acra, Senegal/Dakar/Senegal/Dakar, Nigeria/Abuja/Nigeria/Abuya,
    Ethiopia/Addis Ababa/Etiopía/Adís Abeba, Uganda/Kampala/Uganda/Kampala,
    Angola/Luanda/Angola/Luanda, Japan/Tokyo/Japón/Tokio, China/Beijing/China/Pekín,
    India/New Delhi/India/Nueva Delhi, Thailand/Bangkok/Tailandia/Bangkok,
    Vietnam/Hanoi/Vietnam/Hanói, Nepal/Kathmandu/Nepal/Katmandú, Iran/Tehran/Irán/Teherán,
    Iraq/Baghdad/Irak/Bagdad, Jordan/Amman/Jordania/Amán, Lebanon/Beirut/Líbano/Beirut,
    Canada/Ottawa/Canadá/Ottawa, Mexico/Mexico City/México/Ciudad de México,
    Cuba/Havana/Cuba/La Habana, Colombia/Bogotá/Colombia/Bogotá,
    Venezuela/Caracas/Venezuela/Caracas, Ecuador/Quito/Ecuador/Quito, Peru/Lima/Perú/Lima,
    Chile/Santiago/Chile/Santiago, Argentina/Buenos Aires/Argentina/Buenos Aires,
    Uruguay/Montevideo/Uruguay/Montevideo, Paraguay/Asunción/Paraguay/Asunción,
    Australia/Canberra/Australia/Canberra, New Zealand/Wellington/Nueva Zelanda/Wellington
""")
PLURALS = rows("""
    cat/cats/gato/gatos, dog/dogs/perro/perros, house/houses/casa/casas,
    tree/trees/árbol/árboles, car/cars/coche/coches, flower/flowers/flor/flores,
    box/boxes/caja/cajas, bus/buses/autobús/autobuses, city/cities/ciudad/ciudades,
    baby/babies/bebé/bebés, book/books/libro/libros, table/tables/mesa/mesas,
    chair/chairs/silla/sillas, day/days/día/días, pencil/pencils/lápiz/lápices,
    dish/dishes/plato/platos, glass/glasses/vaso/vasos, watch/watches/reloj/relojes,
    boy/boys/chico/chicos, country/countries/país/países, lady/ladies/señora/señoras,
    apple/apples/manzana/manzanas, lion/lions/león/leones, light/lights/luz/luces,
    fox/foxes/zorro/zorros, song/songs/canción/canciones, train/trains/tren/trenes,
    bird/birds/pájaro/pájaros, key/keys/llave/llaves, door/doors/puerta/puertas,
    egg/eggs/huevo/huevos, story/stories/cuento/cuentos, church/churches/iglesia/iglesias,
    party/parties/fiesta/fiestas, garden/gardens/jardín/jardines, hotel/hotels/hotel/hoteles,
    bed/beds/cama/camas
""")
OPPOSITES = rows("""
    hot/cold/caliente/frío, big/small/grande/pequeño, fast/slow/rápido/lento,
    up/down/arriba/abajo, new/old/nuevo/viejo, open/closed/abierto/cerrado,
    full/empty/lleno/vacío, light/heavy/ligero/pesado, high/low/alto/bajo, wet/dry/mojado/seco,
    happy/sad/feliz/triste, day/night/día/noche, early/late/temprano/tarde,
    strong/weak/fuerte/débil, clean/dirty/limpio/sucio, rich/poor/rico/pobre,
    soft/hard/blando/duro, thick/thin/grueso/fino, inside/outside/dentro/fuera,
    near/far/cerca/lejos, easy/difficult/fácil/difícil, always/never/siempre/nunca,
    left/right/izquierda/derecha, long/short/largo/corto, wide/narrow/ancho/estrecho,
    true/false/verdadero/falso, first/last/primero/último, black/white/negro/blanco,
    with/without/con/sin, before/after/antes/después, everything/nothing/todo/nada
""")
OPPOSITES += tuple((b, a, d, c) for a, b, c, d in OPPOSITES)  # and the other way round
