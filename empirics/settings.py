"""What a setting of a run says about itself, and the checks of a single setting.

`config.RunConfig` has one field for each setting. From the field come the option of `train`, the setting's check, its
part in level 0 and in the run's name.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

from empirics.choices import ConfigError, check_choice
from empirics.names import is_slug

Check = Callable[[str, Any], None]
_IN_EVERY_NAME = object()


def setting(
    default: Any,
    help_text: str,
    check: Check | None = None,
    *,
    option: bool = True,
    level_0: bool | Callable[[Any], bool] = False,
    hashed: bool = True,
    neutral: Any = _IN_EVERY_NAME,
) -> Any:
    """A field of `RunConfig`.

    Args:
        default: the value of a run that does not state the setting.
        help_text: what the setting is, for `--help` and the documentation.
        check: called with the name and the value; raises a `ConfigError`. The type is checked before it.
        option: whether `train` has an option for it; otherwise only arms and sweeps set it.
        level_0: whether it can change the dense run; a function gets the config.
        hashed: whether it can change a result, and so is part of the run's name.
        neutral: the value at which a run is as it was before the setting existed. A run with this value keeps its name.
            Every setting needs one but those of the first version.
    """
    reaches_level_0 = level_0 if callable(level_0) else lambda config: level_0
    facts = {"help": help_text, "check": check, "option": option, "level_0": reaches_level_0, "hashed": hashed}
    return dataclasses.field(default=default, metadata=facts | {"neutral": neutral})


def names_run(field: dataclasses.Field, value: Any) -> bool:
    """Whether a setting with this value is part of a run's name."""
    neutral = field.metadata["neutral"]
    return field.metadata["hashed"] and (neutral is _IN_EVERY_NAME or value != neutral)


def has_neutral_value(field: dataclasses.Field) -> bool:
    """Whether a setting has a value at which it is not part of a run's name."""
    return field.metadata["neutral"] is not _IN_EVERY_NAME


def documentation(config: type) -> str:
    """The settings and their help texts, as the `Args` of a docstring."""
    lines = [f"    {field.name}: {field.metadata['help']}." for field in dataclasses.fields(config)]
    return "\n".join(["Args:", *lines])


def check_each(config: Any) -> None:
    """Check every setting by itself.

    Raises:
        ConfigError: names the setting, the value and what to do.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        _check_type(field.name, value, field.type)
        if field.metadata["check"] is not None:
            field.metadata["check"](field.name, value)


def _check_type(name: str, value: Any, kind: Any) -> None:
    kinds: dict[Any, tuple[type, ...]] = {float: (int, float), tuple[float, ...]: (tuple,), tuple[int, ...]: (tuple,)}
    wanted = kinds.get(kind, (kind,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} must be {getattr(kind, '__name__', kind)}, got {value!r}")


# --- checks -------------------------------------------------------------------------------------------------------


def at_least(least: int, most: int | None = None) -> Check:
    """A whole number from `least` to `most`."""

    def check(name: str, value: int) -> None:
        if value < least:
            raise ConfigError(f"{name} must be {f'at least {least}' if least else '0 or more'}, got {value}")
        if most is not None and value > most:
            raise ConfigError(f"{name} must be at most {most}, got {value}")

    return check


def within(bounds: str, inside: Callable[[float], bool], note: str = "") -> Check:
    """A number for which `inside` is true; `bounds` is the interval as text."""

    def check(name: str, value: float) -> None:
        if not inside(value):
            raise ConfigError(f"{name} must lie in {bounds}{note}, got {value:g}")

    return check


def not_negative(name: str, value: float) -> None:
    """Refuse a number that is negative or not finite."""
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{name} must be finite and not negative, got {value}")


def fraction_removed(name: str, value: float) -> None:
    """Refuse a fraction outside (0, 1); a percentage gets a hint."""
    if not 0 < value < 1:
        hint = f": {value:g} % is written {value / 100:g}" if 1 <= value < 100 else ""
        raise ConfigError(f"{name} must lie in (0, 1), got {value:g}{hint}")


def slug(most: int) -> Check:
    """Lower-case words joined by hyphens, of at most `most` letters."""

    def check(name: str, value: str) -> None:
        if not is_slug(value):
            raise ConfigError(f"{name} must be lower-case words joined by hyphens, got {value!r}")
        if len(value) > most:
            raise ConfigError(f"{name} must have at most {most} letters, got {len(value)}: {value[:20]}...")

    return check


def rising_fractions(name: str, value: tuple[float, ...]) -> None:
    """Refuse anything but fractions of the level that rise within (0, 1)."""
    if not all(isinstance(fraction, (int, float)) for fraction in value):
        raise ConfigError(f"{name} must be numbers, got {value}")
    if any(not 0 < fraction < 1 for fraction in value) or list(value) != sorted(set(value)):
        raise ConfigError(f"{name} must rise within (0, 1): fractions of the level, got {value}")


def rising_epochs(name: str, value: tuple[int, ...]) -> None:
    """Refuse anything but whole numbers that rise."""
    if not all(type(epoch) is int for epoch in value) or list(value) != sorted(set(value)):
        raise ConfigError(f"{name} must be whole numbers that rise, got {value}")


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A check for a name among `known`, which may be a registry that grows."""

    known: Collection[str]

    def __call__(self, name: str, value: str) -> None:
        """Refuse any other name, with the nearest offered."""
        check_choice(value, self.known, name.replace("_", " "))
