"""The report shows the numbers of metrics.json, stands alone, and says in words what a reader must know."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from make_evaluation import PEEKING, Served, make_fused, make_params, write_artifacts

from triad.artifacts import read_json
from triad.config.members import RECIPES
from triad.config.tasks import TaskParams
from triad.evaluation import charts, wording
from triad.evaluation.report import Evidence, render
from triad.stages import evaluate as stage


class Page(HTMLParser):
    """Every element's attributes, and the text between its start and the next tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes), ""))
        self.inside = True

    def handle_endtag(self, tag) -> None:
        self.inside = False

    def handle_data(self, data) -> None:
        if self.inside:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def having(self, name: str) -> list[tuple[str, float, str]]:
        return [(a[name], float(a["data-value"]), text) for _, a, text in self.elements if name in a]


SHOWN: list[Evidence] = []
"""What the pages were made of."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    patch = pytest.MonkeyPatch()
    patch.chdir(root)
    patch.setattr(RECIPES, "_objects", {**RECIPES, "peeking": PEEKING})
    data = write_artifacts(root)
    served = Served(make_fused(data, 6.0), data, "7")
    patch.setattr(stage, "load_champion", lambda model, alias: served)
    patch.setattr(stage, "render", lambda evidence: (SHOWN.append(evidence), render(evidence))[1])
    stage.evaluate(make_params(examples=4))
    patch.undo()
    return root / "artifacts" / "evaluate"


@pytest.fixture(scope="module")
def text(folder) -> str:
    return (folder / "report" / "report.html").read_text()


def look_up(metrics, path: str):
    for key in path.split("."):
        metrics = metrics[key]
    return metrics


def test_every_number_shown_is_the_one_in_metrics_json(folder, text) -> None:
    metrics, shown = read_json(folder / "metrics.json"), Page(text).having("data-number")
    assert len(shown) > 100
    for path, number, words in shown:
        assert number == look_up(metrics, path), path
        sign, digits, decimals, percent = re.fullmatch(r"\s*([+−-]?)(\d+(?:\.(\d+))?)(%| points)?\s*", words).groups()
        read = float(digits) * (-1 if sign in ("−", "-") else 1) / (100 if percent else 1)
        last = 10.0 ** -len(decimals or "") / (100 if percent else 1)
        assert read == pytest.approx(number, abs=0.501 * last), f"{path} is read as {words.strip()}"
        assert len(decimals or "") >= (1 if percent else 3), f"{path} is read as {words.strip()}"


def test_members_and_slices_are_those_of_the_plots(folder, text) -> None:
    page = Page(text)
    with (folder / "plots" / "members.csv").open() as handle:
        members = {(r["task"], r["metric"], r["model"]): float(r["value"]) for r in csv.DictReader(handle)}
    shown = page.having("data-member")
    metric = {"click": "auc", "conversion": "auc", "profile": "macro_f1", "price": "relative_gain", "next": "ndcg"}
    assert len(shown) == 10
    for path, number, _ in shown:
        task, member = path.split(".")
        assert number == members[task, metric[task], member]
    with (folder / "plots" / "slices.csv").open() as handle:
        slices = {f"{r['task']}.{r['group']}.{r['slice']}": r["value"] for r in csv.DictReader(handle)}
    judged = {path: value for path, value in slices.items() if value}
    assert {path: number for path, number, _ in page.having("data-slice")} == {p: float(v) for p, v in judged.items()}
    assert " in the test window" in text and " of a fold by id" not in text  # of exposures and lists alone
    assert text.count("too few to judge") == len(slices) - len(judged) > 0


def test_the_page_stands_alone(text) -> None:
    links = [a[key] for _, a, _ in Page(text).elements for key in ("href", "src", "xlink:href") if key in a]
    assert links and all(link.startswith("#") for link in links)
    assert "<script" not in text and "@import" not in text
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'" in text
    ids = [a["id"] for _, a, _ in Page(text).elements if "id" in a]
    assert all(link[1:] in ids for link in links)


def test_the_page_begins_with_the_verdict_in_words(text) -> None:
    assert text.index("The new model may serve.") < text.index("At a glance")
    assert "version 7, which serves now" in text
    for words in (
        "Will the customer click",
        "simulated, so its true probabilities",
        "positions jump (12)",
        "Customer 4",
        "learned up to 2026-01-30",
    ):
        assert words in text
    assert text.count("lists were better without popularity") == 1


def test_of_a_shop_of_lists_alone_the_page_says_that_nothing_was_learned_beside_them(text) -> None:
    lists = {name: entry for name, entry in SHOWN[-1].metrics.items() if SHOWN[-1].tasks[name].kind == "ranking"}
    page, sentence = render(replace(SHOWN[-1], metrics=lists)), "Lists are the only task here."
    assert lists and sentence in page and "Network alone" not in page
    assert sentence not in text and "Network alone" in text


def test_a_shops_titles_cannot_become_markup(text) -> None:
    assert "Lamp &lt;1" in text and "Lamp <" not in text


def test_charts_are_the_same_each_time_and_take_the_pages_colours() -> None:
    rows = [
        {"name": "fused", "value": 0.7, "lo": 0.6, "hi": 0.8},
        {"name": "naive", "value": 0.5, "lo": 0.5, "hi": 0.5},
    ]
    first, second = (charts.forest(rows, "AUC", "fused", "click: every model") for _ in range(2))
    assert first == second and "var(--accent)" in first and "#000003" not in first
    assert 'aria-label="click: every model"' in first and ">AUC</text>" in first
    other = charts.forest(rows, "AUC", "fused", "price: every model")
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, other)]
    assert ids[0] and not ids[0] & ids[1]


def test_sentences_and_verdicts_for_all_outcomes() -> None:
    worse = {"mae": {"value": 0.2}, "relative_gain": {"value": -0.1}}
    assert "10.0% larger" in wording.sentence(TaskParams(kind="regression", label="price_move"), worse, 10)
    assert "too few cases" in wording.sentence(TaskParams(kind="binary", label="clicked"), {}, 10)
    cases = [(o, c) for o in ("PASS", "FAIL", "INCONCLUSIVE") for c in (None, "3")]
    heads = {wording.verdict_words({"verdict": o, "champion": c}) for o, c in cases}
    tried = wording.verdict_words({"verdict": "PASS", "champion": "3", "experiment": "wordy-hart"})
    assert "the experiment wordy-hart" in tried[1] and "promotes nothing" in tried[1]
    assert len(heads) == 6
