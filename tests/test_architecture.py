"""The rules of the house: who may import whom, what loads quickly, what never appears in the code."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.processes import run

PACKAGES = ("theory", "empirics", "figures")
FORBIDDEN = {
    "theory": {"empirics", "figures", "torch"},
    "empirics": {"theory", "figures"},
    "figures": {"theory", "empirics", "torch"},
}


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of every module that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found


TUTORIAL = ROOT / "theory/tutorial.py"  # a script of a user, which imports the packages from outside


def sources(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path != TUTORIAL)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_do_not_import_one_another(package):
    for path in sources(package):
        bad = imports(ast.parse(path.read_text())) & FORBIDDEN[package]
        assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


NAMED_FILE = re.compile(r"\b(?:theory|empirics|figures|tests)/[\w/]+\.(?:py|md)\b")
NAMED_MODULE = re.compile(r"`(?:theory|empirics|figures|tests)(?:\.\w+)+")


def absent(text: str) -> set[str]:
    """Files, and modules in backticks, that a text names and that are not there; of a module's members, the first."""
    found = {name for name in NAMED_FILE.findall(text) if not (ROOT / name).exists()}
    for name in NAMED_MODULE.findall(text):
        place, parts = ROOT, name[1:].split(".")
        while parts and (place / parts[0]).is_dir():
            place /= parts.pop(0)
        file = place / f"{parts[0]}.py" if parts else place / "__init__.py"
        member = parts[1:2] if file.exists() and parts else parts[:1]
        source = file if file.exists() else place / "__init__.py"
        if member and not (source.exists() and re.search(rf"\b{member[0]}\b", source.read_text())):
            found.add(name[1:])
    return found


READMES = [ROOT / "README.md", *(ROOT / name / "README.md" for name in (*PACKAGES, "tests"))]


@pytest.mark.parametrize("path", [*(p for name in (*PACKAGES, "tests") for p in sources(name)), *READMES])
def test_files_and_modules_that_are_named_are_there(path):
    if path != Path(__file__):  # which names some that are not, below
        assert absent(path.read_text()) == set()


def test_a_name_of_what_has_moved_is_seen():
    gone = {"theory/kernels.py", "theory.kernels", "empirics.storage.files.no_such_name"}
    assert absent("theory/kernels.py, `theory.kernels` and `empirics.storage.files.no_such_name`") == gone
    assert absent("theory/flow/units.py, `theory.integrate`, `theory.flow`, `theory.flow.units.Units.size`") == set()


def test_the_wiring_of_the_packages_is_short():
    assert len((ROOT / "paper_repro.py").read_text().splitlines()) < 250


def test_an_import_inside_a_function_is_seen():
    assert imports(ast.parse("def f():\n    import torch.nn\n    from figures.x import y")) == {"torch", "figures"}


# --- within a package: folders and modules of its top, floor by floor; imports go down, to any lower floor -----------
# A module with a floor of its own is named with its folder: settings need the names and facts of rewinding rules.

FLOORS = {
    "theory": (
        "registries",
        "experiments",
        "results theorems portraits",
        "proofs extensions probability",
        "flow pruning sampling",
        "exact",
        "losses",
        "compiled",
        "validation reprs",
    ),
    "empirics": (
        "commands",
        "doctor",
        "cli",
        "studies",
        "execution",
        "runs",
        "train",
        "data pruning models schedules",
        "provenance",
        "storage",
        "config",
        "setting_checks",
        "settings",
        "registries",
        "names",
        "choices code_text cycles seeding commit cores terminal pruning.rules",
    ),
    "figures": (
        "comparison report",
        "regenerate",
        "drawing",
        "inputs",
        "provenance",
        "plots",
        "registries",
        "catalogue",
        "claims",
        "analysis",
        "results",
    ),
}


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its full name; a folder's `__init__` bears the folder's name."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources(package)}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a file but those under `if TYPE_CHECKING:`, which only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from executed(node)


