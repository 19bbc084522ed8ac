"""Single outcomes on a page: what was asked, expected, answered, and why it counts what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.reports.fields import labels_of
from dspex.evaluation.reports.markup import Html, tag
from dspex.evaluation.reports.values import against, short, shown
from dspex.evaluation.text import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.evaluation.reports.gathering import Shown

__all__ = ("card", "labelled", "pill")


def card(item: Shown) -> Html:
    """Return one outcome, folded up."""
    outcome = item.outcome
    head = tag(
        "summary",
        tag("span", f"#{outcome.index}", class_="index"),
        pill(outcome),
        tag("span", _gist(item), class_="what"),
        tag("span", duration(outcome.latency_s), class_="right"),
    )
    return tag("details", head, tag("div", *_rows(item), class_="body"))


def pill(outcome: Outcome) -> Html:
    """Return how it ended, in its colour."""
    if outcome.status is Status.SCORED:
        score = outcome.score or 0.0
        colour = "g" if score >= 1 else "b" if score <= 0 else "w"
        return tag("span", f"{score:.3g}", class_=f"pill {colour}")

    colour = "b" if outcome.status is Status.FAILED else "i"
    return tag("span", str(outcome.status), class_=f"pill {colour}")


def labelled(name: str, *content: Html) -> Html:
    """Return content with its name beside it."""
    return tag("div", tag("span", name), tag("div", *content, class_="values"), class_="field")


def _gist(item: Shown) -> str:
    outcome, example = item.outcome, item.example
    if outcome.failure is not None:
        return short(str(outcome.failure))

    if example is not None and example.input_names:
        return short(" · ".join(short(value, 90) for value in example.inputs().values()))

    return short(" · ".join(short(value, 60) for value in (outcome.prediction or {}).values()))


def _rows(item: Shown) -> Iterator[Html]:
    outcome, example = item.outcome, item.example
    expected = {} if example is None else labels_of(example)
    if example is not None and example.input_names:
        for name, value in example.inputs().items():
            yield labelled(name, shown(value))

    predicted = dict(outcome.prediction or {})
    for name, value in expected.items():
        if name in predicted:
            wanted, given = against(value, predicted.pop(name))
            yield labelled(name, _named("expected", wanted), _named("predicted", given))
        else:
            yield labelled(name, _named("expected", shown(value)))

    for name, value in predicted.items():
        yield labelled(name, _named("predicted", shown(value)))

    yield from _circumstances(outcome)


def _circumstances(outcome: Outcome) -> Iterator[Html]:
    if (failure := outcome.failure) is not None:
        where = () if failure.where is None else (tag("code", failure.where),)
        yield labelled(f"error of the {failure.stage}", shown(str(failure), bad=True), *where)

    if outcome.feedback:
        yield labelled("feedback", shown(outcome.feedback))

    for epoch in outcome.epochs:
        told = f"score {epoch.score:.3g}" if epoch.score is not None else str(epoch.failure)
        yield labelled(f"epoch {epoch.epoch}", shown(f"{epoch.status}: {told}"))

    usage = outcome.usage
    facts = [count(usage.calls, "call"), count(usage.total_tokens, "token")] if usage.calls else []
    facts += [f"run again {count(outcome.retry, 'time')}"] if outcome.retry else []
    facts += [outcome.correlation_id] if outcome.correlation_id else []
    if facts:
        yield labelled("run", tag("span", " · ".join(facts), class_="mono"))


def _named(name: str, content: Html) -> Html:
    return tag("div", tag("span", name, class_="label"), content)
