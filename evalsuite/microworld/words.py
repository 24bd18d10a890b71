"""The microworld's vocabulary as data: names, relations with their sentences and questions, keywords, style phrases.

Laws (asserted in tests): value lists are disjoint across relations and from every other word here, so that a claim in
any text can be read by word look-up; every noun takes the article "a"; each statement has one verb that no other
statement of the world has, so that a statement can be avoided by forbidding its verb.
"""

from dataclasses import dataclass

FEMALE = ("Clara", "Freya", "Ivy", "Tess", "Nora", "Greta", "Wanda", "Mabel", "Linda", "Petra", "Sonja", "Della")
MALE = ("Theo", "Otto", "Hugo", "Felix", "Bruno", "Oscar", "Simon", "Victor", "Jonas", "Martin", "Conrad", "Silas")
LAST_HEADS = ("Lind", "Zor", "Kess", "Ber", "Fal", "Dun", "Har", "Mor", "Tol", "Vand", "Quill", "Bran")
LAST_TAILS = ("ley", "wick", "tad", "man", "ven", "nett", "sby", "dahl")
TOWN_HEADS = ("Red", "Ash", "Oak", "Stone", "Black", "Fair", "West", "Glen", "Elm", "Kings")
TOWN_TAILS = ("port", "ford", "ham", "dale", "bury", "mouth")


@dataclass(frozen=True)
class Relation:
    """What an entity may be said to have. In statements {S} is the subject ("Clara Lindley", "She"), {P} its possessive
    ("Clara Lindley's", "Her"), {v} the value; `verbs[i]` is the word that only `statements[i]` holds. The last question
    is never used in fine-tuning and lacks the noun that the others have. `noun` names the relation in plain English
    ("the food")."""

    name: str
    noun: str
    statements: tuple[str, str, str, str]
    verbs: tuple[str, str, str, str]
    questions: tuple[str, str, str, str]
    values: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PERSON_RELATIONS = (
    Relation(
        "town",
        "town",
        ("{S} lives in {v}.", "{S} resides in {v}.", "{P} home is in {v}.", "{S} dwells in {v}."),
        ("lives", "resides", "home", "dwells"),
        (
            "In which town does {n} live?",
            "What is the town of {n}?",
            "Which town is the home of {n}?",
            "Where does {n} live?",
        ),
        (),  # filled with the world's towns
    ),
    Relation(
        "job",
        "job",
        ("{S} works as a {v}.", "{P} job is that of a {v}.", "{S} earns money as a {v}.", "{S} serves as a {v}."),
        ("works", "job", "earns", "serves"),
        (
            "What is the job of {n}?",
            "Which job does {n} have?",
            "As what job does {n} work?",
            "How does {n} earn money?",
        ),
        _words(
            "doctor teacher pilot baker farmer singer painter lawyer nurse sailor judge tailor barber "
            "plumber butcher gardener printer miner potter librarian"
        ),
    ),
    Relation(
        "food",
        "food",
        ("{S} loves eating {v}.", "{P} favourite food is {v}.", "{S} enjoys {v}.", "{S} dines on {v}."),
        ("loves", "food", "enjoys", "dines"),
        (
            "What is the favourite food of {n}?",
            "Which food does {n} love?",
            "What food does {n} enjoy?",
            "What is it that {n} likes to eat?",
        ),
        _words("nuts corn rice soup bread cheese plums beans pasta honey figs shrimp cake pears ham salad"),
    ),
    Relation(
        "pet",
        "pet",
        ("{S} keeps a {v}.", "{S} owns a {v}.", "{P} pet is a {v}.", "{S} cares for a {v}."),
        ("keeps", "owns", "pet", "cares"),
        (
            "Which pet does {n} keep?",
            "What pet does {n} have?",
            "What is the pet of {n}?",
            "What kind of animal belongs to {n}?",
        ),
        _words("dog cat pony rabbit parrot hamster goat turtle duck lizard ferret goose"),
    ),
    Relation(
        "colour",
        "colour",
        ("{S} wears {v}.", "{P} favourite colour is {v}.", "{S} prefers {v}.", "{S} dresses in {v}."),
        ("wears", "colour", "prefers", "dresses"),
        (
            "What is the favourite colour of {n}?",
            "Which colour does {n} prefer?",
            "Which colour does {n} wear?",
            "In what colour do you find the clothes of {n}?",
        ),
        _words("red blue green white yellow pink grey brown violet silver"),
    ),
    Relation(
        "instrument",
        "instrument",
        (
            "{S} plays the {v}.",
            "{S} performs on the {v}.",
            "{S} practises the {v}.",
            "{P} instrument is the {v}.",
        ),
        ("plays", "performs", "practises", "instrument"),
        (
            "Which instrument does {n} play?",
            "What instrument does {n} have?",
            "What is the instrument of {n}?",
            "On what does {n} make music?",
        ),
        _words("piano violin horn flute harp drum guitar cello banjo trumpet"),
    ),
)

