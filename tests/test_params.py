"""params.yaml: typed once, and a typo dies at the start with the nearest right name."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from triad import starting
from triad.cli import commands
from triad.config import reference
from triad.config.finetune import FinetuneParams
from triad.config.params import Params, _leaves, load, merge, parse
from triad.errors import TriadError

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_shipped_params_load() -> None:
    params = load(ROOT / "params.yaml")
    assert params.tasks["conversion"].given == "click"


def test_the_shipped_file_shows_the_dials_people_turn_as_the_code_has_them() -> None:
    bare = {"ingest": {"as_of": "2026-03-01"}, "tasks": SHIPPED["tasks"]}
    default = parse(bare, "defaults").model_dump(mode="json", by_alias=True)
    default["features"]["user_attributes"] = SHIPPED["features"]["user_attributes"]
    shown = {name: values for name, values in SHIPPED.items() if name != "tasks"}
    assert merge(default, shown) == default
    assert len({re.sub(r"\.\d+$", "", path) for path, _ in _leaves(shown)}) <= 60  # a list is one dial
    assert set(SHIPPED) == {field.alias or name for name, field in Params.model_fields.items()}


def test_the_page_of_params_is_the_one_that_the_code_writes() -> None:
    assert (ROOT / "docs" / "params.md").read_text() == reference.markdown(), "triad params --markdown > docs/params.md"
    undescribed = [key.path for key in reference.every_key() if not (key.meaning or key.values)]
    assert not undescribed


def circle(*names: str) -> dict:
    """Binary tasks, each given the next, and the last the first."""
    after = dict(zip(names, [*names[1:], names[0]], strict=True))
    return {name: {"kind": "binary", "label": "clicked", "given": after[name]} for name in names}


PRICE, PROFILE = SHIPPED["tasks"]["price"], SHIPPED["tasks"]["profile"]
SEEN = {"kind": "binary", "label": "column", "column": "seen", "given": "click"}
SPEND = {"kind": "regression", "label": "spend"}


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_fits(overlay: Path) -> None:
    parse(merge(SHIPPED, yaml.safe_load(overlay.read_text())), overlay.name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"finetune": {"wieghting": "fixed"}}, r"finetune.wieghting: unknown key\n.*'weighting'"),
        ({"ingst": {}}, r"ingst: unknown key\n.*'ingest'"),
        ({"ingest": {"as_of": "yesterday"}}, r"ingest.as_of"),
        ({"ingest": {"window_days": 20}}, r"split_days take 26 days"),
        (
            {"tasks": {"c": {"kind": "binary", "label": "purchased", "given": "click"}}},
            r"'click' is no binary task; known",
        ),
        ({"tasks": {"p": {"kind": "binary", "label": "price_move"}}}, r"tasks.p: .*is of kind 'regression'"),
        ({"tasks": {"p": {"kind": "binary", "label": "clickd"}}}, r"tasks.p.label: .*'clickd'; did you mean 'clicked'"),
        ({"tasks": {"p": {"kind": "binry", "label": "clicked"}}}, r"tasks.p.kind: .*'binry'; did you mean 'binary'"),
        ({"tasks": {"p": {"kind": "multiclass", "label": "user_attribute"}}}, r"tasks.p.column: goes with .* column"),
        ({"tasks": {"p": {"kind": "binary", "label": "clicked", "column": "a"}}}, r"tasks.p.column: goes with"),
        (
            {"tasks": SHIPPED["tasks"] | {"price": PRICE | {"given": "click"}}},
            r"tasks.price.given: is for tasks whose answer is an event, not 'regression'",
        ),
        (
            {
                "tasks": SHIPPED["tasks"]
                | {"seen": {"kind": "binary", "label": "column", "column": "a", "given": "click"}}
            },
            r"tasks.seen.given: label 'column' does not follow label 'clicked'",
        ),
        ({"features": {"user_attributes": ["segment"]}}, r"'segment' is also in features.user_attributes"),
        ({"recommend": {"order_by": "profile"}}, r"'profile' is no binary task"),
        (
            {"fuse": {"members": ["finetune", "popularty"]}},
            r"members.1: there is no member 'popularty'; did you mean 'popularity'",
        ),
        ({"fuse": {"members": ["finetune", "trees"]}}, r"fuse.members: none of finetune, trees ranks items"),
        ({"fuse": {"members": ["pretrain", "pretrain"]}}, r"each once"),
        ({"fuse": {"members": ["pretrain", "ease"]}}, r"ease is fitted where similarity.linear.members names it"),
        (
            {"fuse": {"members": ["pretrain", "stacked_trees"]}},
            r"stacked_trees is fitted where profile.stacked is true",
        ),
        ({"fuse": {"members": ["profile"]}}, r"members.0: there is no member 'profile'; did you mean 'trees'"),
        ({"fuse": {"members": ["informed"]}}, r"there is no member 'informed'; did you mean 'stacked_trees'"),
        ({"profile": {"informed": True}}, r"profile.informed: unknown key\n.*did you mean 'stacked'"),
        (
            {"similarity": {"linear": {"members": ["eas"]}}},
            r"similarity.linear.members.0: .*'eas'; did you mean 'ease'",
        ),
        ({"evaluate": {"market": "countr"}}, r"evaluate.market: there is no 'countr'; did you mean 'country'"),
        ({"validate": {"public_attributes": ["devise"]}}, r"public_attributes: .*did you mean 'device'"),
        ({"champion": {"market": {"apart": ["items"]}}}, r"champion.market.apart: .*did you mean 'item'"),
        ({"text": {"encoder": "minlm"}}, r"text.encoder: .*did you mean 'minilm'"),
        ({"images": {"encoder": "lite"}}, r"images.encoder: .*did you mean 'lite0'"),
        ({"ingest": {"currency": "eur"}}, r"ingest.currency: .*match pattern"),
        ({"finetune": {"tasks": ["clik"]}}, r"finetune.tasks: 'clik' .*did you mean 'click'"),
        ({"finetune": {"tasks": ["next"]}}, r"finetune.tasks: 'next' is no task with rows of its own"),
        ({"finetune": {"body": "mmeo"}}, r"finetune.body: 'mmeo' is not one of .*\n.*did you mean 'mmoe'"),
        ({"recommend": {"order_by": "conversoin"}}, r"recommend.order_by: .*did you mean 'conversion'"),
        ({"tasks": SHIPPED["tasks"] | {"again": SHIPPED["tasks"]["next"]}}, r"next and again are rankings"),
        ({"tasks": circle("click", "cart")}, r"click needs cart needs click: a circle"),
        ({"tasks": circle("click")}, r"click needs click: a circle"),
        ({"tasks": SHIPPED["tasks"] | {"price": PRICE | {"horizon_days": 8}}}, r"tasks.price.horizon_days: the 8 days"),
        ({"tasks": SHIPPED["tasks"] | {"spend": SPEND | {"horizon_days": 30}}}, r"validation has 8; shorten it"),
        ({"features": {"attribution_hours": 192}}, r"features.attribution_hours: 192 hours"),
        (
            {"features": {"user_attributes": ["brand"]}},
            r"user_attributes.0: 'brand' is what a vocabulary of items is called",
        ),
        ({"features": {"user_attributes": ["a/b"]}}, r"user_attributes.0: 'a/b' is a path, not a name"),
        ({"features": {"user_attributes": ["contry"]}}, r"no column 'contry'; did you mean 'country'"),
        ({"tasks": SHIPPED["tasks"] | {"profile": PROFILE | {"column": "segmnt"}}}, r"did you mean 'segment'"),
        ({"finetune": {"init": "market"}}, r"finetune.init is market, but champion.market.model names none"),
        *(
            ({"tasks": SHIPPED["tasks"] | {name: SHIPPED["tasks"]["click"]}}, "is no name of a task")
            for name in ("", "../x", "a b", "<b>", "a/b", "n" * 65)
        ),
        ({"tasks": SHIPPED["tasks"] | {"item_id": SHIPPED["tasks"]["click"]}}, "stands for something else"),
        ({"finetune": {"tasks": ["click", "click"]}}, "finetune.tasks: click, click: name each once"),
        ({"publish": {"alias": "Latest"}}, "publish.alias: 'Latest' is MLflow's own word"),
        ({"publish": {"alias": "v3"}}, "publish.alias: 'v3' is MLflow's own word"),
        ({"publish": {"alias": "our best"}}, "publish.alias: 'our best' is no alias"),
        ({"publish": {"model": "shop:1"}}, "publish.model: 'shop:1' holds a colon"),
        (
            {"serve": {"log": "x", "trial": {"alias": "champion"}}},
            "serve.trial.alias: 'champion' is the champion's own",
        ),
        ({"ingest": {"as_of": "01.03.2026"}}, r"ingest.as_of: not a day\n.*'2026-03-01'"),
        ({"ingest": {"as_of": 20260301}}, r"ingest.as_of: not a day\n.*'2026-03-01'"),
        ({"fuse": {"members": "trees"}}, r"fuse.members: a list is meant\n.*\[a, b\]"),
        ({"finetune": None}, r"finetune: there is nothing below it\n.*remove the line"),
        ({"finetune": 5}, "finetune: keys with values are meant"),
        ({"ingest": {"as_of": 0}}, "ingest.as_of: not a day"),  # and not the first second of 1970
        ({"ingest": {"as_of": "86400"}}, "ingest.as_of: not a day"),
        ({"ingest": {"as_of": "0001-01-01"}}, "ingest.as_of: 0001-01-01 is outside the years"),
        ({"validate": {"exceptional_days": [5]}}, "exceptional_days.0: not a day"),
        ({"validate": {"drift_days": 56}}, "validate.drift_days: 56 of .* leave no earlier days"),
        ({"validate": {"drift_effect": 2}}, "validate.drift_effect: .*less than or equal to 1"),
        ({"validate": {"quarantine": {"checks": {"users.cuontry": 0.1}}}}, "'cuontry'; did you mean 'country'"),
        ({"features": {"user_attributes": ["device", "device"]}}, "user_attributes: 'device' stands twice"),
        ({"similarity": {"recent": [5, 5]}}, "similarity.recent: 5 stands twice"),
        ({"finetune": {"apart": ["exposure"]}}, "no task is about 'exposure'; did you mean 'exposures'"),
        ({"pretrain": {"seed": 2**31}}, "pretrain: seed: 2147483648 is beyond 2,147,483,647"),
        ({"fuse": {"trees": [100, 10**30]}}, "fuse: trees: 1000000000000000000000000000000 is beyond"),
        ({"pretrain": {"learning_rate": 3}}, "pretrain.learning_rate: .*less than or equal to 1"),
        ({"serve": {"log": " "}}, "serve.log: ' ' says nothing"),
        ({"ingest": {"shown": "a\0b"}}, "ingest.shown: 'a.x00b' says nothing"),
        ({"champion": {"market": {"model": "a/b"}}}, "champion.market.model: 'a/b' is a path, not a name"),
        ({"tasks": SHIPPED["tasks"] | {"Click": SHIPPED["tasks"]["click"]}}, "two are called 'Click' but for capitals"),
        ({"tasks": {"next": SHIPPED["tasks"]["next"]}}, "order_by: .* known are none; null: by the ranking"),
        (
            {"tasks": {"click": SHIPPED["tasks"]["click"]}, "fuse": {"members": ["search_text"]}},
            "none of search_text answers task click",
        ),
        ({"finetune": {"init": "pretrain", "task": ["click"]}}, r"finetune.task: unknown key\n.*'tasks'"),
        ({"pretrain": {"tasks": "next"}}, r"pretrain.tasks: unknown key\n.*'task'"),
        ({"fuse": {"K": 5}}, r"fuse.K: unknown key\n.*'k'"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict, said: str) -> None:
    with pytest.raises(TriadError, match=said):
        parse(merge(SHIPPED, change), "params.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("a: [", "not readable as YAML"),
        ("[1]", "not a mapping"),
        ("", "not a mapping"),
        ("ingest: {as_of: '2026-03-01', as_of: '2026-03-02'}", "the key 'as_of' stands twice"),
        ("tasks: {}\ntasks: {}", "the key 'tasks' stands twice"),
        ("tasks: &a\n  click: *a", "is nested without end"),
        ("x: " + "[" * 5000 + "]" * 5000, "is nested without end"),
        ("ingest: {as_of: 2026-03-01}", r'ingest.as_of: .* a date .*\n.*quote it: as_of: "2026-03-01"'),
        (
            "validate: {exceptional_days: ['2026-01-01', 2026-01-06]}",
            r'exceptional_days.1: (.|\n)*quote it: "2026-01-06"',
        ),
    ],
)
def test_an_unreadable_file_is_a_clear_error(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TriadError, match=said):
        load(path)


def test_a_misspelt_key_that_must_be_there_is_told_as_such() -> None:
    with pytest.raises(TriadError, match=r"ingest.as_off: unknown key\n.*did you mean 'as_of'"):
        parse({"ingest": {"as_off": "2026-03-01"}, "tasks": SHIPPED["tasks"]}, "params.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recommend": {"hide": "brandd = 'Acme'"}}, "recommend.hide: is no condition on the table items: .*brandd"),
        ({"recommend": {"hide": "1 = 1); DROP TABLE items; --"}}, "recommend.hide: is no condition"),
        ({"recommend": {"hide": "item_id IN (SELECT * FROM read_csv('/etc/passwd'))"}}, "recommend.hide: is no cond"),
        ({"recommend": {"hide": "price_cents"}}, "recommend.hide: is no condition.* neither true nor false"),
        ({"recommend": {"out_of_stock": "none.csv"}}, "recommend.out_of_stock: none.csv: no such file"),
        ({"text": {"encoder": "/no/such"}}, "text.encoder: there is no folder /no/such"),
        ({"text": {"writing": {"edits": "none.csv"}}}, "text.writing.edits: there is no file none.csv"),
        ({"text": {"beside": "/no/such"}}, "text.beside: there is no folder /no/such"),
        ({"images": {"folder": "/no/such"}}, "images.folder: there is no folder /no/such"),
        ({"images": {"encoder": "/no/such.pth"}}, "images.encoder: there is no file /no/such.pth"),
    ],
)
def test_what_is_named_is_looked_for_before_the_night(
    change: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(merge(SHIPPED, change)))
    monkeypatch.chdir(tmp_path)
    for words in (["check"], ["ingest"]):
        result = CliRunner().invoke(commands, words)
        assert isinstance(result.exception, TriadError)
        assert re.search(said, str(result.exception))


def test_what_is_hidden_may_ask_any_table() -> None:
    hide = "item_id IN (SELECT item_id FROM prices WHERE is_promoted) OR price_cents < 100 OR attributes LIKE '%a%'"
    starting.check(parse(merge(SHIPPED, {"recommend": {"hide": hide}}), "params.yaml"))


def test_merge_replaces_tasks_whole_and_other_sections_key_by_key() -> None:
    merged = merge({"tasks": {"a": 1}, "x": {"y": {"a": 1, "b": 2}}}, {"tasks": {"c": 3}, "x": {"y": {"b": 4}}})
    assert merged == {"tasks": {"c": 3}, "x": {"y": {"a": 1, "b": 4}}}


def test_few_rows_are_learned_from_in_more_and_smaller_steps() -> None:
    whole = FinetuneParams()
    assert whole.at_share(1) == whole
    few = whole.at_share(0.01)
    assert (few.max_epochs, few.batch_exposures, few.patience) == (30, 128, 6)
    some = whole.at_share(0.2)
    assert (some.max_epochs, some.batch_exposures, some.patience) == (11, 1024, 3)
    assert [whole.batch_of(rows) for rows in (0, 5, 600, 12_000, 60_000, 600_000)] == [1, 5, 64, 200, 1000, 1024]
    assert [FinetuneParams(batch_exposures=4096).batch_of(rows) for rows in (12_000, 600)] == [4096, 600]
    assert FinetuneParams(batch_exposures=32).at_share(0.01).batch_exposures == 32, "never larger"
