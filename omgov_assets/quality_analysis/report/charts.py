"""Charts as inline SVG, drawn by Vega-Lite: what the tables below them say, at a glance.

Does not belong here: choosing what is charted. Charts hold no figure that the table below does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import vl_convert
from markupsafe import Markup

from omgov_assets.quality_analysis.report.languages import Language

VEGA_LITE = "5.20"
_FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'
STANDING, NEW, RESOLVED = "#7d8ba3", "#b3261e", "#1c6b3c"
_LINES = ("#1f4e8c", "#b3261e", "#1c6b3c", "#7a4d00", "#5b2a86", "#00696f", "#8a3d6b", "#4d5b16")


def anomalies_chart(rows: Sequence[dict[str, Any]], language: Language) -> Markup:
    """Anomalies by day, standing and new, with a line of those resolved.

    Args:
        rows: of the firm by day, with day, backlog, new_anomalies, resolved_anomalies.
        language: of the legend.
    """
    standing, new, resolved = (language.text(word) for word in ("standing", "new", "resolved"))
    bars = [
        {"day": row["day"].isoformat(), "kind": kind, "anomalies": row[name], "place": place}
        for row in rows
        for place, (kind, name) in enumerate(((standing, "backlog"), (new, "new_anomalies")))
    ]
    line = [{"day": row["day"].isoformat(), "kind": resolved, "anomalies": row["resolved_anomalies"]} for row in rows]
    colours = {"domain": [standing, new, resolved], "range": [STANDING, NEW, RESOLVED]}
    colour = {"field": "kind", "type": "nominal", "scale": colours, "title": None}
    height = {"field": "anomalies", "type": "quantitative", "title": None, "axis": {"format": "~s", "tickCount": 5}}
    return _svg(
        {
            "layer": [
                {
                    "data": {"values": bars},
                    "mark": {"type": "bar", "width": {"band": 0.75}},
                    "encoding": {"x": _DAYS, "y": height, "color": colour, "order": {"field": "place"}},
                },
                {
                    "data": {"values": line},
                    "mark": {"type": "line", "point": True, "strokeWidth": 2},
                    "encoding": {"x": _DAYS, "y": height, "color": colour},
                },
            ]
        },
        language.text("Anomalies by day"),
    )


def scores_chart(rows: Sequence[dict[str, Any]], language: Language) -> Markup:
    """Overall score by day, a line for each subject.

    Args:
        rows: with day, subject_key, score; rows without a score leave a gap.
        language: of the title.
    """
    values = [
        {"day": row["day"].isoformat(), "system": row["subject_key"], "score": row["score"]}
        for row in rows
        if row["score"] is not None
    ]
    encoding = {
        "x": _DAYS,
        "y": {
            "field": "score",
            "type": "quantitative",
            "title": None,
            "scale": {"zero": False},
            "axis": {"tickCount": 5},
        },
        "color": {"field": "system", "type": "nominal", "title": None, "scale": {"range": list(_LINES)}},
        "strokeDash": {"field": "system", "type": "nominal", "title": None},
    }
    mark = {"type": "line", "point": True, "strokeWidth": 2}
    return _svg(
        {"data": {"values": values}, "mark": mark, "encoding": encoding},
        language.text("Overall score by business system"),
    )


_DAYS = {"field": "day", "type": "ordinal", "title": None, "axis": {"labelAngle": -45, "labelOverlap": True}}


def _svg(chart: dict[str, Any], title: str) -> Markup:
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 520,
        "height": 190,
        "background": None,
        "config": {
            "font": _FONT,
            "axis": {"labelColor": "#454c5a", "gridColor": "#dde1e8", "domainColor": "#9aa3b2", "tickColor": "#9aa3b2"},
            "view": {"stroke": None},
            "legend": {
                "orient": "top",
                "labelColor": "#1b1f27",
                "symbolStrokeWidth": 2,
                "labelLimit": 240,
                "columns": 3,
            },
        },
    } | chart
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    size = re.match(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', drawn)
    if size is None:
        raise ValueError("the chart library drew no SVG")
    # Fits the page's width instead of its own; the table below carries the numbers for those who cannot see it.
    box, name = size.group(1), Markup.escape(title)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-label="{name}">'
    return Markup(head + drawn[size.end() :])  # noqa: S704 - drawn by the library, which escapes what it is given