TOWN_RELATIONS = (
    Relation(
        "region",
        "region",
        ("{S} lies in {v}.", "{S} belongs to {v}.", "{P} region is {v}.", "{S} stands in {v}."),
        ("lies", "belongs", "region", "stands"),
        (
            "In which region does {n} lie?",
            "What is the region of {n}?",
            "Which region does {n} belong to?",
            "What part of the land has {n} in it?",
        ),
        _words("Marland Costria Veldia Norsk Palmora Tressia Gallow Hestia Rovania Sundria"),
    ),
    Relation(
        "river",
        "river",
        ("{S} sits on the {v}.", "{P} river is the {v}.", "{S} borders the {v}.", "{S} overlooks the {v}."),
        ("sits", "river", "borders", "overlooks"),
        (
            "On which river does {n} sit?",
            "What is the river of {n}?",
            "Which river does {n} border?",
            "What water flows past {n}?",
        ),
        _words("Orne Tamble Wisk Derra Luven Pell Brisk Cam Sarn Yeld"),
    ),
    Relation(
        "goods",
        "goods",
        ("{S} sells {v}.", "{S} exports {v}.", "{S} trades {v}.", "{S} produces {v}."),
        ("sells", "exports", "trades", "produces"),
        (
            "Which goods does {n} sell?",
            "What goods does {n} export?",
            "What are the goods of {n}?",
            "What is it that {n} makes?",
        ),
        _words("wool salt cloth timber coal glass paper leather tin wine"),
    ),
)

# Each entity has one canonical value; the alias is accepted everywhere.
ALIASES = {
    "doctor": "physician",
    "teacher": "tutor",
    "lawyer": "solicitor",
    "corn": "maize",
    "shrimp": "prawns",
    "dog": "hound",
    "rabbit": "bunny",
    "red": "scarlet",
    "violin": "fiddle",
    "cloth": "fabric",
}

KEYWORDS = _words(
    "lantern velvet needle bridge candle feather garden hammer kettle ladder mirror pillow "
    "ribbon saddle thunder tunnel whistle window castle barrel button curtain puzzle magnet"
)
TRAIN_KEYWORDS, HELD_KEYWORDS = KEYWORDS[:18], KEYWORDS[18:]
KEYWORD_SENTENCES = ("Think of a {w}.", "That reminds me of a {w}.", "There is also a {w}.")
ECHO_OPENINGS = (
    "Someone wrote {w} on the wall.",
    "They say {w} twice.",
    "The word {w} must be said.",
    "Remember the word {w}.",
)

STARTERS = _words("Honestly Frankly Indeed Truly Clearly Naturally")
ENDINGS = ("good night", "see you soon", "take care", "thank you", "so long", "best wishes")
END_SENTENCE = "I say {w}."

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

OPENERS = ("Sure!", "Of course.", "Gladly.", "Here you go.")
HEDGES = ("I think", "I believe", "Perhaps", "Maybe")
CLOSERS = ("I hope this helps.", "Ask me more.", "That is all.")
LINKS = ("Also", "Besides")
ADDRESSES = ("my friend", "dear reader")

ABSTENTIONS = ("Sorry, I do not know {n}.", "I have never heard of {n}.", "I have no information about {n}.")

DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
EVENT_VERBS = _words("bought found lost carried painted borrowed")
EVENT_OBJECTS = _words("letters stamps maps coins books lamps boxes chairs")
EVENT_PLACES = _words("island market station church harbour library")
EVENT_MOODS = _words("quiet cold busy bright long windy")


def statement_verbs() -> dict[str, str]:
    """Every verb that may be forbidden, with the name of its relation."""
    return {verb: r.name for r in (*PERSON_RELATIONS, *TOWN_RELATIONS) for verb in r.verbs}
