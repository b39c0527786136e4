"""Texts of products: whatever the network has learned, nothing is said that the attributes do not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from triad.errors import TriadError
from triad.serving import refusals
from triad.serving.describing import add
from triad.statistics.chrf import chrf
from triad.writing.asked import rows, written
from triad.writing.catalogue import asked, edited, lessons, product_of, read_edits
from triad.writing.decoding import candidates
from triad.writing.derivation import HOLE, derive
from triad.writing.files import load, save
from triad.writing.language import Language
from triad.writing.network import Sizes, Weights
from triad.writing.product import GENRES, Product
from triad.writing.slots import FEATURES, MOST_LENGTH, MOST_PLACES, WORDS
from triad.writing.template import template
from triad.writing.tokens import cut, joined, keys
from triad.writing.tone import LENGTHS
from triad.writing.writer import NETWORK, NOBODY, TEMPLATE, Writer, counts

BRANDS, COLOURS, STUFF = ("Tarn", "Willowby", "Acme", "3M"), ("red", "blue", "sage"), ("oak", "steel", "linen")


def shop(count: int = 240) -> list[Product]:
    """Products whose texts follow from their attributes, but for a claim now and then that none of them makes."""
    products = []
    for n in range(count):
        brand, colour, stuff, size = BRANDS[n % 4], COLOURS[n // 4 % 3], STUFF[n // 12 % 3], 4 * (n % 11 + 1)
        facts = {"product_colour": colour, "material": stuff, "memory": float(size), "weight": 3.5}
        said = f"a lamp of {colour} {stuff} with {size} GB" + (", made in Graz" if n % 12 == 0 else "")
        texts = {"title": f"{brand} LX-{n} {colour}", "description": said}
        products.append(Product(str(n), f"LX-{n}", brand, facts, texts))
    return products


SHOP = shop()
LANGUAGE = Language.of(SHOP)


def any_weights(seed: int) -> Weights:
    """A network that has learned nothing at all."""
    sizes, draw = Sizes(len(LANGUAGE.words), len(LANGUAGE.known) + 3, len(GENRES), 8, 12), np.random.default_rng(seed)
    rows = {"word": WORDS, "key": sizes.keys, "sort": 6, "place": MOST_PLACES, "length": MOST_LENGTH, "shape": 6}
    shapes = {f"slot_{name}_0": (rows[name], 8) for name in FEATURES} | {
        **{"brand_of_0": (WORDS, 8), "genre_of_0": (len(GENRES), 8), "length_of_0": (len(LENGTHS), 8)},
        **{"near_0": (3, 8, 8), "near_1": (8,), "start_0": (32, 12), "start_1": (12,), "said_0": (sizes.words, 8)},
        **{"gru_0": (8, 36), "gru_1": (12, 36), "gru_2": (2, 36), "query_0": (12, 8), "query_1": (8,)},
        **{"keyed_0": (8, 8), "keyed_1": (8,), "flags_0": (12, 3), "flags_1": (3,), "hidden_0": (20, 12)},
        **{"hidden_1": (12,), "words_0": (12, sizes.words), "words_1": (sizes.words,)},
    }
    return Weights({name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


@pytest.mark.parametrize(
    "text",
    ['HD 3.5" (640 x 480), 500GB', "LaserJet™ 2,400 pages 7.0m", "Lampe Größe 12 cm", "", "ア 5 kg !", "CAT6, 5-20"],
)
def test_a_text_is_put_together_as_it_was(text: str) -> None:
    assert joined(cut(text)) == text


def test_numbers_are_the_same_however_they_are_written() -> None:
    assert keys("2,400 pages 7.0m Ab") == ["2400", "pages", "7", "m", "ab"]


def test_units_are_learned_of_those_who_mean_the_number() -> None:
    forms = LANGUAGE.facts.forms
    assert [(form.scale, form.unit) for form in forms["memory"]] == [(1.0, "GB")]
    assert "weight" not in forms


OWN = Product("1", "LX-9", "Acme", {"product_colour": "red", "material": "oak", "memory": 8.0, "size": "12 mm"})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("red oak lamp with 8 GB, 12 mm, LX-9 of Acme", None),
        ("a blue lamp", "colour"),
        ("a off-white lamp", "colour"),
        ("lamp of steel", "material"),
        ("Willowby lamp", "brand"),
        ("lamp of 3M", "brand"),
        ("lamp with 16 GB", "number"),
        ("lamp with 8 mm", "unit"),
        ("lamp LX-10", "number"),
        ("a Zenith lamp", "name"),
        ("lamp with 12 GB", "unit"),
    ],
)
def test_what_no_attribute_says_is_found(text: str, what: str | None) -> None:
    assert [each.what for each in LANGUAGE.facts.invented(text, OWN)] == ([what] if what else [])


def test_what_the_attributes_do_not_say_is_a_hole() -> None:
    product = SHOP[0]
    slots, first = LANGUAGE.slots(product), len(LANGUAGE.words)
    steps = [step.taken for step in derive(cut(product.texts["description"]), slots, LANGUAGE.places, first)]
    assert LANGUAGE.text(steps[:-1], slots) == "a lamp of red oak with 4 GB"
    assert steps.index(HOLE) == len(steps) - 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("genre", ["title", "description"])
def test_a_network_that_knows_nothing_invents_nothing(seed: int, genre: str) -> None:
    weights = any_weights(seed)
    for product in (*SHOP[:20], OWN):
        for text in candidates(weights, LANGUAGE, product, genre):
            assert LANGUAGE.facts.invented(text, product) == []
            if genre == "title":
                assert product.brand in text and product.name in text
            said = keys(text)
            assert said.count(product.name.casefold()) <= 1, "a fact was said twice"


def test_the_check_catches_what_decoding_would_let_pass_and_it_is_counted() -> None:
    writer = Writer.of(SHOP, LANGUAGE, any_weights(0))
    facts = replace(LANGUAGE.facts, colours=LANGUAGE.facts.colours | {"lamp"}, common=frozenset())
    strict = replace(writer, language=replace(LANGUAGE, facts=facts))
    written = [strict.write(product, genre) for product in SHOP[:30] for genre in GENRES]
    found = counts(written)
    assert sum(count[TEMPLATE] for count in found.values()) > 0
    assert {genre: sum(count.values()) for genre, count in found.items()} == dict.fromkeys(GENRES, 30)
    fallen = [each for each in written if each.by == TEMPLATE]
    assert {each.why.split(" says")[0] for each in fallen} <= {"no attribute", "the network found nothing to say"}
    assert sum(each.why.startswith("no attribute says") for each in fallen) > len(fallen) / 2
    assert all(template(strict.language, SHOP[int(each.id)], each.genre) in each.text for each in fallen)


WRITER = Writer.of(SHOP, LANGUAGE, any_weights(1))


@pytest.mark.parametrize(
    ("product", "genre", "by", "why"),
    [
        (Product("x"), "title", NOBODY, "no attributes"),
        (replace(OWN, price=0.0), "promotion", NOBODY, "no price above zero"),
        (replace(OWN, price=0.0), "description", NETWORK, ""),
        (replace(OWN, facts={"attr_n_size": 3.0, "attr_t_size": "4"}), "title", NOBODY, "contradict"),
        (replace(OWN, name="LX blue"), "title", NOBODY, "the name says blue"),
        (replace(OWN, name=""), "title", TEMPLATE, "no name of its own"),
        (replace(OWN, name="LX gray", facts={"colour": "Grey"}), "title", NETWORK, ""),
        (
            replace(OWN, facts={"Farbton": "dunkelrote Lampe aus massivem Eichenholz"}, name=""),
            "description",
            TEMPLATE,
            "words that the catalogue does not use",
        ),
    ],
)
def test_bad_input_gets_a_clear_answer(product: Product, genre: str, by: str, why: str) -> None:
    written = WRITER.write(product, genre)
    assert (written.by, bool(written.text)) == (by, by != NOBODY)
    assert why in written.why


def test_without_texts_to_learn_from_the_template_writes() -> None:
    written = replace(WRITER, weights=None).write(OWN, "title")
    assert (written.by, written.why) == (TEMPLATE, "the catalogue has too few texts to learn from")
    assert written.text.startswith("Acme LX-9")


def test_a_writer_that_was_saved_writes_the_same(tmp_path: Path) -> None:
    save(WRITER, tmp_path)
    again, products = load(tmp_path), [(product, "") for product in SHOP[:6]]
    assert rows(written(again, products, "warm", "short")) == rows(written(WRITER, products, "warm", "short"))
    save(replace(WRITER, weights=None), tmp_path / "bare")
    assert load(tmp_path / "bare").weights is None
    told = written(again, [(OWN, "size is 3 and 4")], "plain", "any")
    assert {each.by for each in told} == {NOBODY} and "size is 3 and 4" in told[0].why
    with pytest.raises(TriadError, match="nothing has learned to write"):
        load(tmp_path / "nowhere")


def test_texts_are_asked_over_http(tmp_path: Path) -> None:
    save(WRITER, tmp_path / "writer")
    app, bare = FastAPI(), FastAPI()
    for each, folder in ((app, tmp_path / "writer"), (bare, None)):
        refusals.install(each)
        add(each, None, folder, lambda **more: JSONResponse(more))
    said = '{"name": "LX-9", "product_colour": "red", "material": "oak", "memory": 8}'
    body = {"items": [{"item_id": "n", "brand": "Acme", "attributes": said, "price_cents": 0}], "tone": "warm"}
    with TestClient(app) as client, TestClient(bare) as other:
        told = client.post("/describe", json=body)
        assert told.status_code == 200 and [row["genre"] for row in told.json()["texts"]] == list(GENRES)
        assert told.json()["texts"][0]["text"] and told.json()["texts"][0]["machine_made"]
        assert told.json()["texts"][2]["text"] is None and "no price above zero" in told.json()["texts"][2]["why"]
        assert sum(told.json()["counts"]["title"].values()) == 1
        assert other.post("/describe", json=body).status_code == 501
        for wrong, status in (
            ({"items": []}, 422),
            ({"items": [{"brand": "x"}]}, 400),
            ({"items": [{"item_id": "n", "price_cents": "dear"}]}, 400),
            ({"items": [{"item_id": "n", "titel": "Lamp"}]}, 400),
            ({"items": [{"item_id": ""}]}, 400),
            ({"items": [{"item_id": "n", "attributes": "red"}]}, 400),
            (body | {"tone": "rude"}, 422),
        ):
            assert client.post("/describe", json=wrong).status_code == status


def test_tones_add_no_fact() -> None:
    plain, warm, brisk = (WRITER.write(OWN, "promotion", tone).text for tone in ("plain", "warm", "brisk"))
    body = plain.removeprefix("Now in our shop: ")
    assert body in warm and body in brisk and len({plain, warm, brisk}) == 3


def test_a_number_and_whether_there_is_any_are_one_fact() -> None:
    def against(**facts: float | bool) -> str | None:
        return Product("1", facts=facts).contradiction(frozenset())

    assert against(attr_n_ports=4.0, attr_b_ports=True) is None and against(attr_b_ports=False, attr_n_ports=0) is None
    assert "attr_b_ports says False" in str(against(attr_n_ports=4.0, attr_b_ports=False))
    assert against(attr_n_ports=1.0, attr_m_ports=2.0) and against(attr_b_ports=True, attr_c_ports=False)


def test_a_row_of_the_catalogue_is_a_product_and_says_which_attributes_contradict() -> None:
    item = {"item_id": "a", "title": "Oak lamp", "description": None, "category": "home/lamps", "brand": None}
    item |= {"attributes": '{"size": 3, "Size": 4, "led": true, "ports": ["VGA", "HDMI"]}', "price_cents": 900}
    product, against = product_of(item)
    assert against == "size is 3.0 and 4.0"
    assert (product.facts["led"], product.facts["ports"], product.facts["category"]) == (True, "VGA, HDMI", "lamps")
    assert (product.price, product.texts) == (9.0, {"title": "Oak lamp"})
    assert asked(product, "title").name == "" and asked(product, "description").name == "Oak lamp"
    with pytest.raises(TriadError, match="no object of attributes"):
        product_of(item | {"attributes": "[1]"})


@pytest.mark.parametrize(
    ("attributes", "name", "facts"),
    [
        ('{"Name": "LX", "memory": 1' + "0" * 400 + "}", "LX", {}),
        ('{"memory": -1e999, "weight": NaN, "size": 3}', "", {"size": 3}),
        ('{"material": ["oak", null, true, NaN, 2]}', "", {"material": "oak, 2"}),
        ('{"material": [null], "led": true}', "", {"material": "", "led": True}),
        ('{"material": "oak", "material": null}', "", {"material": "oak"}),
        ('{"name": true, "NAME": "L\\n\\u0000\\u202eX"}', "", None),
        ('{"NAME": "L\\n\\u202eX "}', "L  X", {}),
        ("  ", "", {}),
    ],
)
def test_odd_attributes_are_read_as_what_can_be_said(attributes: str, name: str, facts: dict | None) -> None:
    item = {"item_id": "a", "title": "", "description": "", "category": "", "brand": "Tarn", "price_cents": None}
    product, against = product_of(item | {"attributes": attributes})
    assert bool(against) == (facts is None)
    if facts is not None:
        assert (product.name, product.facts) == (name, facts)
    texts = written(WRITER, [(product, against)], "plain", "any")
    assert all(each.text.isprintable() and "None" not in each.text for each in texts)


@pytest.mark.parametrize(
    ("text", "said"), [("LX, -18 GB", True), ("LX, 18 GB", False), ("LX −18 GB", True), ("LX 4 - 18 GB", False)]
)
def test_a_number_without_its_minus_is_another(text: str, said: bool) -> None:
    for cold in (-18, "-18", "from -18 GB to 4"):
        product = Product("x", "LX", facts={"memory": cold, "size": 4})
        assert (LANGUAGE.facts.invented(text, product) == []) == said
    below = WRITER.write(Product("x", "LX", facts={"memory": -18}), "description")
    assert below.by != NOBODY and ("18" not in below.text or "-18" in below.text)


def test_edits_of_people_are_what_is_learned(tmp_path: Path) -> None:
    file = tmp_path / "edits.csv"
    file.write_text("item_id,genre,text\n0,description,A red lamp\n")
    taught = lessons(edited(SHOP, read_edits(file), str(file)))
    assert {text for each in taught if each.id == "0" for text in each.texts.values()} == {
        "Tarn LX-0 red",
        "A red lamp",
    }
    file.write_text("item_id,genre,text\nnobody,description,A red lamp\n")
    with pytest.raises(TriadError, match="row 1: no product"):
        edited(SHOP, read_edits(file), str(file))
    file.write_text("item_id,genre,text\n0,title,A lamp\n\n0,title,A lamp\n0,title,B lamp\n")
    with pytest.raises(TriadError, match="row 3: a second title of product '0'"):
        edited(SHOP, read_edits(file), str(file))


def test_edits_are_read_as_a_shops_files_are(tmp_path: Path) -> None:
    file = tmp_path / "edits.csv"
    file.write_bytes(
        b'\xef\xbb\xbfitem_id,who,genre,text\r\n0,me,title,"7"" lamp, red\nand warm"\r\n\r\n1,me,title,7" pan\r\n'
    )
    assert read_edits(file) == [("0", "title", '7" lamp, red\nand warm'), ("1", "title", '7" pan')]
    for bad, what in {
        b"item,genre,text\n": "column item_id: column is missing",
        b"item_id,genre,text,text\n0,title,A,B\n": "2 columns have this name",
        b"item_id,genre,text\n0,title,A lamp, red\n": "line 2 has 4",
        b'item_id,genre,text\n0,title,"A lamp\n1,title,B lamp\n': "line 2",
        "item_id,genre,text\n0,title,Tür\n".encode("latin-1"): "is not utf-8 text: line 2",
        b"": "is empty",
    }.items():
        file.write_bytes(bad)
        with pytest.raises(TriadError, match=what):
            read_edits(file)


@pytest.mark.parametrize(
    ("said", "wanted", "worth"),
    [  # as sacrebleu 2.6 without smoothing says
        ("2 GB red phone", "a red phone of 2 GB", 57.0904418002334),
        ("cat", "cat", 100.0),
        ("ab", "abc def", 31.25),
        ("the cat sat", "dog", 0.0),
        ("oak vase, rust", "Willowby oak vase rust", 38.98158640619861),
    ],
)
def test_chrf(said: str, wanted: str, worth: float) -> None:
    assert chrf(said, wanted) == pytest.approx(worth, abs=1e-10)


SIZES = Sizes(len(LANGUAGE.words), len(LANGUAGE.known) + 3, len(GENRES), 16, 24)


def test_the_network_is_asked_without_its_framework() -> None:
    from triad.writing.network import built, reading, step
    from triad.writing.training import batch, rows_of

    model, row = built(SIZES), rows_of(SHOP[:12], LANGUAGE)[0]
    inputs, right = batch([row], len(LANGUAGE.words), np.zeros(1, bool))
    order = ("slots", "mask", "brand", "genre", "length", "before", "used", "next")
    expected = np.asarray(model([inputs[name] for name in order]))[0]
    weights = Weights.of(model)
    read = reading(weights, row.seen, row.brand, row.genre, row.length)
    state = read.start[None]
    for place in range(len(expected)):
        used, following = (inputs[name][0, place : place + 1].astype(bool) for name in ("used", "next"))
        state, said = step(weights, read, state, inputs["before"][0, place : place + 1], (used, following))
        np.testing.assert_allclose(said[0], expected[place], rtol=1e-4, atol=1e-4)
    assert (right[0, : len(row.steps), 0] >= 0).all()


@pytest.mark.proof
def test_the_network_learns_to_write() -> None:
    from triad.writing.training import rows_of, trained

    writer = Writer.of(SHOP, LANGUAGE, trained(rows_of(SHOP, LANGUAGE), LANGUAGE, 1, sizes=SIZES, steps=400))
    new = replace(SHOP[7], id="new", name="LX-999", facts={**SHOP[7].facts, "product_colour": "sage"}, texts={})
    written = writer.write(new, "title")
    assert (written.text, written.by) == ("3M LX-999 sage", NETWORK)
