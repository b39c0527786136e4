"""What was not signed here is refused before anything of it is read; and nothing that a night writes is a pickle."""

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from make_night import inside, make_night, make_params, published_night
from pickles import pickles
from repack import repacked

from triad.artifacts import ARTIFACTS, read_json
from triad.errors import TriadError
from triad.stages.champion import champion
from triad.stages.publish import publish
from triad.stages.recommend import recommend
from triad.tracking import registry, runs, signing, store
from triad.tracking.fetching import copy_out
from triad.tracking.lineage import Lineage, why

LONG = "k" * 40


class Poison:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with published_night(make_night(tmp_path_factory.mktemp("night"))) as root:
        yield root


@pytest.fixture
def shop(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of the published night and its store."""
    folder = tmp_path / "shop"
    shutil.copytree(published, folder, ignore=shutil.ignore_patterns("mlartifacts"))  # those stay in the first one
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", signing.KEY):
        monkeypatch.delenv(name, raising=False)
    return folder


def poisoned(folder: Path, mark: Path) -> None:
    """Whatever of a version could be run or unpickled, does leave a mark."""
    joblib.dump(Poison(mark), folder / "artifacts" / "fuse" / "members" / "trees" / "click.joblib")
    (folder / "artifacts" / "fuse" / "members" / "trees" / "click.trees.npz").write_bytes(pickle.dumps(Poison(mark)))
    leaving = f"import os; os.makedirs({str(mark)!r}, exist_ok=True)\n"
    repacked(folder, lambda source: leaving)
    (folder / "registered.py").write_text(leaving)
    described = folder / "MLmodel"
    described.write_text(described.read_text().replace("code_digest: ", "code_digest: 0"))


def unsigned(folder: Path) -> None:
    (folder / signing.MANIFEST).unlink()


def of_another_key(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.KEY, LONG)
        (folder / signing.MANIFEST).unlink()
        signing.sign(folder, "triad", read_json(ARTIFACTS / "publish" / "published.json")["run_id"])


def with_the_manifest_of_the_champion(folder: Path) -> None:
    shutil.copyfile(registry.folder_of("triad", "1") / signing.MANIFEST, folder / signing.MANIFEST)


def with_another_name_of_the_key(folder: Path) -> None:
    of_another_key(folder)
    sealed = json.loads((folder / signing.MANIFEST).read_text())
    sealed["signature"]["key"] = signing.seal({}, "")["signature"]["key"]
    (folder / signing.MANIFEST).write_text(json.dumps(sealed))


def with_a_manifest_that_is_none(folder: Path) -> None:
    (folder / signing.MANIFEST).write_bytes(b"\x80\x04\x95")


FORGED = (
    unsigned,
    of_another_key,
    with_the_manifest_of_the_champion,
    with_another_name_of_the_key,
    with_a_manifest_that_is_none,
)


@pytest.mark.parametrize("forge", FORGED)
def test_a_poisoned_champion_is_refused_by_all_who_read_it_and_nothing_of_it_runs(
    forge: Callable[[Path], None], shop: Path, tmp_path: Path
) -> None:
    """Somebody registers a version by hand and lets the alias name it."""
    mark, theirs, client = tmp_path / "ran", tmp_path / "theirs", store.client()
    before = client.get_model_version("triad", "1")
    shutil.copytree(registry.folder_of("triad", "1"), theirs)
    poisoned(theirs, mark)
    forge(theirs)
    tags = {**before.tags, "promoted_at": "2026-01-01"}
    client.create_model_version("triad", str(theirs), run_id=before.run_id, tags=tags)
    client.set_registered_model_alias("triad", "champion", "2")
    readers: dict[str, Callable[[], object]] = {
        "the gate": lambda: registry.load_champion("triad", "champion"),
        "lists": lambda: recommend(make_params()),
        "a warm start": lambda: champion(make_params(champion={"version": 2})),
        "publishing what has the same lineage": lambda: publish(make_params()),
        "copying it out to serve": lambda: copy_out("triad", "2", tmp_path / "out"),
    }
    for name, reads in readers.items():
        with pytest.raises(TriadError, match=r"^model triad, version 2: its? .*(sign|no JSON)") as raised:
            reads()
        assert "rollback --to" in raised.value.mend, name
        assert not mark.exists(), name
    assert not (tmp_path / "out").exists() and not (ARTIFACTS / "recommend").exists()
    registry.rollback("triad", "champion", "1")
    with pytest.raises(TriadError, match="version 2: it"):
        registry.rollback("triad", "champion", "2")
    assert registry.current(client, "triad", "champion") == "1" and not mark.exists()


def test_what_is_copied_out_has_no_name_until_it_is_verified(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "out", []
    monkeypatch.setattr(signing, "verify", lambda folder, *_: seen.append((folder.exists(), out.exists())))
    copy_out("triad", "1", out)
    assert seen == [(True, False)] and (out / "MLmodel").is_file()
    with pytest.raises(TriadError, match="is there already"):
        copy_out("triad", "1", out)


def changed(folder: Path) -> None:
    (folder / "a" / "model.npy").write_bytes(b"other")


def added(folder: Path) -> None:
    (folder / "a" / "sitecustomize.py").write_text("")


def removed(folder: Path) -> None:
    (folder / "a" / "model.npy").unlink()


def renamed(folder: Path) -> None:
    (folder / "a" / "model.npy").rename(folder / "a" / "other.npy")


def linked(folder: Path) -> None:
    (folder / "a" / "model.npy").rename(folder.parent / "elsewhere.npy")
    (folder / "a" / "model.npy").symlink_to(folder.parent / "elsewhere.npy")


def a_linked_folder(folder: Path) -> None:
    (folder / "a").rename(folder.parent / "elsewhere")
    (folder / "a").symlink_to(folder.parent / "elsewhere")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def the_list_itself(folder: Path) -> None:
    changed(folder)
    sealed = read_json(folder / signing.MANIFEST)
    sealed["files"]["a/model.npy"] = signing._files(folder, "")["a/model.npy"]
    (folder / signing.MANIFEST).write_text(json.dumps(sealed))


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (changed, "file 'a/model.npy' was changed"),
        (added, "file 'a/sitecustomize.py' was added"),
        (removed, "file 'a/model.npy' is missing"),
        (renamed, "file 'a/model.npy' is missing"),
        (linked, "a/model.npy is no plain file"),
        (a_linked_folder, "a is no plain file"),
        (a_pipe, "pipe is no plain file"),
        (the_list_itself, "signature does not hold"),
    ],
)
def test_a_folder_is_taken_only_as_it_was_signed(
    tamper: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.KEY, LONG)
    folder = tmp_path / "version"
    (folder / "a").mkdir(parents=True)
    for name in ("a/model.npy", "code.py"):
        (folder / name).write_text(name)
    signing.sign(folder, "triad", "run")
    signing.verify(folder, "triad", "run", "here")
    for model, run in (("triad_de", "run"), ("triad", "another")):
        with pytest.raises(TriadError, match="here: its signature does not hold"):
            signing.verify(folder, model, run, "here")
    tamper(folder)
    with pytest.raises(TriadError, match=f"^here: .*{said}"):
        signing.verify(folder, "triad", "run", "here")


def test_a_lineage_that_was_changed_or_is_another_runs_is_not_shown(shop: Path) -> None:
    client = store.client()
    run_id = client.get_model_version("triad", "1").run_id
    assert "version 1 @champion" in why("champion")
    told = registry.describe("triad", "1").lineage
    client.log_dict(run_id, {**told, "trigger": "somebody else"}, registry.LINEAGE_FILE)
    with pytest.raises(TriadError, match=r"version 1, lineage\.json: it is not signed"):
        why("champion")
    client.log_dict(run_id, signing.seal(told, registry.lineage_of("another")), registry.LINEAGE_FILE)
    with pytest.raises(TriadError, match="signature does not hold"):
        why("champion")
    runs.update(client, run_id, Lineage.from_dict(told))
    assert "version 1 @champion" in why("champion")


def test_a_version_is_read_where_byte_code_and_mlflows_note_lie_beside_it(shop: Path, tmp_path: Path) -> None:
    """Whoever loads a model from a local store leaves these; they are not taken along."""
    theirs, client = tmp_path / "theirs", store.client()
    shutil.copytree(registry.folder_of("triad", "1"), theirs)
    for extra in ("code/__pycache__/cli.cpython-311.pyc", "registered_model_meta"):
        (theirs / extra).parent.mkdir(exist_ok=True)
        (theirs / extra).write_text("anything")
    client.create_model_version("triad", str(theirs), run_id=client.get_model_version("triad", "1").run_id)
    folder = registry.folder_of("triad", "2")
    assert not list(folder.rglob("__pycache__")) and not (folder / "registered_model_meta").exists()


@pytest.mark.parametrize(
    "mark", [None, [], {}, {"key": 1}, *({"key": "k", "hmac_sha256": x} for x in (1, "\ud800", "é"))]
)
def test_a_seal_of_another_form_is_none(mark: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.KEY, LONG)
    for other in ({"a": 1, "signature": mark}, None, [], "a", 1):
        with pytest.raises(TriadError, match="here: it is not signed"):
            signing.opened(other, "x", "here")


def test_a_manifest_that_is_too_deep_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / signing.MANIFEST).write_text("[" * 100_000)
    with pytest.raises(TriadError, match=r"here: its manifest\.json is no JSON"):
        signing.verify(tmp_path, "triad", "run", "here")


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.KEY, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    file = tmp_path / signing.KEY_FILE
    foreign = {"a": 1, "signature": {"key": "0" * 12, "hmac_sha256": "0" * 64}}
    with pytest.raises(TriadError, match="known here are: none"):
        signing.opened(foreign, "x", "here")
    assert not file.exists(), "who only reads makes none"
    sealed = signing.seal({"a": 1.5, "b": [None, "ä"]}, "x")
    assert file.stat().st_mode & 0o777 == 0o600
    assert signing.opened(json.loads(json.dumps(sealed)), "x", "here") == {"a": 1.5, "b": [None, "ä"]}
    assert signing.seal({"a": 1.5, "b": [None, "ä"]}, "x") == sealed and file.read_text().strip() not in str(sealed)
    file.chmod(0o644)
    with pytest.raises(TriadError, match=r"signing\.key: others can read the key") as raised:
        signing.opened(sealed, "x", "here")
    assert raised.value.mend == f"chmod 600 {file}"


def test_a_new_key_seals_and_the_former_one_is_still_good_for_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    former, fresh = "f" * 32, "n" * 32
    monkeypatch.setenv(signing.KEY, former)
    old = signing.seal({"a": 1}, "x")
    monkeypatch.setenv(signing.KEY, f"{fresh} {former}")
    new = signing.seal({"a": 1}, "x")
    assert signing.opened(old, "x", "here") == signing.opened(new, "x", "here") == {"a": 1}
    monkeypatch.setenv(signing.KEY, fresh)
    assert signing.opened(new, "x", "here") == {"a": 1}
    with pytest.raises(TriadError, match="here: it is signed with the key") as raised:
        signing.opened(old, "x", "here")
    assert signing.KEY in raised.value.mend and former not in str(raised.value)
    monkeypatch.setenv(signing.KEY, f"{fresh} short")
    with pytest.raises(TriadError, match="fewer than 32 characters") as raised:
        signing.seal({}, "x")
    assert "short" not in str(raised.value)


def test_nothing_that_a_night_writes_is_a_pickle(published: Path) -> None:
    with inside(published):
        recommend(make_params())
    kinds = {path.suffix for path in published.rglob("*") if path.is_file()}
    assert {".npz", ".npy", ".json", ".parquet", ".db", ".py"} <= kinds
    assert not pickles(published)


def a_lambda_of_keras(folder: Path) -> None:
    """As Keras writes one: the code's bytes lie in the archive's JSON."""
    inner = {"class_name": "__lambda__", "config": {"value": "4wEAAAA=", "defaults": None, "closure": None}}
    with zipfile.ZipFile(folder / "network.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Lambda", "config": {"function": inner}}))


def in_tar(folder: Path, data: bytes) -> None:
    with tarfile.open(folder / "outer.tar.xz", "w:xz") as archive:
        archive.addfile(tarfile.TarInfo("fine"), io.BytesIO())
        told = tarfile.TarInfo("inner")
        told.size = len(data)
        archive.addfile(told, io.BytesIO(data))


def in_zip(folder: Path, data: bytes) -> None:
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.writestr("inner.txt", data)


@pytest.mark.parametrize(
    "write",
    [
        *(lambda folder, p=p: (folder / "model.txt").write_bytes(pickle.dumps({"a": 1}, p)) for p in range(6)),
        lambda folder: joblib.dump({"a": np.ones(9)}, folder / "a.json"),
        *(lambda folder, c=c: joblib.dump([1], folder / "a", compress=(c, 3)) for c in ("zlib", "gzip", "bz2", "lzma")),
        lambda folder: np.save(folder / "a.npy", np.array([{}], object)),
        lambda folder: np.savez_compressed(folder / "a.npz", a=np.ones(3), b=np.array([None])),
        lambda folder: in_zip(folder, pickle.dumps([1])),
        lambda folder: in_tar(folder, pickle.dumps([1], 0)),
        a_lambda_of_keras,
        lambda folder: (folder / "a").write_bytes(gzip.compress(pickle.dumps([1]))),
        lambda folder: (folder / "a.db").write_bytes(b"SQLite" * 9 + pickle.dumps([1]) + b"more"),
    ],
)
def test_a_pickle_is_found_by_what_it_is(write: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "fine.json").write_text("{}")
    np.save(tmp_path / "fine.npy", np.array(["a"]))
    assert not pickles(tmp_path)
    write(tmp_path)
    assert len(pickles(tmp_path)) == 1
