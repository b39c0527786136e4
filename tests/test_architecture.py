"""What holds between files: dvc.yaml names the code each stage runs, and packages depend in one direction only."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from triad.cli import STAGES
from triad.config.members import RECIPES
from triad.kinds import KINDS
from triad.tasks import LABELS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FRAMEWORKS = {"tensorflow", "keras", "mlflow", "great_expectations"}


def module_file(name: str) -> Path | None:
    path = SOURCE / Path(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module named by an import in `path` (not those for type checking alone), or by a text 'triad.a.b:Name'."""
    tree, found = ast.parse(path.read_text()), set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"^(triad(?:\.\w+)+):\w+$", node.value))
    return frozenset(found)


def reach(path: Path, without: frozenset[Path] = frozenset()) -> set[Path]:
    """All of the project's modules that `path` imports, itself and its packages included; not by way of `without`."""
    seen, todo = set(without), [path]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        parents = [folder / "__init__.py" for folder in current.parents if SOURCE in folder.parents]
        named = [module_file(name) for name in imports(current) if name.startswith("triad")]
        todo += [
            p for p in (*parents, *named, *discovered(current), *members(current)) if p is not None and p.is_file()
        ]
    return {p for p in seen - without if not says_nothing(p)}


@cache
def discovered(path: Path) -> frozenset[Path]:
    """The files of the packages whose folders `path` reads with `discover`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    folders = set()
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "discover":
            package = call.args[0]
            own = isinstance(package, ast.Name) and package.id == "__name__"
            folders.add(path.parent if own else SOURCE / Path(*ast.literal_eval(package).split(".")))
    return frozenset(file for folder in folders for file in folder.rglob("*.py"))


@cache
def members(path: Path) -> frozenset[Path]:
    """The files of the members that `path` asks triad.members.registry for: of a stage that it names, else all."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = {call.func.id: call.args for call in calls if isinstance(call.func, ast.Name)}
    if "triad.members.registry" not in imports(path):
        return frozenset()
    every = {"load_member", "make_member", "member_class"} & set(named)
    stages = [ast.literal_eval(named["make_members"][0])] if "make_members" in named else []
    recipes = [recipe for recipe in RECIPES.values() if every or recipe.stage in stages]
    return frozenset(file for recipe in recipes if (file := module_file(recipe.module)))


def test_who_asks_for_members_reaches_their_files_and_no_others() -> None:
    stages = ("similarity", "profile", "fuse")
    reached = {name: {p.stem for p in reach(SOURCE / "triad" / "stages" / f"{name}.py")} for name in stages}
    assert {"trees", "stacked_trees", "item_similarity"} <= reached["profile"] and "linear" not in reached["profile"]
    assert {"item_similarity", "linear"} <= reached["similarity"] and "network" not in reached["similarity"]
    assert {Path(*recipe.module.split(".")).name for recipe in RECIPES.values()} <= reached["fuse"]


def test_who_imports_a_package_that_reads_its_folder_reaches_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    folder = tmp_path / "triad" / "shapes"
    (folder / "round").mkdir(parents=True)
    (folder / "__init__.py").write_text('SHAPES = discover(__name__, "SHAPE", Shape)')
    (folder / "square.py").write_text("from triad.corners import Corner")
    (folder / "round" / "__init__.py").write_text("SHAPE = 1")
    (tmp_path / "triad" / "corners.py").write_text("Corner = 4")
    (tmp_path / "triad" / "by_name.py").write_text('SHAPES = discover("triad.shapes", "SHAPE", Shape)')
    (tmp_path / "triad" / "user.py").write_text("from triad.shapes import SHAPES")
    files = {folder / "square.py", folder / "round" / "__init__.py", tmp_path / "triad" / "corners.py"}
    assert files <= reach(tmp_path / "triad" / "user.py")
    assert files <= reach(tmp_path / "triad" / "by_name.py")


def says_nothing(path: Path) -> bool:
    """Whether a module is empty but for its docstring."""
    body = ast.parse(path.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def test_pyproject_declares_what_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in ("airflow", "lakes", "spark") for line in extras[extra])]
    declared = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in lines}
    named = {name.split(".")[0] for path in (SOURCE / "triad").rglob("*.py") for name in imports(path)}
    distributions = packages_distributions()
    for name in named - sys.stdlib_module_names - {"triad"}:
        owners = {re.sub(r"[-_.]+", "-", owner).lower() for owner in distributions.get(name, [name])}
        assert any(owner in declared or "apache-airflow" in owner for owner in owners), f"pyproject.toml lacks {name}"


def test_each_library_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in lines} - {"triad"}
    short = {re.sub(r"^(apache-airflow-providers|types|pytest)-|-stubs$", "", name).replace("-", " ") for name in names}
    text = (ROOT / "docs" / "decisions.md").read_text().lower().replace("-", " ")
    reasons = text[: text.index("## shape")]
    assert not {name for name in short if name not in reasons}, "docs/decisions.md says why each library is there"


