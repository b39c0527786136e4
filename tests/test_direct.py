"""What is read of a registry without MLflow is what MLflow says; of a form that is not known nothing is read."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from make_night import inside

from triad.tracking import direct, place, store


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two versions of a model, of which the second serves and the first has files."""
    folder = tmp_path_factory.mktemp("a [50%] #1")
    with inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        client = store.client()
        client.create_registered_model("shop")
        (folder / "files").mkdir()
        run = client.create_run("0").info.run_id
        client.create_model_version("shop", source=(folder / "files").as_uri(), run_id=run)
        client.create_model_version("shop", source=(folder / "gone").as_uri(), run_id=run)
        client.set_registered_model_alias("shop", "champion", "2")
    return folder


@pytest.fixture
def uri(registry: Path, tmp_path: Path) -> str:
    shutil.copy(registry / place.DATABASE, tmp_path / place.DATABASE)
    return place.sqlite_url(tmp_path / place.DATABASE)


def test_the_known_form_is_that_of_the_mlflow_installed() -> None:
    from mlflow.store.db import utils

    assert utils._get_latest_schema_revision() == direct.REVISION


def test_it_says_what_mlflow_says(uri: str, registry: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    said = client.get_model_version_by_alias("shop", "champion")
    assert direct.version_of(uri, "shop", "champion") == str(said.version)
    entry, said = direct.entry_of(uri, "shop", "1"), client.get_model_version("shop", "1")
    assert entry == direct.Entry(said.run_id, registry / "files")
    client.set_registered_model_alias("shop", "champion", "1")
    assert direct.version_of(uri, "shop", "champion") == "1"
    client.delete_registered_model_alias("shop", "champion")
    client.delete_model_version("shop", "1")
    assert direct.version_of(uri, "shop", "champion") is direct.entry_of(uri, "shop", "1") is None


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = 'other'", "DROP TABLE model_versions"])
def test_of_another_form_it_says_nothing(uri: str, change: str) -> None:
    assert direct.entry_of(uri, "shop", "1") is not None
    with closing(sqlite3.connect(place.sqlite_file(uri))) as database, database:
        database.execute(change)
    assert direct.entry_of(uri, "shop", "1") is None


def test_what_is_not_there_is_left_to_mlflow(uri: str, tmp_path: Path) -> None:
    assert direct.version_of(uri, "shop", "other") is direct.version_of(uri, "other", "champion") is None
    assert direct.entry_of(uri, "shop", "2") is direct.entry_of(uri, "shop", "3") is None  # no files, no version
    (tmp_path / "no.db").write_text("no database")
    for elsewhere in ("http://127.0.0.1:1", place.sqlite_url(tmp_path / "none.db"), f"sqlite:///{tmp_path}/no.db"):
        assert direct.version_of(elsewhere, "shop", "champion") is None
    assert not (tmp_path / "none.db").exists()
