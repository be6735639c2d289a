"""The plan of a long study: which arms are trained on which seeds, fixed before the data.

Pure. A study without such a plan trains all its arms on the same seeds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from empirics.choices import ConfigError, check_choice
from empirics.studies.protocols import OURS


@dataclass(frozen=True)
class Tier:
    """Arms that are trained together, before those of the next tier.

    Args:
        name: of the tier; one tier may have arms under several protocols, in an entry each.
        arms: keys of `ARMS`.
        seeds: the seeds that each of them is planned for.
        protocol: key of `protocols.PROTOCOLS`.
    """

    name: str
    arms: Sequence[str]
    seeds: Sequence[int]
    protocol: str = OURS


@dataclass(frozen=True)
class Pilot:
    """Runs that show, before a study, whether its network can be pruned at all.

    The study never uses their seeds.

    Args:
        arms: keys of `ARMS`, the only ones that the pilot trains.
        seeds: its seeds.
        least_dense: test accuracy (a fraction) that the dense network must exceed.
        least_last: that the arm must exceed at the last level.
        least_drop: how far (a fraction) the last level must lie below the dense network, at least.
    """

    arms: Sequence[str] = ("imp",)
    seeds: Sequence[int] = (100, 101)
    least_dense: float = 0.65
    least_last: float = 0.2
    least_drop: float = 0.1


@dataclass(frozen=True)
class Stage:
    """One seed of a tier, which is trained before the next stage begins, and is recorded as a whole.

    Args:
        tier: name of the tier; empty for arms that the plan does not have.
        arms: keys of `ARMS`.
        seed: at least 0.
        number: its place in the order of training; stages of one number have no order.
    """

    tier: str
    arms: tuple[str, ...]
    seed: int
    number: int = 0


@dataclass(frozen=True)
class StudyPlan:
    """The tiers of a study in their order, and its pilot.

    Args:
        tiers: of all protocols.
        pilot: None if there is none.
    """

    tiers: Sequence[Tier]
    pilot: Pilot | None = None

    def arms(self, protocol: str) -> tuple[str, ...]:
        """The arms of a protocol, in the order of the tiers."""
        return tuple(self.seeds(protocol))

    def seeds(self, protocol: str) -> dict[str, tuple[int, ...]]:
        """The planned seeds of each arm of a protocol."""
        return {arm: tuple(tier.seeds) for tier in self.tiers if tier.protocol == protocol for arm in tier.arms}

    def stages(
        self,
        protocol: str,
        arms: Collection[str] = (),
        seeds: Collection[int] = (),
        tiers: Collection[str] = (),
    ) -> list[Stage]:
        """The stages of a protocol in the order of training: tier by tier, seed by seed within a tier.

        Args:
            protocol: key of `protocols.PROTOCOLS`.
            arms, seeds, tiers: restrict the plan; empty: all of it.

        Raises:
            ConfigError: an unknown tier; a seed that no arm is planned for; nothing is left of the plan.
        """
        for name in tiers:
            check_choice(name, {tier.name: None for tier in self.tiers}, "tier")
        if self._is_pilot(seeds):
            return [Stage("pilot", self._of_pilot(arms), seed, number) for number, seed in enumerate(seeds)]
        self._refuse_unplanned(protocol, arms, seeds)
        found = [
            Stage(tier.name, mine, seed)
            for tier in self.tiers
            if tier.protocol == protocol and (not tiers or tier.name in tiers)
            and (mine := tuple(arm for arm in tier.arms if not arms or arm in arms))
            for seed in tier.seeds
            if not seeds or seed in seeds
        ]  # fmt: skip
        if not found:
            raise ConfigError(
                f"these tiers, arms and seeds leave nothing of the plan under protocol {protocol!r}, which is: "
                f"{self.text(protocol)}"
            )
        return [replace(stage, number=number) for number, stage in enumerate(found)]

    def text(self, protocol: str) -> str:
        """The plan of a protocol in words."""
        mine = [tier for tier in self.tiers if tier.protocol == protocol]
        return "; ".join(f"{t.name}, seeds {' '.join(map(str, t.seeds))}: {' '.join(t.arms)}" for t in mine)

    def _is_pilot(self, seeds: Collection[int]) -> bool:
        return self.pilot is not None and bool(seeds) and set(seeds) <= set(self.pilot.seeds)

    def _of_pilot(self, arms: Collection[str]) -> tuple[str, ...]:
        """The arms of the pilot, if no other is asked for."""
        wanted = tuple(arms) or tuple(self.pilot.arms)
        if others := [arm for arm in wanted if arm not in self.pilot.arms]:
            raise ConfigError(
                f"seeds {' '.join(map(str, self.pilot.seeds))} belong to the pilot, which trains "
                f"{' '.join(self.pilot.arms)} alone, got arm {others[0]!r}: use --arms {' '.join(self.pilot.arms)}"
            )
        return wanted

    def _refuse_unplanned(self, protocol: str, arms: Collection[str], seeds: Collection[int]) -> None:
        planned = self.seeds(protocol)
        if others := [arm for arm in arms if arm not in planned]:
            raise ConfigError(
                f"arm {others[0]!r} is not in the plan of this study, which was fixed before its data: "
                f"{self.text(protocol)}"
            )
        known = {seed for arm, own in planned.items() if not arms or arm in arms for seed in own}
        if others := sorted(set(seeds) - known):
            raise ConfigError(
                f"seed {others[0]} is not planned for these arms, and no seed is added to a study whose n was fixed "
                f"before its data: {self.text(protocol)}"
            )
