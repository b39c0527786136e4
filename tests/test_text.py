"""Texts: their plain form and terms, masks of what is personal, vectors that are computed once a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_encoder import make_encoder
from tokenizers import Tokenizer

from triad.arrays import Floats
from triad.config.text import ScratchParams, TextParams
from triad.errors import TriadError
from triad.members.texts import TextSpace
from triad.text.bags import Bag
from triad.text.beside import Beside
from triad.text.encoder import encoder_of
from triad.text.masking import masked
from triad.text.terms import MOST, plain, terms
from triad.text.vectors import Vectors
from triad.vector_store import shared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Running-SHOES, 128 GB", ["running", "shoes", "128gb"]),
        ("1,5 L or 1.5l", ["1.5l", "or", "1.5l"]),
        ("2 in stock", ["2", "in", "stock"]),
        ("Ｐhone\x00\u200b红鞋 42", ["phone", "红", "鞋", "42"]),
        ("50 % off ‹email›", ["50%", "off", "‹email›"]),
        ("🙂\ud800", []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_any_text_has_a_plain_form_that_can_be_stored(text: str) -> None:
    form = plain(masked(text))
    assert form.isprintable() and form == form.strip()
    form.encode()
    assert masked(masked(text)) == masked(text)


def test_a_long_text_is_cut_and_quickly_read() -> None:
    for text in ("a" * 10_000, "1-a" * 3_333, "1 " * 5_000, "@" * 10_000, "order " * 1_600):
        assert len(plain(masked(text))) <= 2 * MOST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm at anna@mail.com or +49 170 1234567", "I'm at ‹email› or ‹phone›"),
        ("order #A-10231 and invoice no. 4711", "order ‹number› and invoice no. ‹number›"),
        ("parcel 302-1234567-1234567", "parcel ‹number›"),
        ("card 4111 1111 1111 1111", "card ‹card›"),
        ("DE89 3704 0044 0532 0130 00", "‹account›"),
        ("see https://shop.de/o?u=anna", "see ‹link›"),
        ("call 0170-1234567!", "call ‹phone›!"),
        ("２０２６１２３４５", "‹number›"),
        ("订单号：88123", "订单号：‹number›"),
        ("Two of the 128 GB for 1299.00 €, 10000mAh, size 42", "Two of the 128 GB for 1299.00 €, 10000mAh, size 42"),
    ],
)
def test_what_is_personal_is_masked(text: str, expected: str) -> None:
    assert masked(text) == unicodedata.normalize("NFKC", expected)


class Lengths:
    """Encodes a text as its length, and counts what it is asked."""

    fingerprint, dim = "lengths", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], np.float32)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_a_text_is_encoded_once_masked_and_kept_by_its_hash(tmp_path: Path) -> None:
    first, second = Lengths(), Lengths()
    vectors = Vectors(first, tmp_path)
    np.testing.assert_array_equal(vectors.of(["Shoe", "a@b.de", "shoe"])[:, 0], [4, 7, 4])
    assert first.asked == ["shoe", "‹email›"]
    later = Vectors(second, tmp_path)
    np.testing.assert_array_equal(later.of(["a@b.de", "shoes", "shoe"])[:, 0], [7, 5, 4])
    assert second.asked == ["shoes"] and later.of([]).shape == (0, 2)
    assert not [file for file in tmp_path.rglob("*.npz") if b"shoe" in file.read_bytes()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def test_an_encoder_from_a_folder_gives_unit_vectors_whatever_stands_beside(folder: Path, tmp_path: Path) -> None:
    encoder = encoder_of(TextParams(encoder=str(folder)))
    assert encoder is not None
    texts = ["red shoe", "shoes", "", "鞋 " * 50, "red shoe"]
    together = encoder.encode(texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together[[1]], encoder.encode(["shoes"]), atol=1e-5)
    np.testing.assert_array_equal(together[0], together[4])
    encoder.save(tmp_path / "kept")
    kept = encoder_of(TextParams(encoder=str(tmp_path / "kept")))
    assert kept is not None and kept.fingerprint == encoder.fingerprint
    np.testing.assert_allclose(kept.encode(texts), together, atol=1e-6)


def test_a_space_of_texts_takes_its_encoder_along(folder: Path, tmp_path: Path) -> None:
    said = ["red shoe", "shoes", "鞋"]
    encoder = encoder_of(TextParams(encoder=str(folder)))
    assert encoder is not None
    space = TextSpace(Bag.fit(said), Vectors(encoder, tmp_path / "store"))
    space.save(tmp_path / "space")
    asked = [*said, "a red hat", ""]
    np.testing.assert_allclose(
        TextSpace.load(tmp_path / "space").of(asked).toarray(), space.of(asked).toarray(), atol=1e-3
    )
    assert space.of(asked).shape[1] == Bag.fit(said).matrix(asked).shape[1] + encoder.dim


def test_a_second_encoder_is_read_from_the_middle_of_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "triad.text.vectors.encoder_of", lambda params, _: Lengths() if params.encoder == "it" else None
    )
    assert Beside.chosen(TextParams(encoder="it"), ["red"]) is None
    beside = Beside.chosen(TextParams(beside="it"), ["red", "shoes", "shoes", "shoes"])  # a text counts once: 4 letters
    assert beside is not None
    np.testing.assert_array_equal(beside.of(["redder", "hat", "shoe"]), [[1, 0], [-1, 0], [0, 0]])


@pytest.mark.parametrize(("encoder", "beside"), [("minilm", "words"), ("minilm", "minilm")])
def test_a_second_encoder_that_adds_nothing_is_refused(encoder: str, beside: str) -> None:
    with pytest.raises(ValueError, match=f"beside {beside} adds no vectors to those of encoder minilm"):
        TextParams(encoder=encoder, beside=beside)


def test_a_space_of_texts_takes_its_second_encoder_along(folder: Path, tmp_path: Path) -> None:
    said = ["red shoe", "shoes", "鞋"]
    encoder = encoder_of(TextParams(encoder=str(folder)))
    assert encoder is not None
    vectors, middle = Vectors(encoder), np.full(encoder.dim, 0.5, np.float32)
    space = TextSpace(Bag.fit(said), vectors, Beside(vectors, middle))
    columns = space.of(said).toarray()
    apart = vectors.of(said) - middle
    expected = [Bag.fit(said).matrix(said).toarray(), vectors.of(said), apart / np.linalg.norm(apart, axis=1)[:, None]]
    np.testing.assert_allclose(columns, np.hstack(expected), rtol=1e-5)
    space.save(tmp_path / "space")
    np.testing.assert_allclose(TextSpace.load(tmp_path / "space").of(said).toarray(), columns, atol=1e-3)


def test_what_serves_has_the_vectors_that_go_along_and_no_others(folder: Path, tmp_path: Path) -> None:
    encoder = encoder_of(TextParams(encoder=str(folder)))
    assert encoder is not None
    made = Vectors(encoder, tmp_path / "store")
    products, said = made.of(["Red shoe", "shoes"], goes_along=True), made.of(["a customer's words"])
    made.save(tmp_path / "model")
    kept = Vectors.load(tmp_path / "model")
    assert kept is not None and len(kept._store.known) == 2
    kept.encoder = Lengths()  # whoever asks it again is found out
    np.testing.assert_array_equal(kept.of(["red shoe", "shoes"]), products)
    assert not kept.encoder.asked and said.shape == (1, encoder.dim)
    assert Vectors.load(tmp_path) is None


def test_no_encoder_and_what_is_none(tmp_path: Path) -> None:
    assert encoder_of(TextParams()) is None
    with pytest.raises(TriadError, match=r"lacks config\.json, tokenizer\.json, model\.safetensors"):
        encoder_of(TextParams(encoder=str(tmp_path)))
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(TriadError, match="cannot be read"):
        encoder_of(TextParams(encoder=str(tmp_path)))


def test_nights_of_a_checkout_share_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRIAD_CHECKOUT", raising=False)
    assert shared("vectors") == Path(".triad/vectors")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(tmp_path))
    assert shared("vectors") == tmp_path / ".triad" / "vectors"


@pytest.mark.proof
def test_an_encoder_learns_of_a_shops_own_texts_in_any_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words that never stand together, but beside the same others, come to mean the same."""
    monkeypatch.chdir(tmp_path)
    groups = [
        ("lamp light", "bright desk bulb glow"),
        ("jacket coat", "warm sleeve wool zip"),
        ("灯 烛", "亮 桌 光 夜"),
        ("衣 袍", "暖 袖 毛 链"),
    ]
    texts = [
        text
        for names, beside in groups
        for name in names.split()
        for one, other in permutations(beside.split(), 2)
        for text in (f"{one} {other} {name}", f"{name} {one} {other}")
    ]
    params = TextParams(encoder="scratch", scratch=ScratchParams(dim=16, layers=1, subwords=200, steps=300))
    with pytest.raises(TriadError, match="nothing was pretrained"):
        encoder_of(params)
    with pytest.raises(TriadError, match="3 different texts teach no encoder"):
        encoder_of(params, lambda: texts[:3])
    made = encoder_of(params, lambda: [*texts, "order of zygmunt"])
    assert made is not None
    kept = encoder_of(params)  # a later night reads the one that is there
    assert kept is not None and kept.fingerprint == made.fingerprint
    tokens = Tokenizer.from_file(str(next(tmp_path.rglob("tokenizer.json"))))
    assert "[UNK]" not in tokens.encode("warm lamp 桌灯").tokens
    assert not [word for word in tokens.get_vocab() if len(word) > 3 and word in "zygmunt"]
    names = [name for words, _ in groups for name in words.split()]
    vectors = made.encode(names)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    nearest = (vectors @ vectors.T - 2 * np.eye(len(names))).argmax(axis=1)
    assert (nearest // 2 == np.arange(len(names)) // 2).mean() >= 0.75  # by chance 1 / 7


def test_the_same_texts_give_the_same_subwords() -> None:
    """Whatever order a hash table has: with pairs that are as frequent, and more characters than are known."""
    from triad.text.scratch import CHARACTERS, SPECIAL, subwords

    rare = [chr(0x4E00 + number) for number in range(CHARACTERS + 100)]
    texts = [f"{one}{two}{three} b{two}{one}" for one, two, three in permutations("aeiostnrlcd", 3)] + rare
    made = {subwords(some, 1_500).to_str() for some in (texts, texts, texts[::-1], texts, texts)}
    assert len(made) == 1
    tokens = subwords(texts, 1_500)
    vocabulary = tokens.get_vocab()
    assert [tokens.token_to_id(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert len([name for name in vocabulary if name in rare]) + 12 == CHARACTERS
    assert tokens.encode("##a").tokens == ["[CLS]", "[UNK]", "[UNK]", "a", "[SEP]"]  # a piece is no word of its own
    assert tokens.encode("baes").tokens[1] != "[UNK]"
