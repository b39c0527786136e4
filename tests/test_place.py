"""From every place a stage can run in, the same registry is found; and one that is lost is no first night."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from make_night import inside
from make_pipeline import commit, make_repository

from triad.artifacts import write_json
from triad.errors import TriadError
from triad.retraining.run import RECORD
from triad.retraining.seeding import forget_registry
from triad.tracking import place, promoting, registry, store

UNSET = ("MLFLOW_TRACKING_URI", "TRIAD_CHECKOUT", "TRIAD_WORKSPACES", "DVC_EXP_NAME", "DVC_ROOT")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / ".dvc").mkdir(parents=True)
    return folder


def temporary(shop: Path, inside: str = ".") -> Path:
    """What DVC makes for an experiment that runs beside the workspace."""
    folder = shop / ".dvc" / "tmp" / "exps" / "tmpabc"
    (folder / ".dvc").mkdir(parents=True)
    (folder / inside).mkdir(parents=True, exist_ok=True)
    return folder / inside


def night(shop: Path) -> Path:
    folder = shop / "runs" / "retraining" / "night"
    write_json(folder / RECORD, {"checkout": str(shop)})
    (folder / ".dvc").mkdir(exist_ok=True)
    return folder


def link(shop: Path) -> Path:
    (shop.parent / "link").symlink_to(shop, target_is_directory=True)
    return shop.parent / "link"


PLACES: dict[str, tuple[Callable[[Path], Path], str | None]] = {
    "the checkout": (lambda shop: shop, None),
    "a link to it": (link, None),
    "an experiment in the workspace": (lambda shop: shop, "."),
    "an experiment beside it": (temporary, "."),
    "an experiment of a night": (lambda shop: temporary(night(shop)), "runs/retraining/night"),
    "a night's workspace": (night, None),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    "named", [None, "sqlite:///mlflow.db", "sqlite+pysqlite:///mlflow.db", "sqlite:///./mlflow.db"]
)
def test_the_registry_is_that_of_the_checkout(
    name: str, named: str | None, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, root = PLACES[name]
    if root is not None:
        monkeypatch.setenv("DVC_EXP_NAME", "wordy-hart")
        monkeypatch.setenv("DVC_ROOT", str(shop / root))
    if named is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    with inside(make(shop)):
        assert place.tracking_uri() == f"sqlite:///{shop}/mlflow.db"
        assert store.home() == shop


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:mlruns"])
def test_a_folder_is_the_checkouts_too(uri: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with inside(night(shop)):
        assert place.tracking_uri() == str(shop / "mlruns")


def test_a_pipeline_below_the_repositorys_root_keeps_its_folder(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wordy-hart")
    monkeypatch.setenv("DVC_ROOT", str(link(shop)))
    with inside(temporary(shop, "de/triad")):
        assert place.checkout() == shop / "de" / "triad"


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow:5000",
        "sqlite:////srv/mlflow.db",
        "databricks",
        "postgresql://h/d",
        "/srv/mlruns",
        "file:///srv/mlruns",
    ],
)
def test_an_address_stays_as_it_is_named(uri: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with inside(night(shop)):
        assert place.tracking_uri() == uri


def test_a_night_whose_checkout_was_moved_finds_no_other_registry(shop: Path) -> None:
    folder = night(shop)
    shop.rename(shop.with_name("moved"))
    with inside(Path(str(folder).replace("/shop/", "/moved/"))), pytest.raises(TriadError, match="is gone"):
        place.tracking_uri()


ASK = """
import json, pathlib
from triad.tracking.place import experiment, tracking_uri
pathlib.Path("asked.json").write_text(json.dumps([tracking_uri(), experiment()]))
"""

ASKS = """
stages:
  publish:
    cmd: python step.py publish
    params: [left]
    deps: [step.py]
    metrics: [{asked.json: {cache: false, persist: true}}]
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_repository(tmp_path_factory.mktemp("repository") / "shop", dvc_yaml=ASKS)
    (folder / "step.py").write_text(ASK)
    (folder / ".gitignore").write_text("")
    commit(folder, "asks where it is")
    return folder


