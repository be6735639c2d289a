"""The rules of the house: who may import whom, what loads quickly, what never appears in the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "sympy", "scipy", "matplotlib", "sklearn"}


@pytest.mark.parametrize(
    "code, allowed",
    [
        ("import theory, empirics, figures", set()),
        ("import paper_repro\ntry:\n    paper_repro.main(['--help'])\nexcept SystemExit:\n    pass", set()),
        ("import paper_repro; paper_repro.main(['table1'])", set()),
        ("import figures.catalogue, figures.claims, figures.regenerate", {"scipy"}),
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


def test_nothing_tracked_is_large_or_names_a_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.splitlines() or [str(p.relative_to(ROOT)) for package in PACKAGES for p in sources(package)]
    for name in names:
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size < 1_000_000, f"{name} is over 1 MB"
            assert str(ROOT) not in path.read_text(errors="replace"), f"{name} names a folder of this machine"