def test_the_pipeline_lists_the_stages_in_order() -> None:
    assert tuple(PIPELINE) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_just_the_code_it_imports(stage: str) -> None:
    needed = reach(SOURCE / "triad" / "stages" / f"{stage}.py")
    listed = [ROOT / dep for dep in PIPELINE[stage]["deps"] if dep.startswith("src/")]
    covered = {p for dep in listed for p in ([dep] if dep.is_file() else dep.rglob("*.py"))}
    missing = sorted(str(p.relative_to(ROOT)) for p in needed - covered)
    idle = sorted(str(dep.relative_to(ROOT)) for dep in listed if not needed & ({dep, *dep.rglob("*.py")}))
    assert not missing, f"dvc.yaml, stage {stage}: add to deps {missing}"
    assert not idle, f"dvc.yaml, stage {stage}: nothing imports {idle}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_just_the_sections_it_reads(stage: str) -> None:
    text = (SOURCE / "triad" / "stages" / f"{stage}.py").read_text()
    read = {name.rstrip("_") for name in re.findall(r"\bparams\.(\w+)", text)}
    if "Bench(" in text or "make_members(" in text:  # of pretrain, members read what was learned
        read |= {each for recipe in RECIPES.values() if recipe.stage == stage for each in recipe.reads} - {"pretrain"}
    listed = {section.split(".")[0] for section in PIPELINE[stage]["params"]}
    assert read == listed


@pytest.mark.parametrize("stage", STAGES)
def test_every_dial_that_dvc_watches_is_in_params(stage: str) -> None:
    known = yaml.safe_load((ROOT / "params.yaml").read_text())
    for path in PIPELINE[stage]["params"]:
        section = known
        for key in path.split("."):
            assert key in section, f"dvc.yaml, stage {stage}: DVC stops, for params.yaml has no {path}"
            section = section[key]


def test_every_output_persists_so_that_a_failed_stage_loses_nothing() -> None:
    for name, stage in PIPELINE.items():
        for kind in ("outs", "metrics", "plots"):
            for output in stage.get(kind, []):
                assert isinstance(output, dict), f"{name}: {output}"
                assert next(iter(output.values()))["persist"] is True, f"{name}: {output}"


GROUND = {"config", "kinds", "statistics", "tasks", "text"}
LAYERS = {  # a package → what it may import besides itself and the ground (and schema, errors …)
    "advice": {"evaluation"},  # the truth of a simulated shop, beside the figures
    "kinds": set(),
    "statistics": set(),
    "tasks": set(),
    "text": set(),
    "images": set(),
    "sources": set(),
    "search": set(),
    "products": set(),
    "examples": {"features", "products", "search"},
    "features": {"examples", "validation", "images"},  # the leak sentinels; vectors of what items show
    "validation": set(),
    "encoders": {"examples", "features"},
    "models": {"examples", "features", "encoders"},
    "training": {"examples", "features", "encoders", "models", "members"},
    "members": {"examples", "features", "images", "encoders", "models", "products", "search", "writing"},
    "fusion": {"examples", "features", "members", "search"},
    "evaluation": {"examples", "features", "members", "fusion", "search", "writing"},
    "tracking": {
        *("examples", "images", "features", "members", "fusion", "evaluation", "products", "sources", "spark"),
        "writing",
    },
    "batch": {"examples", "features", "fusion", "privacy", "retraining", "sources", "spark", "tracking"},
    "config": set(),
    "spark": {"features", "sources", "validation"},
    "writing": {"products", "sources"},
    "retraining": {"tracking"},
    "serving": {
        *(
            "advice",
            "examples",
            "features",
            "fusion",
            "images",
            "members",
            "privacy",
            "retraining",
            "sources",
            "tracking",
            "writing",
        )
    },
    "privacy": {"tracking", "retraining", "sources"},  # how ids may be spelled
    "airflow": {"retraining"},
    "datasets": {"examples", "features", "sources"},
}


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_packages_depend_in_one_direction(package: str) -> None:
    packages = {p.name for p in (SOURCE / "triad").iterdir() if p.is_dir()}
    for path in (SOURCE / "triad" / package).rglob("*.py"):
        named = {name.split(".")[1] for name in imports(path) if name.startswith("triad.")}
        beyond = (named & packages) - LAYERS[package] - {package} - GROUND
        assert not beyond, f"{path.relative_to(ROOT)} imports {beyond}"


@pytest.mark.parametrize(
    "package", ["sources", "features", "fusion", "config", "evaluation", "retraining", "airflow", "datasets", "spark"]
)
def test_no_deep_learning_framework_where_none_is_needed(package: str) -> None:
    for path in (SOURCE / "triad" / package).rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & FRAMEWORKS, path


