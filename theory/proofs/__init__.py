"""The proofs of the theorems; `theory.theorems` lists them.

Each file derives the steps of its theorems from the losses in `theory.proofs.symbols`.

To add a theorem: a `Theorem` in a file here, and one line in `theory.theorems.THEOREMS`.
"""
