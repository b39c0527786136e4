"""A night may start from a registered version: fetched by number, its rows stay, and it must not know too much."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from make_dataset import make_dataset
from make_night import inside, make_night, make_params
from make_tables import DAY, END, START, make_tables

from triad.artifacts import ARTIFACTS, read_json, write_json
from triad.errors import TriadError
from triad.features import vocabulary
from triad.features.build import fit
from triad.features.champion import Champion, check_days, origins, read
from triad.features.vocabulary import Vocabulary
from triad.stages.champion import champion
from triad.stages.publish import publish
from triad.tables import connect

FOLDER = ARTIFACTS / "champion"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published night. Its members hold a file where a network would lie."""
    root = make_night(tmp_path_factory.mktemp("night"))
    with pytest.MonkeyPatch.context() as patch, inside(root):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (ARTIFACTS / "fuse" / "members" / "pretrain").mkdir()
        (ARTIFACTS / "fuse" / "members" / "pretrain" / "network.keras").write_text("weights")
        publish(make_params())
    return root


def test_no_version_is_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    champion(make_params())
    assert [path.name for path in FOLDER.iterdir()] == ["champion.json"]
    assert read(FOLDER) is None


def test_a_version_comes_with_its_features_and_networks(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with inside(night):
        champion(make_params(champion={"version": 1}))
        found = read(FOLDER)
        assert found is not None and found.version == 1
        assert found.vocabularies == vocabulary.load(ARTIFACTS / "features" / "state" / "vocabularies")
        assert found.meta.windows["train"][0] < found.meta.windows["test"][1]
        assert (FOLDER / "pretrain" / "network.keras").read_text() == "weights"
        assert not (FOLDER / "finetune").exists(), "the fusion has no such member"
        with pytest.raises(TriadError, match=r"champion\.version: the registry has no version 7 .*known are 1"):
            champion(make_params(champion={"version": 7}))
        assert read(FOLDER) == found, "what failed replaced nothing"


def test_another_markets_model_lies_beside_the_own(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def ask(currency: str = "EUR", init: str = "market", **market: object) -> None:
        dials = {"champion": {"market": {"model": "triad", **market}}, "finetune": {"init": init}}
        here = make_params(publish={"model": "here"}, **dials)
        champion(here.model_copy(update={"ingest": here.ingest.model_copy(update={"currency": currency})}))

    with inside(night):
        ask(version=1, apart=["item", "brand"])
        assert read(FOLDER) is None, "the shop itself starts from none"
        found = read(FOLDER / "market")
        assert found is not None and (found.version, found.market, found.apart) == (1, "triad", ("item", "brand"))
        assert (FOLDER / "market" / "pretrain" / "network.keras").read_text() == "weights"
        with pytest.raises(TriadError, match=r"champion\.market\.version: no version is named of model triad; .* 1"):
            ask()
        with pytest.raises(TriadError, match="learned prices in EUR, this shop's are in JPY"):
            ask(version=1, currency="JPY")
        assert read(FOLDER / "market") == found, "what failed replaced nothing"
        ask(init="pretrain")
        assert not (FOLDER / "market").exists(), "nothing starts from it"


def test_a_version_of_other_code_is_named(night: Path, tmp_path: Path) -> None:
    shutil.copytree(night / "artifacts" / "features" / "state", tmp_path / "state")
    write_json(tmp_path / "champion.json", {"version": 3})
    values = read_json(tmp_path / "state" / "state.json")
    del values["meta"]["windows"]
    write_json(tmp_path / "state" / "state.json", values)
    with pytest.raises(TriadError, match=r"champion\.version: 3: its features do not fit the present code"):
        read(tmp_path)


def test_a_store_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(TriadError, match="the tracking store does not answer"):
        champion(make_params(champion={"version": 1}))
    assert not FOLDER.exists()


def spans(*edges: int) -> dict[str, tuple[int, int]]:
    """The four splits between five days."""
    names = ("train", "validation", "fusion", "test")
    return {name: (edges[at] * DAY, edges[at + 1] * DAY) for at, name in enumerate(names)}


@pytest.mark.parametrize(
    ("tonight", "refused"),
    [
        (spans(1, 17, 22, 27, 32), None),  # the window has rolled on
        (spans(0, 16, 21, 26, 31), None),  # the same night again
        (spans(0, 15, 22, 26, 30), "train days reach to 1970-01-17, but tonight's validation days"),  # an earlier night
        (spans(0, 16, 20, 26, 31), "validation days reach to 1970-01-22, but tonight's fusion days"),  # other splits
    ],
)
def test_the_champion_must_not_know_the_days_that_judge(tonight: dict, refused: str | None) -> None:
    meta = replace(make_dataset().meta, windows=spans(0, 16, 21, 26, 31))
    known = Champion(4, meta, {})
    if refused is None:
        check_days(known, tonight)
        return
    with pytest.raises(TriadError, match=rf"champion\.version: 4: its {refused}"):
        check_days(known, tonight)


def test_features_refuse_a_champion_of_a_later_night() -> None:
    params = make_params()
    with connect(make_tables(users=30, items=15, shown=1500)) as session:
        _, state = fit(session, params.features, params.tasks, (START, END))
        later = Champion(4, state.meta, state.vocabularies)
        with pytest.raises(TriadError, match=r"champion\.version: 4: its train days reach to"):
            fit(session, params.features, params.tasks, (START - timedelta(days=1), END - timedelta(days=1)), later)


def test_every_row_starts_from_the_row_it_was_read_by() -> None:
    base = {"item": Vocabulary(("a", "b"), 4), "country": Vocabulary(("DE",), 0), "gone": Vocabulary(("x",), 0)}
    grown = {
        "item": Vocabulary(("a", "b", "c"), 4),
        "country": Vocabulary(("DE", "FR"), 0),
        "device": Vocabulary(("phone",), 0),
    }
    found = origins(base, grown)
    assert set(found) == {"item", "country"}, "a new table has no origin"
    shared = int(base["item"].look_up(["c"])[0])
    assert found["item"].tolist() == [0, 1, 2, 3, 4, 5, 6, shared] and 1 <= shared <= 4
    assert found["country"].tolist() == [0, 1, 0], "a new country was unknown"
    other = origins(base, grown, apart=("item",))
    assert other["item"].tolist() == [0, 1, 2, 3, 4, *Vocabulary((), 4).look_up(["a", "b", "c"])], "as unknown ids"
    assert other["country"].tolist() == found["country"].tolist()
    with pytest.raises(TriadError, match=r"features\.hash_buckets: is 8, but the vocabulary 'item' .* has 4"):
        origins(base, {"item": Vocabulary(("a",), 8)})
    ids = ["a", "b", "c", "d", ""]
    np.testing.assert_array_equal(found["item"][grown["item"].look_up(ids)], base["item"].look_up(ids))
