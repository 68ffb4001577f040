"""The verbs of Python, each named like the command that does the same.

Each takes the options of the command of the same name as keywords, and gives back what the command prints as
JSON. It prints nothing, tells `on_progress` how far it is, and raises a MedganError that says what is wrong
and what to do next. Their signatures are written out in `public.pyi`, which `docs/generate.py` makes of them,
for editors and type checkers.
"""

from __future__ import annotations

import functools
import inspect as signatures
from collections.abc import Callable
from typing import Any

from medgan.api import verbs
from medgan.api.keywords import option_of, refuse_strange, spread
from medgan.base import results


def publish(verb: Callable[..., Any], *kinds: type[Any]) -> Callable[..., Any]:
    """Return a verb that takes options as keywords and gives the first of `kinds`; a dry run, the last."""
    takes = spread(verb)
    signature = signatures.signature(takes)

    @functools.wraps(verb)
    def public(*arguments: Any, **values: Any) -> Any:
        given = signature.bind(*arguments, **values).arguments
        for name, value in given.items():
            refuse_strange(signature.parameters[name], value)
        return takes(*arguments, **values)

    told = [one.replace(annotation=option_of(one.annotation)[0]) for one in signature.parameters.values()]
    shown = signatures.Signature(told, return_annotation=kinds[0])
    public.__signature__ = shown  # type: ignore[attr-defined]
    public.__annotations__ = {one.name: one.annotation for one in told} | {"return": kinds[0]}
    public.__module__, public.kinds = "medgan", kinds  # type: ignore[attr-defined]
    public.__doc__ = describe(str(verb.__doc__), signature)
    return public


def describe(words: str, signature: signatures.Signature) -> str:
    """The docstring of a verb: its words, then those of every option."""
    lines = [signatures.cleandoc(words), "", "Args:"]
    for name, parameter in signature.parameters.items():
        told = getattr(
            option_of(parameter.annotation)[1], "help", "Called with a `Progress` as the work goes on."
        )
        lines.append(f"    {name}: {told}")
    return "\n".join(lines)


inspect = publish(verbs.inspect, results.InspectResult)
train = publish(verbs.train, results.TrainResult)
anomaly = publish(verbs.anomaly, results.AnomalyResult)
sample = publish(verbs.sample, results.WriteResult)
balance = publish(verbs.balance, results.WriteResult, results.BalanceForecast)
evaluate = publish(verbs.evaluate, results.EvaluateResult)
prepare = publish(verbs.prepare, results.WriteResult)
report = publish(verbs.report, results.ReportResult)
