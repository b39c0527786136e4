"""params.yaml: typed once, and a typo dies at the start with the nearest right name."""

from pathlib import Path

import pytest
import yaml

from triad.config.finetune import FinetuneParams
from triad.config.params import load, merge, parse
from triad.errors import TriadError

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_shipped_params_load() -> None:
    params = load(ROOT / "params.yaml")
    assert params.tasks["conversion"].given == "click"


def test_the_shipped_file_shows_every_dial_as_the_code_has_it() -> None:
    bare = {"ingest": {"as_of": "2026-03-01"}, "tasks": SHIPPED["tasks"]}
    default = parse(bare, "defaults").model_dump(mode="json", by_alias=True)
    default["features"]["user_attributes"] = SHIPPED["features"]["user_attributes"]
    assert {name: values for name, values in SHIPPED.items() if name != "tasks"} == {
        name: values for name, values in default.items() if name != "tasks"
    }


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_fits(overlay: Path) -> None:
    parse(merge(SHIPPED, yaml.safe_load(overlay.read_text())), overlay.name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"finetune": {"wieghting": "fixed"}}, r"finetune.wieghting: unknown key\n.*'weighting'"),
        ({"ingst": {}}, r"ingst: unknown key\n.*'ingest'"),
        ({"ingest": {"as_of": "yesterday"}}, r"ingest.as_of"),
        ({"ingest": {"window_days": 20}}, r"split_days take 26 days"),
        ({"tasks": {"c": {"kind": "binary", "label": "purchased", "given": "click"}}}, r"'click' is no binary task"),
        ({"tasks": {"p": {"kind": "binary", "label": "price_move"}}}, r"tasks.p: .*is of kind 'regression'"),
        ({"features": {"user_attributes": ["segment"]}}, r"'segment' is also in features.user_attributes"),
        ({"recommend": {"order_by": "profile"}}, r"'profile' is no binary task"),
        ({"finetune": {"init": "market"}}, r"finetune.init is market, but champion.market.model names none"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict, said: str) -> None:
    with pytest.raises(TriadError, match=said):
        parse(merge(SHIPPED, change), "params.yaml")


@pytest.mark.parametrize(
    ("text", "said"), [(None, "no such file"), ("a: [", "not readable as YAML"), ("[1]", "not a mapping")]
)
def test_an_unreadable_file_is_a_clear_error(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TriadError, match=said):
        load(path)


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
