"""Alias matching: a table of ugly replies, and laws of normalising."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.matching import matches, normalise
from evalsuite.scoring.numbers import spell_out

NORMALISED = [
    ("The Beatles", "beatles"),
    ("  PARIS!! ", "paris"),
    ("Gabriel García Márquez", "gabriel garcia marquez"),
    ("J. R. R. Tolkien", "jrr tolkien"),
    ("J.K. Rowling", "jk rowling"),
    ("U.S.A.", "usa"),
    ("Straße", "strasse"),
    ("Ørsted", "orsted"),
    ("O’Brien's", "obrien"),
    ("H₂O", "h2o"),
    ("1,000", "1000"),
    ("3.14", "3.14"),
    ("one thousand four hundred and forty", "1440"),
    ("twenty-one", "21"),
    ("nineteen eighty-nine", "1989"),
    ("8 million", "8000000"),
    ("vitamin A", "vitamin a"),
    ("a", "a"),
    ("Coca-Cola", "coca cola"),
    ("rock & roll", "rock and roll"),
    ("東京", "東京"),
    ("йод", "иод"),
    ("", ""),
    ("...", ""),
]

YES = [
    ("Paris", ["Paris"]),
    ("**Paris**.", ["Paris"]),
    ("paris", ["Paris"]),
    ("The answer is: Paris!", ["Paris"]),
    ("Answer: (Paris)", ["Paris"]),
    ("Paris's best known painter", ["Paris"]),
    ("It is Paris, not London.", ["Paris"]),
    ("Not London but Paris", ["Paris"]),
    ("It is not London; it is Paris.", ["Paris"]),
    ("No, Paris.", ["Paris"]),
    ("It is not only Paris that hosted it.", ["Paris"]),
    ("Paris is not far from the sea.", ["Paris"]),
    ("Peking or Beijing", ["Beijing", "Peking"]),
    ("Beijing (or Peking)", ["Beijing", "Peking"]),
    ("about 1440 or so", ["1440"]),
    ("Mercury, the metal that is liquid at or near room temperature", ["mercury"]),
    ("Either way, the answer is mercury", ["mercury"]),
    ("It isn't Lyon. Paris it is.", ["Paris"]),
    ("There are eight.", ["8"]),
    ("8", ["eight"]),
    ("It has 88 keys", ["88"]),
    ("1,440 minutes", ["1440"]),
    ("In the year 1989.", ["1989"]),
    ("nineteen eighty-nine", ["1989"]),
    ("Vitamin C", ["vitamin C"]),
    ("vitamin-C", ["vitamin C"]),
    ("It was written by J.K.Rowling", ["J. K. Rowling"]),
    ("Gabriel Garcia Marquez wrote it", ["Gabriel García Márquez"]),
    ("the Pacific Ocean", ["Pacific"]),
    ("Pacific", ["the Pacific"]),
    ("答案是东京。", ["东京"]),
    ("Это Париж.", ["Париж"]),
    ("Mount Fuji\n\nIt is in Japan.", ["Mount Fuji"]),
    ("It's the bishop", ["bishop"]),
    ("I think it's London. No wait, it's Paris.", ["Paris"]),
    ("Van Gogh, Vincent", ["van Gogh"]),
    ("Unlike London, Paris lies on the Seine.", ["Paris"]),
]

NO = [
    ("", ["Paris"]),
    ("London", ["Paris"]),
    ("Parisian", ["Paris"]),
    ("Comparison", ["Paris"]),
    ("It is not Paris.", ["Paris"]),
    ("It isn't Paris", ["Paris"]),
    ("It’s not Paris, it’s London.", ["Paris"]),
    ("London, not Paris", ["Paris"]),
    ("London rather than Paris", ["Paris"]),
    ("London instead of Paris", ["Paris"]),
    ("Neither Paris nor London", ["Paris"]),
    ("Paris is not the capital.", ["Paris"]),
    ("Paris is incorrect", ["Paris"]),
    ("It is never Paris", ["Paris"]),
    ("I don't think it is Paris", ["Paris"]),
    ("It cannot be Paris", ["Paris"]),
    ("Paris or London", ["Paris"]),
    ("London or Paris", ["Paris"]),
    ("either Paris or London", ["Paris"]),
    ("Paris/London", ["Paris"]),
    ("Paris, London, or Rome", ["Paris"]),
    ("It might be Rome, London or Paris.", ["Paris"]),
    ("Paris. Actually, it is not Paris.", ["Paris"]),
    ("70", ["7"]),
    ("7.5", ["7"]),
    ("17", ["7"]),
    ("seventy", ["7"]),
    ("twenty-one", ["20"]),
    ("1910-1920", ["1910"]),
    ("1910–1920", ["1920"]),
    ("7 or 8", ["8"]),
    ("vitamin D", ["vitamin C"]),
    ("The vitamin is called C-reactive", ["vitamin C"]),
    ("hen", ["he"]),
    ("New. York", ["New York"]),
    ("Ohmic", ["ohm"]),
    ("I don't know.", ["Paris"]),
    ("Paris", [""]),
    ("Paris", []),
]


@pytest.mark.parametrize(("text", "expected"), NORMALISED)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(("reply", "aliases"), YES)
def test_match(reply: str, aliases: list[str]) -> None:
    assert matches(reply, aliases)


@pytest.mark.parametrize(("reply", "aliases"), NO)
def test_no_match(reply: str, aliases: list[str]) -> None:
    assert not matches(reply, aliases)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("two three", "2 3"),
        ("one hundred", "100"),
        ("a hundred", "a hundred"),
        ("two hundred and five cats", "205 cats"),
        ("three million two hundred thousand", "3200000"),
        ("twenty twenty", "2020"),
        ("zero", "0"),
        ("ninety nine", "99"),
        ("twelve and six", "12 and 6"),
        ("one thousand", "1000"),
        ("one thousand and one nights", "1001 nights"),
    ],
)
def test_number_words(words: str, expected: str) -> None:
    assert " ".join(spell_out(words.split())) == expected


names = st.from_regex(r"[A-Z][a-z]{5,9}", fullmatch=True).filter(
    lambda name: name not in ("Neither", "Unlike", "Except")
)


@given(st.text(max_size=80))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    # Articles fall from the front one by one, and digits that meet are left alone, so the words stay as they are.
    once = normalise(text)
    assert normalise(once).split()[-1:] == once.split()[-1:]
    assert matches(text, ["paris"]) in (True, False)


@given(names, names, names)
def test_a_name_is_found_anywhere_but_never_inside_a_word(name: str, before: str, after: str) -> None:
    assert matches(f"{before} {name} {after}.", [name])
    if name.lower() not in (before.lower(), after.lower()):
        assert not matches(f"{before}{name.lower()} x{name.lower()}", [name])
