"""Pictures: decoding what a folder may hold, weights of a file that is not trusted, vectors computed once a picture."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_weights import pth, untaught
from PIL import Image

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.images.colours import DIM, colours
from triad.images.decoding import Fault, _eight_bit, decode
from triad.images.encoder import encoder_of
from triad.images.files import read
from triad.images.torch_file import _KNOWN, _TYPES, load_arrays
from triad.images.vectors import Vectors


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RED = Image.new("RGB", (60, 80), (200, 10, 10))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", Fault.NO_PICTURE),
        (b"<html>not found</html>", Fault.NO_PICTURE),
        (file_of(RED, "JPEG")[:300], Fault.NO_PICTURE),
        (file_of(RED)[:60], Fault.NO_PICTURE),
        (file_of(RED, "PDF"), Fault.NO_PICTURE),
        (file_of(Image.new("RGB", (1, 1))), Fault.SMALL),
        (file_of(Image.new("RGB", (4_000, 3))), Fault.SMALL),
        (file_of(Image.new("1", (8_000, 8_000))), Fault.HUGE),
        (file_of(Image.new("1", (20_000, 20_000))), Fault.HUGE),
    ],
)
def test_what_is_no_picture_says_why(content: bytes, fault: Fault) -> None:
    assert decode(content, 160) is fault


@pytest.mark.parametrize(
    "content",
    [
        file_of(RED),
        file_of(RED, "JPEG"),
        file_of(RED.convert("CMYK"), "JPEG"),
        file_of(RED.quantize(8)),
        file_of(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (60, 80), "blue")]),
        file_of(RED, "WEBP", lossless=True),
        file_of(RED.resize((3_000, 4_000)), "JPEG"),
    ],
    ids=["png", "jpeg", "cmyk", "palette", "animated", "webp", "large"],
)
def test_every_form_of_a_picture_is_read_as_rgb(content: bytes) -> None:
    picture = decode(content, 160)
    assert not isinstance(picture, Fault) and picture.shape == (160, 160, 3) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - (200, 10, 10)).max() < 30


def test_what_is_transparent_is_white_and_sixteen_bit_is_grey() -> None:
    clear = decode(file_of(Image.new("RGBA", (20, 20), (0, 0, 0, 0))), 32)
    assert not isinstance(clear, Fault) and clear.min() == 255
    deep = decode(file_of(Image.fromarray(np.full((20, 20), 60_000, np.uint16))), 32)
    assert not isinstance(deep, Fault) and deep.min() == 255


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_in_a_picture_of_floats_is_black_or_white(odd: float) -> None:
    values = np.repeat(np.linspace(0, 50, 16, dtype=np.float32)[None], 16, axis=0)
    held = io.BytesIO()
    values[0, 0] = odd
    Image.fromarray(values).save(held, "TIFF")
    picture = decode(held.getvalue(), 16)
    assert not isinstance(picture, Fault) and picture[8].mean() > 100 and np.ptp(picture[8]) > 200


def test_a_deep_picture_takes_no_memory_of_floats() -> None:
    values = np.random.default_rng(0).integers(0, 60_000, (2_000, 2_000)).astype(np.uint16)
    tracemalloc.start()
    try:
        made = _eight_bit(values)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20, "floats of all of it are 32 MiB"
    finally:
        tracemalloc.stop()
    assert (made == (values / values.max() * 255).astype(np.uint8)).all()


def test_colours_are_those_of_the_thing_and_not_of_its_ground() -> None:
    def picture(thing: tuple[int, ...], ground: tuple[int, ...]) -> Ints:
        image = np.full((160, 160, 3), ground, np.uint8)
        image[40:120, 40:120] = thing
        return image

    white, grey, blue = (
        colours(picture(*each)[None])[0]
        for each in (
            ((200, 10, 10), (255, 255, 255)),
            ((200, 10, 10), (128, 128, 128)),
            ((10, 10, 200), (255, 255, 255)),
        )
    )
    counts = slice(DIM - 219, DIM)
    assert np.abs(white[counts] - grey[counts]).max() < 1e-6 and np.abs(white[counts] - blue[counts]).max() > 0.5


class Means:
    """Encodes a picture as its mean colour, and counts what it is asked."""

    fingerprint, dim = "means", 3

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, pictures: Ints) -> Floats:
        self.asked += len(pictures)
        return pictures.mean(axis=(1, 2)).astype(np.float32) / 255

    def save(self, folder: Path) -> None: ...


def test_a_picture_is_encoded_once_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    encoder, red, blue = Means(), file_of(RED), file_of(Image.new("RGB", (60, 80), "blue"))
    vectors, faults = Vectors(encoder, tmp_path).of([red, Fault.MISSING, b"none", red])
    assert encoder.asked == 1 and faults == [None, Fault.MISSING, Fault.NO_PICTURE, None]
    assert not vectors[1:3].any() and np.array_equal(vectors[0], vectors[3]) and vectors[0, 0] > 0.7
    again, _ = Vectors(encoder, tmp_path).of([blue, red])
    assert encoder.asked == 2 and np.array_equal(again[1], vectors[0]) and again[0, 2] == 1


def test_a_table_opens_no_file_beyond_its_folder(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "in").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (shop / "in" / "a.png").write_bytes(b"a")
    (shop / "link.png").symlink_to(tmp_path / "secret.png")
    assert read(str(shop), "in/a.png") == b"a" and read(str(shop), "in/../in/a.png") == b"a"
    for path in (
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "in",
        "",
        "no.png",
        "a\0b",
        "x" * 5_000,
        "/dev/zero",
    ):
        assert read(str(shop), path) is Fault.MISSING, path
    assert read(None, "in/a.png") is Fault.MISSING
    for held in ("data:image/png;base64,YQ==", "DATA:IMAGE/PNG;BASE64,YQ==", "data:image/png;base64,Y\nQ = =\r\n"):
        assert read(None, held) == b"a", held
    for damaged in ("data:image/png;base64,Y", "data:image/png,YQ==", "data:text/plain;base64,YQ==", "DATA:", "data:;"):
        assert read(None, damaged) is Fault.NO_PICTURE, damaged


def test_weights_are_read_and_nothing_else_is_called(tmp_path: Path) -> None:
    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float32)}
    path = pth(state, tmp_path / "w.pth")
    assert {name: each.tolist() for name, each in load_arrays(path).items()} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [1, 1],
    }
    assert len(_KNOWN) == 2 + len(_TYPES)

    content = path.read_bytes()
    bad = tmp_path / "bad.pth"
    bad.write_bytes(content[:-4])
    with pytest.raises(TriadError, match="the file ends early"):
        load_arrays(bad)
    bad.write_bytes(content.replace(b"torch._utils\n_rebuild_tensor_v2", b"os\nsystem"))
    with pytest.raises(TriadError, match=r"names os\.system, which is no tensor"):
        load_arrays(bad)
    for other in (b"", b"PK\x03\x04", b"\x80\x02K\x01."):
        bad.write_bytes(other)
        with pytest.raises(TriadError, match="is no file of weights"):
            load_arrays(bad)


@pytest.mark.parametrize("transfer", ["delta", pytest.param("full", marks=pytest.mark.proof)])
def test_a_taught_network_starts_as_the_frozen_one_and_keeps_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: str
) -> None:
    from triad.images import taught

    weights = pth(untaught(1), tmp_path / "w.pth")
    frozen, encoder = encoder_of(str(weights)), encoder_of(str(weights), transfer)
    random = np.random.default_rng(3)
    pictures = random.integers(0, 256, (24, 160, 160, 3)).astype(np.uint8)
    vectors = encoder.encode(pictures)
    np.testing.assert_allclose(vectors[:, : frozen.dim], frozen.encode(pictures), atol=1e-5)
    assert encoder.maps == (5, 5, 24) and vectors.shape == (24, encoder.dim) and encoder.dim == frozen.dim + 600
    known = taught.Side(vectors[:, : frozen.dim], vectors[:, frozen.dim :].reshape(-1, *encoder.maps))
    labels = {"a": random.integers(0, 3, 24).astype(float), "b": np.r_[np.full(20, np.nan), 0, 1, 0, 1]}
    for name, value in (("HIDDEN", 16), ("LEAST_STEPS", 1), ("HEAD_EPOCHS", 2), ("TAUGHT_EPOCHS", 2), ("RANK", 2)):
        monkeypatch.setattr(taught, name, value)
    heads = taught.Heads.fit(known, labels, {"a": 3, "b": 2}, transfer, weights=weights)
    scores = heads.predict(known)
    assert {name: each.shape for name, each in scores.items()} == {"a": (24, 3), "b": (24, 2)}
    np.testing.assert_allclose(scores["a"].sum(axis=1), 1, atol=1e-5)
    learned = {each.name for each in heads.model.get_layer("last_blocks").trainable_weights}
    assert ("lora_kernel_a" in learned) == (transfer == "delta") and ("kernel" in learned) == (transfer == "full")
    heads.save(tmp_path / "kept")
    again = taught.Heads.load(tmp_path / "kept").predict(known)
    np.testing.assert_allclose(again["a"], scores["a"], atol=1e-5)


def test_a_deep_network_sees_mirrors_alike_counts_as_products_say_and_is_silent_without_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triad.images import deep, taught

    monkeypatch.setattr(deep, "SIZE", 32)
    monkeypatch.setattr(deep, "PACE", taught.Pace(2, 1e-3, 64, 0.5))
    for name, value in (("HIDDEN", 16), ("LEAST_STEPS", 1), ("FROZEN_EPOCHS", 2)):
        monkeypatch.setattr(taught, name, value)
    weights = pth(untaught(1), tmp_path / "w.pth")
    frozen, encoder = encoder_of(str(weights)), encoder_of(str(weights), "deep")
    random = np.random.default_rng(3)
    pictures = random.integers(0, 256, (24, 160, 160, 3)).astype(np.uint8)
    vectors = encoder.encode(pictures)
    np.testing.assert_allclose(vectors[:, : frozen.dim], frozen.encode(pictures), atol=1e-5)
    assert encoder.maps == (80, 80, 3) and vectors.shape == (24, encoder.dim) == (24, frozen.dim + 19_200)
    known = taught.Side(vectors[:, : frozen.dim], vectors[:, frozen.dim :].reshape(-1, *encoder.maps))
    assert known.maps is not None
    np.testing.assert_allclose(known.maps[0, 3, 5], pictures[0, 6:8, 10:12].mean(axis=(0, 1)) / 127.5 - 1, atol=1e-5)
    known.maps[4] = 0  # there is no picture

    labels = {"a": random.integers(0, 3, 24).astype(float), "b": np.r_[np.full(20, np.nan), 0, 1, 0, 1]}
    one = deep.Deep.fit(known, labels, {"a": 3, "b": 2}, {"a": 0.5, "b": 0.0}, weights=weights)
    scores, alone = one.predict(known), one.frozen.predict(taught.Side(known.vector))
    np.testing.assert_allclose(scores["a"].sum(axis=1), 1, atol=1e-5)
    apart = np.abs(scores["a"] - alone["a"]).max(axis=1)
    assert apart[4] == 0 and np.delete(apart, 4).min() > 0 and np.array_equal(scores["b"], alone["b"])
    seen, mirrored = (one.moved.predict(taught.Side(each)) for each in (known.maps, known.maps[:, :, ::-1]))
    np.testing.assert_allclose(mirrored["a"], seen["a"], atol=1e-5)

    taught_by_it = {"a": seen["a"].argmax(axis=1).astype(float), "b": np.full(24, np.nan)}
    weighed = one.weighed(known, taught_by_it)
    assert weighed.share["a"] > 0 and weighed.share["b"] == 0
    weighed.save(tmp_path / "kept")
    again, expected = deep.Deep.load(tmp_path / "kept"), weighed.predict(known)
    assert again.share == weighed.share
    np.testing.assert_allclose(again.predict(known)["a"], expected["a"], atol=1e-6)

    monkeypatch.setattr(deep, "picture_heads", None)  # where it would count nowhere it is not taught
    silent = deep.Deep.fit(known, labels, {"a": 3, "b": 2}, {"a": 0.0, "b": 0.0}, weights=weights)
    silent.save(tmp_path / "silent")
    assert deep.Deep.load(tmp_path / "silent").moved is None
    np.testing.assert_array_equal(silent.predict(known)["a"], silent.frozen.predict(taught.Side(known.vector))["a"])


def test_how_much_another_network_counts_is_what_makes_the_truth_likeliest() -> None:
    from triad.images.deep import best_share

    label = np.array([0.0, 1.0, 1.0, np.nan])
    right, even = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.5, 0.5]]), np.full((4, 2), 0.5)
    assert best_share(even, right, label) == 1 and best_share(right, 1 - right, label) == 0
    one, other = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    assert best_share(one, other, np.array([0.0, 1.0])) == 0.5
    assert best_share(even, right, np.full(4, np.nan)) == 0


def test_colours_need_no_network_and_a_missing_file_of_weights_is_named() -> None:
    lazily = (
        f"import sys; from {encoder_of.__module__} import encoder_of; print(encoder_of('colours').dim, *sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", lazily], check=True, capture_output=True, text=True).stdout.split()
    assert found[0] == str(DIM) and "keras" not in found
    with pytest.raises(TriadError, match="there is no such file"):
        encoder_of("nowhere.pth")


def by_hand(state: dict[str, Floats], x: Floats) -> Floats:
    """The last layer's means of a picture (size, size, 3), by the definition: PyTorch's layers one after the other."""

    def conv(x: Floats, name: str, norm: str, stride: int = 1) -> Floats:
        kernel, apart = state[f"{name}.weight"], "depthwise" in name
        width = kernel.shape[-1]
        out = -(-len(x) // stride)
        pad = max((out - 1) * stride + width - len(x), 0)
        x = np.pad(x, ((pad // 2, pad - pad // 2), (pad // 2, pad - pad // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (width, width), (0, 1))[::stride, ::stride]
        y = np.einsum("hwcij,cij->hwc" if apart else "hwcij,ocij->hwo", windows, kernel[:, 0] if apart else kernel)
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-3)
        return (y - state[f"{norm}.running_mean"]) * scale + state[f"{norm}.bias"]

    x = np.clip(conv((x - 127) / 128, "_conv_stem", "_bn0", 2), 0, 6)
    for number in range(16):
        name, stride, start = f"_blocks.{number}.", 2 if number in (1, 3, 5, 11) else 1, x
        if number:
            x = np.clip(conv(x, f"{name}_expand_conv", f"{name}_bn0"), 0, 6)
        x = np.clip(conv(x, f"{name}_depthwise_conv", f"{name}_bn1", stride), 0, 6)
        x = conv(x, f"{name}_project_conv", f"{name}_bn2")
        x = x + start if stride == 1 and start.shape == x.shape else x
    return np.clip(conv(x, "_conv_head", "_bn1"), 0, 6).mean(axis=(0, 1))


def test_the_network_is_the_one_that_the_weights_were_taught_in(tmp_path: Path) -> None:
    from triad.images.lite import folded, network, scaled

    state = load_arrays(pth(untaught(1), tmp_path / "w.pth"))
    pictures = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    maps = network(folded(state), size=64)(scaled(pictures.astype(np.float32)))
    expected = np.stack([by_hand(state, each.astype(np.float64)) for each in pictures])
    np.testing.assert_allclose(np.asarray(maps["head"]).mean(axis=(1, 2)), expected, atol=1e-4, rtol=1e-4)
    rest = network(folded(state), size=4, first=11)(maps["block10"])
    np.testing.assert_allclose(np.asarray(rest["head"]), np.asarray(maps["head"]), atol=1e-5)

    encoder = encoder_of(str(tmp_path / "w.pth"))
    big = np.random.default_rng(3).integers(0, 256, (33, 160, 160, 3)).astype(np.uint8)
    vectors = encoder.encode(big)
    assert vectors.shape == (33, encoder.dim) and np.isfinite(vectors).all()
    np.testing.assert_allclose(encoder.encode(big[32:]), vectors[32:], atol=1e-5)
    encoder.save(tmp_path / "kept")
    assert encoder_of(str(tmp_path / "kept" / "lite0.pth")).fingerprint == encoder.fingerprint
    del state["_conv_head.weight"]
    with pytest.raises(TriadError, match="is no EfficientNet-lite0"):
        folded(state)
