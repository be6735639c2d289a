"""The paper's claims and ours, and a verdict for each."""