def own_imports(tree: ast.AST, known: dict[str, Path]) -> set[str]:
    """Modules of `known` that a file imports, inside functions too: `from a.b import c` is a.b.c where that is one."""
    found = set()
    for node in executed(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(known)


def top(module: str) -> str:
    """The folder or module of the package's top in which a module lies; "" for the package itself."""
    return f"{module}.".split(".")[1]


def on_floor(module: str, floor: dict[str, int]) -> str:
    """What of the floors a module belongs to: itself, if it is named there, or else its folder."""
    own = module.partition(".")[2]
    return own if own in floor else top(module)


def upward(module: str, imported: str, floors: tuple[str, ...]) -> bool:
    """Whether an import goes up, or sideways into another folder of the same floor."""
    floor = {name: number for number, names in enumerate(floors) for name in names.split()}
    here, there = on_floor(module, floor), on_floor(imported, floor)
    return here != there and floor[there] <= floor[here]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_and_module_has_a_floor_and_imports_go_down(package):
    known = modules(package)
    listed = {name: 0 for names in FLOORS[package] for name in names.split()}
    assert {on_floor(module, listed) for module in known} - {""} == set(listed)
    for module, path in known.items():
        if module == package:
            continue
        for imported in own_imports(ast.parse(path.read_text()), known):
            assert imported != package, f"{module} imports the __init__ of its own package: import the module itself"
            assert not upward(module, imported, FLOORS[package]), f"{module} imports {imported}: above or beside it"


def test_an_import_upward_is_seen():
    floors = ("runs", "data pruning", "storage")
    assert upward("empirics.storage.files", "empirics.runs.levels", floors)
    assert upward("empirics.data.images", "empirics.pruning.masks", floors)
    assert not upward("empirics.data.images", "empirics.data.pixels", floors)
    assert not upward("empirics.runs.levels", "empirics.storage.files", floors)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle: what is left without all that import none of the rest, or are
    imported by none of it.
    """
    left = dict(arrows)
    while True:
        wanted = {name for imported in left.values() for name in imported}
        free = [name for name, imported in left.items() if name not in wanted or not imported & set(left)]
        if not free:
            return sorted(left)
        left = {name: imported for name, imported in left.items() if name not in free}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_one_another_in_a_circle(package):
    known = modules(package)
    assert (
        circle({name: own_imports(ast.parse(path.read_text()), known) - {name} for name, path in known.items()}) == []
    )


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_or_module_of_the_top_bears_a_public_name_of_its_package(package):
    """`import theory.prune` would put the module in the place of the function `theory.prune`."""
    public = set(getattr(import_module(package), "__all__", ()))
    assert not {top(module) for module in modules(package)} & public


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = run([sys.executable, "-c", script], cwd=ROOT, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "sympy", "scipy", "matplotlib", "sklearn", "pandas"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "code, allowed",
    [
        ("import theory, empirics, figures", set()),
        ("import paper_repro\ntry:\n    paper_repro.main(['--help'])\nexcept SystemExit:\n    pass", set()),
        ("import paper_repro; paper_repro.main(['table1'])", {"torch"}),  # for the facts on the entries of data sets
        ("import figures.catalogue, figures.claims.registry, figures.regenerate", {"scipy"}),
        ("import theory; theory.closed_form(1.0, 1.0, 1.0)", {"scipy"}),
    ],
)
def test_heavy_packages_are_loaded_only_where_they_are_used(code, allowed):
    assert loaded_by(code) & HEAVY <= allowed


@pytest.mark.parametrize("path", [p for package in PACKAGES for p in sources(package)] + [ROOT / "paper_repro.py"])
def test_no_pickle_no_eval_and_no_global_random_numbers(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert not imports(tree) & {"pickle", "random", "shelve", "marshal", "joblib"}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"eval", "exec", "sympify", "sympy.sympify", "torch.load", "torch.save", "torch.manual_seed"}
    assert not any(name.startswith(("np.random.seed", "np.random.rand", "numpy.random.rand")) for name in called)
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load"]
    assert all("allow_pickle=False" in ast.unparse(node) for node in loads)


LAYERS = {"Conv2d", "Linear", "BatchNorm2d"}


def classes(tree: ast.AST) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def module_values(tree: ast.Module) -> list[tuple[str, str]]:
    """Names that are bound as the module loads, and the code of what is bound to them."""
    bound = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None]
    targets = lambda node: node.targets if isinstance(node, ast.Assign) else [node.target]  # noqa: E731
    return [(ast.unparse(target).lower(), ast.unparse(node.value)) for node in bound for target in targets(node)]


def place(path: Path) -> str:
    """Where a module lies within `empirics`, such as `pruning/masks`."""
    return path.with_suffix("").as_posix().rpartition("empirics/")[2]


def makes_generator(code: str) -> bool:
    return any(call in code for call in ("Generator(", "default_rng(", "RandomState(", "manual_seed("))


# fault of the layout -> (whether a file has it, a file that does)
HOUSE_FAULTS = {
    "utils.py": (
        lambda path, tree: path.stem in {"util", "utils", "helpers", "misc", "common"},
        ("utils.py", ""),
    ),
    "a Trainer class": (
        lambda path, tree: any("trainer" in node.name.lower() for node in classes(tree)),
        ("train.py", "class Trainer:\n    pass"),
    ),
    "masked layer subclasses": (
        lambda path, tree: any(
            ast.unparse(b).split(".")[-1] in LAYERS
            for node in classes(tree)
            for b in node.bases
            if node.name != "StridedPointwiseConv2d"  # has no mask: the same function without a fault of oneDNN
        ),
        ("masks.py", "class MaskedConv(nn.Conv2d):\n    pass"),
    ),
    "module-level device": (
        lambda path, tree: any("device" in n.split("_") or "torch.device(" in code for n, code in module_values(tree)),
        ("train.py", "place = torch.device('cuda' if torch.cuda.is_available() else 'cpu')"),
    ),
    "module-level seed": (
        lambda path, tree: any("seed" in n.split("_") or makes_generator(code) for n, code in module_values(tree)),
        ("train.py", "DEFAULT_SEED: int = 0"),
    ),
    "a config object passed everywhere": (
        lambda path, tree: place(path) in NO_CONFIG and "RunConfig" in ast.unparse(tree),
        ("empirics/pruning/masks.py", "def apply(masks, config: RunConfig):\n    pass"),
    ),
}
# functions of tensors and numbers: they take what they need and no configuration
NO_CONFIG = {
    "pruning/criteria", "pruning/densities", "pruning/masks", "pruning/rewinding", "pruning/rules", "pruning/signs",
    "models", "schedules", "seeding",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", HOUSE_FAULTS)
def test_the_layout_has_none_of_the_faults_of_the_field(fault):
    has, (name, bad) = HOUSE_FAULTS[fault]
    assert has(Path(name), ast.parse(bad)), "a bad file is caught"
    for path in [p for package in PACKAGES for p in sources(package)] + [ROOT / "paper_repro.py"]:
        assert not has(path, ast.parse(path.read_text())), f"{path.relative_to(ROOT)}: {fault}"
    assert all((ROOT / "empirics" / f"{name}.py").exists() for name in NO_CONFIG)


def test_nothing_tracked_is_large_or_names_a_machine():
    listed = run(["git", "ls-files"], cwd=ROOT)
    names = listed.stdout.splitlines() or [str(p.relative_to(ROOT)) for package in PACKAGES for p in sources(package)]
    for name in names:
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size < 1_000_000, f"{name} is over 1 MB"
            assert str(ROOT) not in path.read_text(errors="replace"), f"{name} names a folder of this machine"


# --- tests: who starts processes, who waits ---------------------------------------------------------------------------

SUPPORT = ROOT / "tests/support"
STARTING_MODULES = {"subprocess", "pty", "_posixsubprocess"}
STARTING = {"fork", "forkpty", "system", "popen", "Popen", "posix_spawn", "posix_spawnp", "spawnv", "spawnve", "spawnl",
            "execv", "execve", "execvp", "execl", "Process", "Pool", "ProcessPoolExecutor", "get_context"}  # fmt: skip
OURS = {"fork", "processes.fork"}  # of tests/support


def starts_a_process(tree: ast.AST) -> set[str]:
    """What in a test's source starts a process otherwise than by tests/support/processes.py."""
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {name for name in called if name.split(".")[-1] in STARTING and name not in OURS}
    return named | (imports(tree) & STARTING_MODULES)


def waits_blindly(tree: ast.AST) -> set[str]:
    """What in a test's source waits a fixed time, or to a limit that does not grow with the load."""
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = {ast.unparse(node.func) for node in called if ast.unparse(node.func).split(".")[-1] == "sleep"}
    limited = [node for node in called if any(keyword.arg == "timeout" for keyword in node.keywords)]
    return found | {f"{ast.unparse(node.func)}(timeout=)" for node in limited}


@pytest.mark.parametrize(
    "code, found",
    [
        ("import subprocess\nsubprocess.run(['x'])", {"subprocess"}),
        ("from subprocess import PIPE", {"subprocess"}),
        ("def f():\n    import os\n    os.fork()", {"os.fork"}),
        ("os.system('x'); os.posix_spawn('x', [], {})", {"os.system", "os.posix_spawn"}),
        ("multiprocessing.Process(target=f).start()", {"multiprocessing.Process"}),
        ("multiprocessing.get_context('spawn')", {"multiprocessing.get_context"}),
        ("ProcessPoolExecutor(2)", {"ProcessPoolExecutor"}),
        ("from processes import fork, run, start\nfork(f); run(['x']); processes.fork(f)", set()),
        ("multiprocessing.active_children(); platform.system", set()),
    ],
)
def test_a_process_that_a_test_starts_by_itself_is_seen(code, found):
    assert starts_a_process(ast.parse(code)) == found


@pytest.mark.parametrize(
    "code, found",
    [
        ("time.sleep(0.2)", {"time.sleep"}),
        ("from time import sleep\nsleep(1)", {"sleep"}),
        ("process.communicate(timeout=30)", {"process.communicate(timeout=)"}),
        ("wait_for(done, 'it'); finish(process, seconds=3)", set()),
    ],
)
def test_a_wait_for_a_fixed_time_is_seen(code, found):
    assert waits_blindly(ast.parse(code)) == found


TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if SUPPORT not in path.parents]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT / "tests").as_posix())
def test_tests_start_processes_and_wait_by_the_helpers_that_end_them_and_know_how_busy_it_is(path):
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT)
    assert not starts_a_process(tree), f"{name}: use run, start or fork of tests/support/processes.py"
    if path.stem != "torture":  # kills at random moments is what it is for
        assert not waits_blindly(tree), f"{name}: use wait_for of tests/support/waiting.py, or finish of processes.py"


