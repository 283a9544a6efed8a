"""Alerts and routes for tests, and strategies that draw them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.model_management.alert_routes import AlertRoutes, Route

DAY = date(2026, 11, 20)
NIGHT = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)

# Few labels and values, so that drawn alerts and matchers meet.
NAMES = ("alertname", "system", "dataset", "day")
VALUES = ("a", "b", "c")


def alert(alertname: str = "refused_batch", momentary: bool = False, starts_at: date = DAY, **labels: str) -> Alert:
    """An alert that says its labels."""
    said = " ".join([alertname, *(f"{name}={value}" for name, value in sorted(labels.items()))])
    return Alert(
        labels={"alertname": alertname, **labels},
        annotations={
            "summary_en": said,
            "summary_zh": f"{said}：摘要",
            "description_en": f"What {said} is about.",
            "description_zh": f"{said}：说明。",
        },
        starts_at=starts_at,
        ends_at=starts_at if momentary else None,
    )


def routes(route: dict[str, Any], *receivers: dict[str, Any], **settings: Any) -> AlertRoutes:
    """Routes by the root of the tree; receivers are made for all that are named."""
    named = sorted(_named(route))
    return AlertRoutes.model_validate(
        {"route": route, "receivers": receivers or tuple({"name": name} for name in named), **settings}
    )


def _named(route: dict[str, Any]) -> set[str]:
    below = {name for child in route.get("routes", ()) for name in _named(child)}
    return below | ({route["receiver"]} if "receiver" in route else set())


def label_sets() -> st.SearchStrategy[dict[str, str]]:
    optional = {name: st.sampled_from(VALUES) for name in NAMES[1:]}
    return st.fixed_dictionaries({"alertname": st.sampled_from(VALUES)}, optional=optional)


def matchers() -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, operator, value: f'{name}{operator}"{value}"',
        st.sampled_from(NAMES),
        st.sampled_from(["=", "!=", "=~", "!~"]),
        st.sampled_from([*VALUES, "a|b", "[bc]", "", ".*", ".+"]),
    )


def route_trees() -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a root route whose receivers say where in the tree they stand."""
    group_by = st.lists(st.sampled_from(NAMES), unique=True, max_size=3) | st.just(["..."])
    child = st.fixed_dictionaries(
        {"matchers": st.lists(matchers(), max_size=2), "continue": st.booleans()}, optional={"group_by": group_by}
    )
    node = st.recursive(
        child, lambda below: st.tuples(child, st.lists(below, max_size=3)).map(_with_children), max_leaves=8
    )
    return st.lists(node, max_size=4).map(lambda children: _numbered({"receiver": "r", "routes": children}, "r"))


def _with_children(drawn: tuple[dict[str, Any], list[dict[str, Any]]]) -> dict[str, Any]:
    return drawn[0] | {"routes": drawn[1]}


def _numbered(route: dict[str, Any], name: str) -> dict[str, Any]:
    children = [_numbered(child, f"{name}.{position}") for position, child in enumerate(route.get("routes", ()))]
    return route | {"receiver": name, "routes": children}


def parsed(tree: dict[str, Any]) -> Route:
    return Route.model_validate(tree)
