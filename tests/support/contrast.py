"""Contrast of colours by WCAG 2, and the palettes of a style sheet: its custom properties, light and dark."""

from __future__ import annotations

import re

_DARK = re.compile(r"@media screen and \(prefers-color-scheme:dark\)\{:root\{(.*?)\}", re.DOTALL)


def contrast(one: str, other: str) -> float:
    """How much two colours (``#rrggbb``) differ, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def palettes(style: str) -> dict[str, dict[str, str]]:
    """Colours by name of the palettes light and dark; the dark one names every colour anew."""
    dark = _named(" ".join(_DARK.findall(style)))
    # Those for more contrast replace some of either.
    light = _named(re.sub(r"@media[^{]*prefers-contrast[^\n]*", "", _DARK.sub("", style)))
    return {"light": light, "dark": dark}


def colours_beside(style: str) -> list[str]:
    """Colours of a style sheet on a screen that no palette names."""
    rest = re.sub(r"--[\w-]+:#[0-9a-f]{3,6}|@media print.*", "", style)
    return re.findall(r"#[0-9a-f]{3,6}\b", rest)


def _named(text: str) -> dict[str, str]:
    found = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", text))
    return {
        name: colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:]) for name, colour in found.items()
    }


def _luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