def test_the_design_names_every_package() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    table = text[text.index("| Package |") : text.index("Dependencies between packages")]
    packages = {path.parent.name for path in (SOURCE / "triad").glob("*/__init__.py")} | set(LAYERS)
    missing = {name for name in packages if f"`{name}`" not in table}
    assert not missing and set(LAYERS) <= packages


EQUALITY = ast.Eq | ast.NotEq | ast.In | ast.NotIn


def modules_outside(package: str) -> list[Path]:
    return [p for p in (SOURCE / "triad").rglob("*.py") if SOURCE / "triad" / package not in p.parents]


def stands_for(node: ast.expr, name: str) -> bool:
    """Whether an expression is a variable, an attribute or an entry called `name`."""
    return (
        (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
        or (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == name)
    )


def comparisons(tree: ast.AST, name: str) -> list[tuple[int, list[ast.expr]]]:
    """Line and operands of each comparison by ==, != or in, or match, of what is called `name`."""
    asked: list[tuple[int, list[ast.expr]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, EQUALITY) for op in node.ops):
            asked.append((node.lineno, [node.left, *node.comparators]))
        elif isinstance(node, ast.Match):
            asked.append((node.lineno, [node.subject]))
    return [(line, operands) for line, operands in asked if any(stands_for(each, name) for each in operands)]


def test_no_kind_is_compared_outside_kinds() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules_outside("kinds")
        for line, _ in comparisons(ast.parse(path.read_text()), "kind")
    ]
    assert not found, "ask KINDS[…], and call what is no task's kind something else"


ELSEWHERE = {"stages/evaluate.py": {"ranking"}}
"""Module → words in it that are a kind's name and mean something else: the table of ranks by places."""


def kinds_named(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and name of each kind that stands as a text, whatever it is compared with, looked up in or a key of.

    Left out are what asks the kind itself, `KINDS["…"]`, and LightGBM's own words for what it lowers.
    """
    asked = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "KINDS":
            asked.add(node.slice)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            asked |= {value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "objective"}
    return [
        (node.lineno, str(node.value))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in set(KINDS) and node not in asked
    ]


def test_no_kind_is_named_outside_kinds_and_tasks() -> None:
    named = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules_outside("kinds")
        for line, name in kinds_named(ast.parse(path.read_text()))
        if "tasks" not in path.parts and name not in ELSEWHERE.get("/".join(path.parts[-2:]), ())
    }
    assert not named, "ask KINDS[task.kind]; a label says which kinds it may have"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('chosen = task.kind\nif chosen == "binary": pass', 1),
        ('{"binary": 1, "ranking": 2}[task.kind]', 2),
        ('task.kind.startswith("binary")', 1),
        ('match which:\n    case "graded" | "choice":\n        pass', 2),
        ('KINDS["ranking"].loss(target, logits)', 0),
        ('{"objective": "binary", "seed": 1}', 0),
    ],
)
def test_what_names_a_kind(text: str, count: int) -> None:
    assert len(kinds_named(ast.parse(text))) == count


def test_no_label_is_named_outside_tasks() -> None:
    # these are an ordinary word and a column's name, too; as labels they are found where labels are compared
    names = set(LABELS) - {"column", "relevance"}
    found = []
    for path in modules_outside("tasks"):
        tree = ast.parse(path.read_text())
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in names
        ]
        found += [
            f"{path.relative_to(ROOT)}:{line}"
            for line, operands in comparisons(tree, "label")
            if any(
                isinstance(part, ast.Constant) and isinstance(part.value, str)
                for each in operands
                for part in ast.walk(each)
            )
        ]
    assert not found, "ask LABELS[…]"


def test_no_label_or_kind_is_told_by_its_class() -> None:
    classes = {type(each).__name__ for each in (*LABELS.values(), *KINDS.values())}
    told = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules_outside("kinds")
        if "tasks" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "issubclass")
        if {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)} & classes
    ]
    assert not told, "ask it"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('task.kind == "binary"', 1),
        ('kind not in ("binary",)', 1),
        ('"binary" != task["kind"]', 1),
        ('match kind:\n    case "binary":\n        pass', 1),
        ("KINDS[task.kind].ranks and kind is None", 0),
        ("kinds == other.kinds or 0 < kind", 0),
    ],
)
def test_what_counts_as_a_comparison(text: str, count: int) -> None:
    assert len(comparisons(ast.parse(text), "kind")) == count


FORMER = {"found", "match_start", "informed", "Unseen", "Former", "renewal", "fence", "bury", "story", "alignment"}
"""Names that said nothing of what they held, or were not the field's."""


def test_no_name_is_a_former_one() -> None:
    named = {
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path in (SOURCE / "triad").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (name := getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)) in FORMER
    }
    assert not named, "call it what it holds"