@pytest.mark.parametrize("way", ["workspace", "temporary", "queue"])
def test_dvc_tells_its_experiments_what_they_are(way: str, repository: Path) -> None:
    def dvc(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *words], cwd=repository, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    sizes = {"workspace": 2, "temporary": 3, "queue": 4}
    words = {"workspace": (), "temporary": ("--temp",), "queue": ("--queue",)}[way]
    dvc("exp", "run", "--name", f"tried-{way}", "-S", f"left.size={sizes[way]}", *words)
    if way == "queue":
        dvc("exp", "run", "--run-all")
    # of its own commit: what ran beside the workspace has left nothing else
    said = subprocess.run(
        ["git", "show", f"{_reference(repository, way)}:asked.json"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout) == [f"sqlite:///{repository}/mlflow.db", f"tried-{way}"]


def _reference(repository: Path, way: str) -> str:
    listed = ["git", "for-each-ref", "--format=%(refname)", "refs/exps"]
    names = subprocess.run(listed, cwd=repository, capture_output=True, text=True, check=True).stdout.split()
    return next(name for name in names if name.endswith(f"/tried-{way}"))


LOCK = (
    "schema: '2.0'\nstages:\n  publish:\n    cmd: triad publish\n    params: {params.yaml: {publish: {model: shop}}}\n"
)


def outcome(folder: Path) -> None:
    write_json(folder / "artifacts" / "publish" / "published.json", {"model": "shop", "version": "3"})


def lock(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "dvc.lock").write_text(LOCK)


WITNESSES: dict[str, Callable[[Path], None]] = {
    "published.json": outcome,
    "dvc.lock": lock,
    "a night of the checkout": lambda shop: outcome(night(shop)),
    "the lock of a night": lambda shop: lock(night(shop)),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with inside(tmp_path_factory.mktemp("store")), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store.client()
        return Path("mlflow.db").resolve()


@pytest.mark.parametrize("name", WITNESSES)
def test_a_lost_registry_is_no_first_night(name: str, shop: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with inside(shop):
        assert registry.serving("shop", "champion") is None  # a first night
        WITNESSES[name](shop)
        with pytest.raises(TriadError, match="shop was registered once") as raised:
            registry.serving("shop", "champion")
        assert "triad registry init" in raised.value.mend
        assert not (shop / "mlflow.db").exists()
    elsewhere = shop.parent / "elsewhere.db"  # an empty one is named, as a server that is another's
    shutil.copy(empty, elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    with inside(night(shop)):
        for model in ("shop", "renamed"):
            with pytest.raises(TriadError, match="does not know it"):
                registry.load_champion(model, "champion")
        assert "begins anew" in promoting.begin("shop")
        assert "registered already" in promoting.begin("shop")
        assert registry.serving("shop", "champion") is None
        assert registry.serving("renamed", "champion") is None  # the registry is the one it was: a new line begins


def test_a_registry_that_was_copied_with_its_checkout_says_where_it_is_at_home(
    shop: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty, shop / "mlflow.db")
    with inside(shop):
        made = store.experiment_id(store.client(), "triad")
        assert store.experiment_id(store.client(), "triad") == made
    (shop.parent / "other").symlink_to(shop)
    with inside(shop.parent / "other"):
        assert store.experiment_id(store.client(), "triad") == made
    shutil.copytree(shop, shop.parent / "copy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # which MLflow has set
    with inside(shop.parent / "copy"), pytest.raises(TriadError, match=rf"is a copy of the registry in {shop}"):
        store.experiment_id(store.client(), "triad")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no database" * 99), r"not a database\n.*backup"),
        (lambda path: path.mkdir(), r"unable to open database file\n.*backup"),
    ],
)
def test_a_registry_that_cannot_be_read_is_to_be_brought_back(
    spoil: Callable[[Path], object], said: str, shop: Path
) -> None:
    spoil(shop / "mlflow.db")
    with inside(shop), pytest.raises(TriadError, match=said):
        registry.serving("shop", "champion")


def test_an_address_whose_driver_is_not_installed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mssql+nodriver://u:secret@127.0.0.1:1/x")
    with inside(shop), pytest.raises(TriadError) as raised:
        registry.serving("shop", "champion")
    assert "secret" not in str(raised.value)


def test_another_shops_nights_say_nothing_here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = shop.parent / "nights" / "one"
    write_json(theirs / RECORD, {"checkout": "/srv/other"})
    outcome(theirs)
    monkeypatch.setenv("TRIAD_WORKSPACES", str(theirs.parent))
    with inside(shop):
        assert registry.serving("shop", "champion") is None


def test_who_only_asks_makes_no_registry(shop: Path) -> None:
    for ask in (
        lambda: registry.describe("shop", "1"),
        lambda: registry.rollback("shop", "champion"),
        lambda: promoting.promote("shop", "champion", "1"),
    ):
        with inside(shop), pytest.raises(TriadError, match="no registry"):
            ask()
    assert not (shop / "mlflow.db").exists()


@pytest.fixture
def found(shop: Path, empty: Path, monkeypatch: pytest.MonkeyPatch):
    """A client of a store that holds versions 1 to 5 of the model `shop`, without any file; 1 serves."""
    monkeypatch.setattr(registry, "folder_of", lambda model, version: shop)
    shutil.copy(empty, shop / "mlflow.db")
    monkeypatch.chdir(shop)
    client = store.client()
    client.create_registered_model("shop")
    passed, failed = {"verdict": "PASS"}, {"verdict": "FAIL", "compared_with": "1"}
    against = passed | {"compared_with": "1"}
    for tags in (passed, against, failed, passed, against | {"rolled_back_at": "then"}):
        client.create_model_version("shop", source=str(shop), tags=tags)
    registry.promote(client, "shop", "champion", "1", None)
    return client


def test_a_person_promotes_what_passed_against_the_champion(found, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, said in (
        ("3", "its verdict is FAIL"),
        ("4", "made against no champion, but version 1 serves"),
        ("5", "was rolled back"),
        ("6", "no such version; known are 1, 2, 3, 4, 5"),
    ):
        with pytest.raises(TriadError, match=said):
            promoting.promote("shop", "champion", version)
    assert "serves version 1 already" in promoting.promote("shop", "champion", "1")
    monkeypatch.setenv("DVC_EXP_NAME", "wordy-hart")
    with pytest.raises(TriadError, match="wordy-hart promotes nothing"):
        promoting.promote("shop", "champion", "2")
    assert registry.serving("shop", "champion") == "1"
    monkeypatch.delenv("DVC_EXP_NAME")
    assert "serves version 2 now, instead of 1" in promoting.promote("shop", "champion", "2")
    assert registry.serving("shop", "champion") == "2"


def test_an_alias_that_was_removed_is_no_first_night(found) -> None:
    found.delete_registered_model_alias("shop", "champion")
    with pytest.raises(TriadError, match="no version is champion, but version 1 was") as raised:
        registry.load_champion("shop", "champion")
    assert "triad promote 1" in raised.value.mend
    with pytest.raises(TriadError, match="no version is serving"):
        registry.serving("shop", "serving")  # nor is another alias
    promoting.promote("shop", "champion", "1")
    assert registry.serving("shop", "champion") == "1"


def test_a_committed_lock_tells_another_checkout_nothing_of_its_registry(tmp_path: Path) -> None:
    marked = ASKS.replace("params: [left]", "params: [left]\n    meta: {asks_registry: true}")
    folder = make_repository(tmp_path / "shop", dvc_yaml=marked)
    (folder / "dvc.lock").write_text(LOCK + "  other: {cmd: other}\n")
    forget_registry(folder)
    assert "triad publish" in (folder / "dvc.lock").read_text()  # its own: it was not committed
    commit(folder, "with a lock")
    forget_registry(folder)
    assert "triad publish" not in (folder / "dvc.lock").read_text() and "other" in (folder / "dvc.lock").read_text()
