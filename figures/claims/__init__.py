"""The claims of the paper and of this project, and a verdict for each."""
