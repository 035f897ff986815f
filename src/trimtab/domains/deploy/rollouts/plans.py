"""The plan of a rollout: its strategy, steps and bake time, when it is over, and what its judge is to hold it to."""

from typing import Any, Literal, get_args

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.time import SECOND_US

Strategy = Literal["canary", "linear", "blue-green", "shadow", "ab", "bandit"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
Finish = Literal["judge", "time", "person"]

COPIED: tuple[Strategy, ...] = ("blue-green", "shadow")
"""Strategies under which the version that does not answer sees copies of the requests."""

COMPARED: tuple[Strategy, ...] = ("ab", "bandit")
"""Strategies that ask which version is better, and not only whether the challenger does harm."""

_MOST_STEPS = 50
_SHORTEST_BANDIT_US = SECOND_US


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a challenger gets its share.

    ``steps`` are shares of the requests in percent, each held for ``bake_us`` at the least: growing ones for a canary;
    for "linear" the size of one equal step; for "ab" and "bandit" the (first) split; for "shadow" and "blue-green" the
    copies that the version beside the answering one sees. Empty takes the strategy's own (`settled`). A step also waits
    until the challenger has answered ``min_requests`` in it.

    ``finish``: after the last step the "judge" must find the challenger inside every margin, or "time" alone is enough
    as long as no harm was found, or a "person" promotes it; null takes time for blue-green and the judge for the rest. ``floor``: the least share of either version under a
    bandit. ``reward`` "label" has labels in 0..1 count as what was gained, "loss" measures the predictions by them.
    ``patience_us``: go back to the champion when nothing is decided by then. ``environment``: the alias that follows a
    promotion; its rules hold, and say whether somebody else has to approve the rollout (``approval`` asks in any case).
    """

    strategy: Strategy = "canary"
    steps: tuple[float, ...] = ()
    bake_us: int = 600 * SECOND_US
    min_requests: int = 20
    finish: Finish | None = None
    floor: float = 5.0
    reward: Literal["loss", "label"] = "loss"
    patience_us: int | None = None
    approval: bool = False
    environment: str = "champion"

    def settled(self) -> "Plan":
        """Return the plan with its steps written out; raises Invalid for one that could not be followed."""
        if self.strategy not in STRATEGIES:
            hint = did_you_mean(self.strategy, STRATEGIES)
            raise Invalid(f"Unknown strategy ({', '.join(STRATEGIES)}).{hint}", field="strategy")
        if self.bake_us < 0 or self.min_requests < 0:
            raise Invalid("bake_us and min_requests are not negative.", field="bake_us")
        if self.patience_us is not None and self.patience_us <= 0:
            raise Invalid("patience_us is positive.", field="patience_us")
        if not 0 < self.floor <= 50:
            raise Invalid("floor is a share above 0 and at most 50 percent.", field="floor")
        steps = _written_out(self.strategy, self.steps or _STEPS[self.strategy])
        if self.strategy == "bandit" and self.bake_us < _SHORTEST_BANDIT_US:
            raise Invalid("A bandit keeps each split for a second at the least.", field="bake_us")
        finish = self.finish or ("time" if self.strategy == "blue-green" else "judge")
        return msgspec.structs.replace(self, steps=tuple(float(step) for step in steps), finish=finish)


def _written_out(strategy: Strategy, steps: tuple[float, ...]) -> tuple[float, ...]:
    if any(not _is_share(strategy, step) for step in steps):
        raise Invalid("Each step is a share between 0 and 100 percent.", field="steps")
    if strategy == "canary":
        if list(steps) != sorted(set(steps)) or len(steps) > _MOST_STEPS:
            raise Invalid(f"The steps of a canary grow, and are {_MOST_STEPS} at the most.", field="steps")
        return steps
    if len(steps) != 1:
        raise Invalid(f"{strategy} takes one share, such as 20.", field="steps")
    if strategy != "linear":
        return steps
    if 100 / steps[0] > _MOST_STEPS:
        raise Invalid(f"A rollout has {_MOST_STEPS} steps at the most.", field="steps")
    return tuple(steps[0] * at for at in range(1, _MOST_STEPS + 1) if steps[0] * at < 100 - 1e-9)


def _is_share(strategy: Strategy, step: float) -> bool:
    return 0 <= step <= 100 if strategy in COPIED else 0 < step < 100


_STEPS: dict[Strategy, tuple[float, ...]] = {
    "canary": (5.0, 25.0, 50.0),
    "linear": (20.0,),
    "blue-green": (20.0,),
    "shadow": (100.0,),
    "ab": (50.0,),
    "bandit": (50.0,),
}


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What counts as harm and as harmless for one kind of evidence; what is left out keeps the judge's default."""

    harm: float | msgspec.UnsetType = msgspec.UNSET
    margin: float | msgspec.UnsetType = msgspec.UNSET
    required: bool | msgspec.UnsetType = msgspec.UNSET
    weight: float | msgspec.UnsetType = msgspec.UNSET


class JudgeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of the judge's policy, by the names of `science.sequential.judge.Policy`, which needs numpy to load.

    A kind of evidence that is null is not judged. ``goal`` "better" promotes only what is shown to be better on
    ``target``; "harmless" what is shown to be inside each margin.
    """

    alpha: float | msgspec.UnsetType = msgspec.UNSET
    min_rows: int | msgspec.UnsetType = msgspec.UNSET
    latency_quantile: float | msgspec.UnsetType = msgspec.UNSET
    expected_error_rate: float | msgspec.UnsetType = msgspec.UNSET
    expected_loss: float | msgspec.UnsetType = msgspec.UNSET
    goal: Literal["harmless", "better"] | msgspec.UnsetType = msgspec.UNSET
    target: Literal["errors", "quality"] | msgspec.UnsetType = msgspec.UNSET
    errors: Limit | msgspec.UnsetType | None = msgspec.UNSET
    latency: Limit | msgspec.UnsetType | None = msgspec.UNSET
    predictions: Limit | msgspec.UnsetType | None = msgspec.UNSET
    prediction_mean: Limit | msgspec.UnsetType | None = msgspec.UNSET
    quality: Limit | msgspec.UnsetType | None = msgspec.UNSET


def judge_rules(given: dict[str, Any], strategy: Strategy) -> dict[str, Any]:
    """Return the judge's rules for a strategy as they are stored; raises Invalid naming the field."""
    try:
        rules = msgspec.convert(given, JudgeRules)
    except msgspec.ValidationError as error:
        raise Invalid(f"The judge's policy: {error}", field="judge") from error
    if isinstance(rules.alpha, float) and not 0 < rules.alpha < 0.5:
        raise Invalid("alpha lies between 0 and 0.5.", field="judge.alpha")
    if isinstance(rules.latency_quantile, float) and not 0.5 <= rules.latency_quantile < 1:
        raise Invalid("latency_quantile lies between 0.5 and 1.", field="judge.latency_quantile")
    for name in ("errors", "latency", "predictions", "prediction_mean", "quality"):
        limit = getattr(rules, name)
        if not isinstance(limit, Limit):
            continue
        for field in ("harm", "margin", "weight"):
            value = getattr(limit, field)
            if isinstance(value, float) and not 0 <= value < 1000:
                raise Invalid(f"{name}.{field} is a number from 0.", field=f"judge.{name}")
    stored: dict[str, Any] = msgspec.to_builtins(rules)
    if strategy in COMPARED:
        stored.setdefault("goal", "better")
        # A version that is worth comparing predicts otherwise: that is shown, and no reason to go back.
        for name in ("predictions", "prediction_mean"):
            stored.setdefault(name, {"weight": 0.0, "required": False})
    goal, target = stored.get("goal", "harmless"), stored.get("target", "quality")
    if goal == "better" and stored.get(target, {}) is None:
        raise Invalid(
            f"The versions are compared by their {target}, which is not judged.", field="judge.target"
        )
    return stored
