"""The text of a module that changes only with its code. Pure; `figures` has the same function."""

import ast


def without_comments(source: str) -> str:
    """The code of a Python source in one layout, without comments and docstrings.

    Two sources that differ in nothing else give the same text.

    Raises:
        SyntaxError: it is not Python.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