# Words that mean one thing in both packages that have them, with what each of these has of it.
ONE_IDEA = {
    "REWINDS": "the registry of rewind rules: functions of the neuron's weights, and of a network's",
}


def constants(name: str, tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Public constants that a module gives a value, without the letters of a proof."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in [part for one in targets if one for part in ast.walk(one) if isinstance(part, ast.Name)]:
            if target.id.isupper() and not target.id.startswith("_"):
                # imported only for a value: the fork server's module, which has none, ignores signals from then on
                value = getattr(import_module(name), target.id, None)
                if not hasattr(value, "free_symbols"):
                    yield target.id, value


def homonyms(found: list[tuple[str, str, object]]) -> list[str]:
    """Constants of one name and different values, from (module, name, value)."""
    by_name: dict[str, list[tuple[str, object]]] = {}
    for module, name, value in found:
        by_name.setdefault(name, []).append((module, value))
    return [
        f"{name} in {', '.join(module for module, _ in there)}"
        for name, there in by_name.items()
        if len({f"{type(value).__name__} {value!r}" for _, value in there}) > 1 and name not in ONE_IDEA
    ]


HOMONYMS_DO = (
    "public constants of one name have different values. One word has one meaning in all three packages: "
    "rename the new one, or make it private by a leading underscore"
)


def test_no_constant_has_the_name_of_another_one():
    found = []
    for package in PACKAGES:
        for path in sources(package):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found += [(name, *one) for one in constants(name, ast.parse(path.read_text()))]
    assert len(found) > 300
    assert homonyms(found) == [], HOMONYMS_DO


def test_two_constants_of_one_name_are_seen():
    found = [("a", "LEVELS", 3), ("b", "LEVELS", "levels"), ("c", "SAME", (1, 2)), ("d", "SAME", (1, 2))]
    assert homonyms(found) == ["LEVELS in a, b"]


@pytest.mark.parametrize("path", [*(p for name in PACKAGES for p in sources(name)), ROOT / "paper_repro.py"])
def test_a_docstring_begins_with_a_line_under_100_characters(path):
    long = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").split("\n")[0]
            long += [first] if len(first) >= 100 else []
    assert long == []
