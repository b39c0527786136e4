"""The fact check: what a text says of a product that its attributes do not.

It knows nothing of who wrote the text. A number must be one of the product's, and with a unit be an amount of it; a
brand, a colour or a material must be named in its attributes; and so must every name: a word that few brands' texts
share, or that texts say of products whose attributes have it alone. Other words are the language's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from triad.writing.amounts import Form, following, learned
from triad.writing.product import Product, is_colour, is_material
from triad.writing.tokens import UNITS, Token, cut, has_digit, is_word, joined, keys, number_at

_COLOURS = """
black white grey gray silver red green blue yellow orange purple violet pink brown beige gold golden bronze turquoise
cyan magenta ivory cream navy burgundy maroon teal olive khaki anthracite charcoal titanium graphite copper rose lilac
"""
_MATERIALS = """
leather cotton wool silk linen polyester nylon plastic wood wooden bamboo oak pine metal steel aluminium
aluminum iron brass copper glass ceramic porcelain rubber silicone vinyl velvet suede denim canvas neoprene
carbon gold silver titanium marble granite paper cardboard felt fleece acrylic polycarbonate polypropylene
"""
COLOURS, MATERIALS = frozenset(_COLOURS.split()), frozenset(_MATERIALS.split())
BRANDS_OF_A_WORD = 3
"""A word in the texts of so many brands is the language's; of fewer, somebody's name."""

CLAIMED = 0.9
"""A word whose uses have it in the product's attributes this often is a fact where it stands, as `dress` is."""

_MOST_NAME = 4  # words of a brand's name


@dataclass(frozen=True)
class Invented:
    """A claim without a fact."""

    what: str  # number, unit, brand, colour, material, claim or name
    text: str


@dataclass(frozen=True)
class Facts:
    """What the check knows of a shop's language: its brands, colours, materials, common words and forms of numbers."""

    brands: Mapping[str, str]  # without case → as it is written
    colours: frozenset[str]
    materials: frozenset[str]
    common: frozenset[str]
    claims: frozenset[str]  # of them, those that texts say of products whose attributes say them, and of no others
    forms: Mapping[str, tuple[Form, ...]]

    @classmethod
    def of(cls, products: Iterable[Product]) -> Facts:
        """Learned from the attributes and texts of a catalogue."""
        products = list(products)
        users: dict[str, set[str]] = defaultdict(set)
        uses, known = Counter[str](), Counter[str]()
        for product in products:
            said = {key for text in product.texts.values() for key in keys(text)}
            for key in said:
                users[key].add(product.brand)
            if product.name:  # of one without a name, too little is known
                uses.update(said)
                known.update(said.intersection(key for _, text in product.said() for key in keys(text)))
        needed = min(BRANDS_OF_A_WORD, len({product.brand for product in products}))
        common = frozenset(word for word, brands in users.items() if len(brands) >= needed)
        return cls(
            {
                joined(cut(product.brand)).casefold(): joined(cut(product.brand))
                for product in products
                if product.brand
            },
            COLOURS | _values(products, is_colour),
            MATERIALS | _values(products, is_material),
            common,
            frozenset(word for word in common if word.isalpha() and known[word] >= max(1, CLAIMED * uses[word])),
            learned(products),
        )

    def invented(self, text: str, product: Product) -> list[Invented]:
        """What `text` claims and the attributes of `product` do not say."""
        tokens, own = cut(text), _Own.of(product, self.forms)
        brands = self._foreign(tokens, own)
        inventions = [Invented("brand", name) for name in brands.values()]
        covered = {at for place in brands for at in place}
        for at, token in enumerate(tokens):
            if at in covered or not is_word(token.text):
                continue
            if has_digit(token.text):
                inventions += self._number(tokens, at, own)
            elif token.key in own.words or token.key in UNITS:
                continue
            elif self.colours & set(parts := token.key.replace("/", "-").split("-")):
                inventions.append(Invented("colour", token.text))
            elif self.materials & set(parts):
                inventions.append(Invented("material", token.text))
            elif token.key in self.claims:
                inventions.append(Invented("claim", token.text))
            elif token.key not in self.common:
                inventions.append(Invented("name", token.text))
        return inventions

    def _number(self, tokens: Sequence[Token], at: int, own: _Own) -> list[Invented]:
        token, unit, key = tokens[at], following(tokens, at)[0].casefold(), number_at(tokens, at)
        if key not in own.words:
            return [Invented("number", token.text)]
        if unit and (key, unit) not in own.amounts:
            return [Invented("unit", f"{token.text} {unit}")]
        return []

    def _foreign(self, tokens: Sequence[Token], own: _Own) -> dict[range, str]:
        """Where brands stand that are not the product's."""
        foreign = {}
        for at in range(len(tokens)):
            for end in range(at + 1, min(at + _MOST_NAME, len(tokens)) + 1):
                said = tokens[at:end]
                name, brand = joined(said), self.brands.get(joined(said).casefold())
                if brand is None or own.words.issuperset(token.key for token in said):
                    continue
                # "3m" is a length and "3M" a brand; a brand that is an ordinary word, in small letters, is the word
                if name == brand or not (has_digit(name) or (name.islower() and name in self.common)):
                    foreign[range(at, end)] = name
        return foreign


@dataclass(frozen=True)
class _Own:
    """A product's words, and its amounts as (number, unit)."""

    words: frozenset[str]
    amounts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, product: Product, forms: Mapping[str, tuple[Form, ...]]) -> _Own:
        words: set[str] = set()
        amounts: set[tuple[str, str]] = set()
        for _, text in product.said():
            tokens = cut(text)
            for at, token in enumerate(tokens):
                words.add(key := number_at(tokens, at) if has_digit(token.text) else token.key)
                if has_digit(token.text):
                    amounts.add((key, following(tokens, at)[0].casefold()))
        for key, value in product.numbers():
            for form in (Form(1.0, "", False), *forms.get(key, ())):
                number, *unit = form.tokens(value)
                words.add(number.key)
                amounts.add((number.key, unit[0].key if unit else ""))
        return cls(frozenset(words), frozenset(amounts))


def _values(products: list[Product], names: Callable[[str], bool]) -> frozenset[str]:
    """Facts of one word, of the keys that `names` accepts: a longer one has other words in it."""
    parts = (
        keys(part)
        for product in products
        for key, text in product.said()
        if names(key)
        for part in text.replace("/", ",").split(",")
    )
    return frozenset(words[0] for words in parts if len(words) == 1 and words[0].isalpha() and len(words[0]) > 2)
