"""The page's files keep to what a browser is told of them, and its paths tell what they may."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from make_night import inside, published_night
from make_page import HOSTILE, complete, hostile_night
from PIL import Image

from triad import cli
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.serving import commands, storefront
from triad.serving.app import make
from triad.serving.files import PAGE
from triad.serving.holder import Holder, Place
from triad.serving.merchant import Merchant, RollBack
from triad.serving.storefront import Demo

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(PAGE.glob("*.js"))
FIELDS = ("input", "select", "textarea")


class Elements(HTMLParser):
    """Every start tag with its attributes, and whether it lies within a label."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None], bool]] = []
        self._labels = 0
        self.feed((PAGE / "index.html").read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs), self._labels > 0))
        self._labels += tag == "label"

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"


@pytest.fixture(scope="module")
def elements() -> list[tuple[str, dict[str, str | None], bool]]:
    return Elements().all


def test_nothing_comes_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, which nobody asks
        assert not re.search(r"""https?:|['"(=]\s*//\w|@import|url\(""", text), file.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_text_becomes_html_or_code(script: Path) -> None:
    text = script.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", text)
    assert not re.search(r"setTimeout\(\s*['\"`]|localStorage|document\.cookie", text)
    assert text.count("\n") <= 300


def test_the_page_itself_holds_no_script_and_no_style(elements) -> None:
    for tag, attributes, _ in elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        assert tag != "style" and (tag != "script" or attributes.get("src"))
        assert attributes.get("target") is None


