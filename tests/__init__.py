"""Tests of the three packages and of the command line; the folders mirror the tree."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
