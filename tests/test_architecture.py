"""The rules of the house: who may import whom, what loads quickly, what never appears in the code."""

import ast
import sys
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


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    for path in sources(package):
        bad = imports(ast.parse(path.read_text())) & FORBIDDEN[package]
        assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


def test_an_import_inside_a_function_is_seen():
    assert imports(ast.parse("def f():\n    import torch.nn\n    from figures.x import y")) == {"torch", "figures"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = run([sys.executable, "-c", script], cwd=ROOT, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "sympy", "scipy", "matplotlib", "sklearn"}


@pytest.mark.parametrize(
    "code, allowed",
    [
        ("import theory, empirics, figures", set()),
        ("import paper_repro\ntry:\n    paper_repro.main(['--help'])\nexcept SystemExit:\n    pass", set()),
        ("import paper_repro; paper_repro.main(['table1'])", set()),
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
        lambda path, tree: any(ast.unparse(b).split(".")[-1] in LAYERS for node in classes(tree) for b in node.bases),
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
        lambda path, tree: path.stem in NO_CONFIG and "RunConfig" in ast.unparse(tree),
        ("masks.py", "def apply(masks, config: RunConfig):\n    pass"),
    ),
}
# functions of tensors and numbers: they take what they need and no configuration
NO_CONFIG = ("augmentation", "criteria", "densities", "masks", "models", "rewinding", "schedules", "seeding",
             "sensitivity", "signs")  # fmt: skip


@pytest.mark.parametrize("fault", HOUSE_FAULTS)
def test_the_layout_has_none_of_the_faults_of_the_field(fault):
    has, (name, bad) = HOUSE_FAULTS[fault]
    assert has(Path(name), ast.parse(bad)), "a bad file is caught"
    for path in [p for package in PACKAGES for p in sources(package)] + [ROOT / "paper_repro.py"]:
        assert not has(path, ast.parse(path.read_text())), f"{path.relative_to(ROOT)}: {fault}"
    assert all((ROOT / "empirics" / f"{stem}.py").exists() for stem in NO_CONFIG)


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