def test_each_field_has_a_label_and_each_region_a_name(elements) -> None:
    labelled = {attributes.get("for") for tag, attributes, _ in elements if tag == "label"}
    ids = [attributes["id"] for _, attributes, _ in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes, in_label in elements:
        if tag in FIELDS:
            assert in_label or attributes.get("id") in labelled, attributes
        if (named := attributes.get("aria-labelledby")) is not None:
            assert set(named.split()) <= set(ids), attributes
        if tag == "iframe":
            assert attributes["title"] and "sandbox" in attributes
    assert [attributes["lang"] for tag, attributes, _ in elements if tag == "html"] == ["en"]
    assert sum(tag == "main" for tag, *_ in elements) == 1 and sum(tag == "h1" for tag, *_ in elements) == 1


def test_scripts_name_only_what_the_page_holds(elements) -> None:
    ids = {attributes.get("id") for _, attributes, _ in elements}
    made = {"lowest", "highest", "cost", "aim"}  # fields of prices.js
    for script in SCRIPTS:
        named = set(re.findall(r"""(?:\bat|getElementById)\("([\w-]+)"\)""", script.read_text()))
        assert named <= ids | made, (script.name, named - ids - made)
        assert set(re.findall(r'from "\./([\w.]+)"', script.read_text())) <= {each.name for each in SCRIPTS}


def test_colours_keep_enough_contrast() -> None:
    style = (PAGE / "style.css").read_text()
    for block in re.findall(r":root \{([^}]*)\}", style):
        tint = dict(re.findall(r"--([\w-]+): (#\w+)", block))
        for ground in ("paper", "back", "mark"):
            for ink in ("ink", "soft", "accent", "good", "bad"):
                assert contrast(tint[ink], tint[ground]) >= 4.5, (ink, ground, contrast(tint[ink], tint[ground]))
        assert contrast(tint["on-accent"], tint["accent"]) >= 4.5
        assert contrast(tint["edge"], tint["paper"]) >= 3, "borders of fields"


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_browser_is_told_to_run_nothing_else() -> None:
    with TestClient(complete()[0]) as client:
        for path in ("/", "/app.js", "/style.css"):
            policy = client.get(path).headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
            assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
            assert client.get(path).headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Published, and the folder one works in."""
    with published_night(hostile_night(tmp_path_factory.mktemp("night"))) as root, inside(root):
        yield root


@pytest.fixture(scope="module")
def holder(night: Path) -> Holder:
    place = Place(
        "triad", "champion", RecommendParams(k=5, candidates=12), lambda: night, night / "artifacts/validate/tables"
    )
    return Holder(place.mark, place.load)


def back(model: str, alias: str, version: str | None) -> Iterator[str]:
    yield f"{model}@{alias} serves version {version} now"
    yield "its lists were made"


@pytest.fixture(scope="module")
def client(holder: Holder) -> Iterator[TestClient]:
    demo = Demo("EUR", None, Merchant("triad", "champion", back, has_key=True))
    with TestClient(make(holder, key="secret", demo=demo, poll=3600), raise_server_exceptions=False) as asked:
        yield asked


KEY = {"X-API-Key": "secret"}


def test_the_pages_files_need_no_key_and_all_else_does(client: TestClient) -> None:
    for path in ("/", "/index.html", "/app.js", "/style.css"):
        assert client.get(path).status_code == 200
    for path in ("/shop", "/shop/item?item_id=i0001", "/shop/picture?item_id=i0000", "/merchant", "/merchant/report/1"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=KEY).status_code == 200, path
    assert not any(
        path.startswith(("/shop", "/merchant")) for path in client.get("/openapi.json", headers=KEY).json()["paths"]
    )


def test_the_shop_tells_what_its_model_lacks(client: TestClient) -> None:
    told = client.get("/shop", headers=KEY).json()
    assert {name for name, can in told["can"].items() if can} == {"similar_items", "bought_together"}
    assert told["currency"] == "EUR" and len(told["customers"]) > 5 and told["verdict"]["verdict"] == "PASS"
    lately = client.get("/shop/customer?user_id=u0001", headers=KEY).json()
    assert lately["is_known"] and lately["lately"] == sorted(
        lately["lately"], key=lambda each: each["day"], reverse=True
    )
    assert client.get("/shop/customer?user_id=nobody", headers=KEY).json()["lately"] == []
    assert client.get("/shop/item?item_id=nobody", headers=KEY).status_code == 404


def test_products_are_found_by_words_of_their_titles(client: TestClient) -> None:
    found = client.get("/shop/products?like=SCRIPT%20hurt&k=50", headers=KEY).json()["items"]
    assert {item["title"] for item in found} == {HOSTILE[1], HOSTILE[2]}
    assert len(client.get("/shop/products?k=3", headers=KEY).json()["items"]) == 3
    assert client.get("/shop/products?like=nothing", headers=KEY).json()["items"] == []


@pytest.mark.parametrize(("item", "is_drawn"), [("i0000", True), ("i0001", False), ("i0002", False), ("i0003", False)])
def test_a_picture_is_drawn_anew_and_no_file_is_opened(client: TestClient, item: str, is_drawn: bool) -> None:
    said = client.get(f"/shop/picture?item_id={item}", headers=KEY)
    assert said.status_code == (200 if is_drawn else 204)
    if is_drawn:
        assert said.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(said.content)).size == (storefront.SIDE, storefront.SIDE)
    else:
        assert not said.content


def test_the_merchant_reads_versions_lineage_and_a_report_that_runs_nothing(client: TestClient) -> None:
    told = client.get("/merchant", headers=KEY).json()
    assert [(each["version"], each["serves"], each["verdict"]) for each in told["versions"]] == [("1", True, "PASS")]
    assert "triad version 1 @champion" in client.get("/merchant/why/1", headers=KEY).text
    report = client.get("/merchant/report/1", headers=KEY)
    assert report.text == "<h1>report</h1>" and "sandbox" in report.headers["content-security-policy"]
    for path in ("/merchant/why/7", "/merchant/report/x", "/merchant/why/..%2f"):
        assert client.get(path, headers=KEY).status_code in (400, 404, 422)


def test_a_rollback_needs_the_key_and_the_version_that_was_seen(client: TestClient) -> None:
    asked = {"instead_of": "1", "to": "4"}
    assert client.post("/merchant/rollback", json=asked).status_code == 401
    late = client.post("/merchant/rollback", json={**asked, "instead_of": "3"}, headers=KEY)
    assert late.status_code == 400 and "another version serves" in late.json()["what"]
    assert client.post("/merchant/rollback", json={"to": "4"}, headers=KEY).status_code == 422
    said = client.post("/merchant/rollback", json=asked, headers=KEY).json()
    assert said["told"] == "triad@champion serves version 4 now"
    while (told := client.get("/merchant", headers=KEY).json()["delivery"]) != "its lists were made":
        assert told == "Its lists are being made."


def test_without_a_key_nobody_rolls_back(holder: Holder) -> None:
    demo = Demo(merchant=Merchant("triad", "champion", back, has_key=False))
    with TestClient(make(holder, demo=demo, poll=3600)) as asked:
        said = asked.post("/merchant/rollback", json={"instead_of": "1"})
        assert said.status_code == 403 and "TRIAD_SERVE_KEY" in said.json()["mend"]


def test_without_a_key_a_name_that_was_pointed_here_is_refused(holder: Holder) -> None:
    with TestClient(make(holder, demo=Demo(hosts=storefront.NEAR), poll=3600)) as asked:
        for name in ("127.0.0.1:8400", "localhost", "[::1]:8400"):
            assert asked.get("/shop", headers={"Host": name}).status_code == 200, name
        for name in ("shop.example:8400", "127.0.0.1.example", "localhost.example", "x[::1]"):
            assert asked.get("/shop", headers={"Host": name}).status_code == 400, name


def test_a_rollback_that_fails_is_told_and_can_be_asked_again(night: Path) -> None:
    def refuses(*_: object) -> Iterator[str]:
        raise TriadError("version 4 was never champion", where="model", mend="name another")
        yield

    def stumbles(*_: object) -> Iterator[str]:
        yield "moved"
        raise TriadError("the lists could not be made", where="lists", mend="deliver them")

    merchant = Merchant("triad", "champion", refuses, has_key=True)
    with pytest.raises(TriadError, match="never champion"):
        merchant.roll_back(RollBack(instead_of="1"))
    merchant.back = stumbles
    assert merchant.roll_back(RollBack(instead_of="1")) == "moved"
    with merchant.lock:  # once the lists are done with
        assert "could not be made" in str(merchant.delivery)


def test_the_service_goes_back_as_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("triad.retraining.back.roll_back", back)
    assert "its lists were made" in CliRunner().invoke(cli.commands, ["rollback", "--to", "3"]).output
    assert "from triad.retraining.back import roll_back" in inspect.getsource(commands)
