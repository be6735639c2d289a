"""The proofs: each file derives its theorems' steps from the losses in `symbols`; `theory.theorems` lists them.

To add a theorem: a `Theorem` in a file here, and one line in `theory.theorems.THEOREMS`.
"""
