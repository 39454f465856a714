"""Numbers as text."""

from rusty_py.measure.stats import Summary


def rate(value: float) -> str:
    """A rate: thousands separators, decimals below 100, two digits for small ones."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def milliseconds(ns: float) -> str:
    """Milliseconds: one decimal from 100 on, with thousands separators; three digits below 0.1."""
    ms = ns / 1e6
    if ms >= 100:
        return f"{ms:,.1f}"
    return f"{ms:.3f}" if ms >= 0.1 else f"{ms:.3g}" if ms >= 1e-4 else f"{ms:.1e}"


def microseconds(ns: float) -> str:
    """Microseconds: thousands separators and two decimals."""
    return f"{ns / 1e3:,.2f}"


def duration(ns: float) -> str:
    """A time with its unit and three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:,.0f} {unit}"
    return f"{ns / 1e3:.3g} us" if ns < 999.5e3 else "1 ms"


def spread(stats: Summary | None) -> str:
    """The median absolute deviation in percent of the median; "" if there is none."""
    if stats is None or stats.spread is None:
        return ""
    return f"{100 * stats.spread / stats.median:.1f}"


def speedup(ratio: float) -> str:
    """The time of a reference divided by ours, with its direction in words."""
    if 0.995 <= ratio < 1.005:
        return "same"
    factor, word = (ratio, "faster") if ratio > 1 else (1 / ratio, "slower")
    return f"{factor:,.0f}x {word}" if factor >= 100 else f"{factor:.3g}x {word}"


def saved(ratio: float) -> str:
    """How much less time it takes, in percent, where `ratio` is the other time divided by this one."""
    percent = 100 * (1 - 1 / ratio)
    return f"{abs(percent):.1f}% {'less' if percent >= 0 else 'more'}"


def scaled(value: float | None, unit: float) -> float | None:
    """`value` / `unit`; None if `value` is None."""
    return None if value is None else value / unit
