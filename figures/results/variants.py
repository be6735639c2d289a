"""What one results folder can be drawn as, and the names of the files of each. Pure."""

LAST_EPOCH, BEST_EPOCH = "last", "best"
SELECTED_ON_TEST_SET = (
    "Accuracy is the best of a level's epochs: it is selected on the test set, and so too high by an unknown amount."
)
SELECTED = "best epoch, selected on the test set"  # the same in few words, for the scope of a claim


def file_suffix(*, accuracy: str = LAST_EPOCH) -> str:
    """What the names of a variant's files end in: "" for the usual one, "-best" for the best accuracies.

    `fig3` and this suffix is the name of a picture; so it is for the claims' tables and the report.
    """
    return "".join(f"-{word}" for word in (accuracy,) if word != LAST_EPOCH)


def with_accuracy(command: str, accuracy: str) -> str:
    """A command line that draws, with the option of its accuracy; the last epoch's needs none."""
    return command if accuracy == LAST_EPOCH else f"{command} --accuracy {accuracy}"
