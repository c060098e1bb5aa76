"""The report: tables of absolute numbers and of ratios, the targets, the machine.

In: samples. Out: text. Nothing is left out because it looks bad.
"""

from collections.abc import Sequence
from typing import Any

from tests.bench.sums import Compared, Target, compare, percentile

_ROLES = ("envoy", "processor", "analytics")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table with columns as wide as they must be: the first to the left, the others to the right.

    Shape: numbers below 10 with two decimals, below 100 with one, others whole; None is a dash.
    """
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = [
        "  ".join(text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(line))
        for line in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return "\n".join(
        [lines[0].rstrip(), "  ".join("─" * width for width in widths), *(line.rstrip() for line in lines[1:])]
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def latency_tables(samples: Sequence[Any]) -> str:
    """Return throughput, latency and CPU of every cell."""
    cells = sorted({(sample.size_kb, sample.connections) for sample in samples})
    chosen = {cell: [s for s in samples if (s.size_kb, s.connections) == cell] for cell in cells}
    names = {cell: f"{cell[0]} KB, {cell[1]} conn." for cell in cells}
    rates = [[names[cell], *_rates(compare(some, lambda s: s.rps))] for cell, some in chosen.items()]
    parts = ["Requests per second", table(("", "a", "b", "c", "c/b"), rates)]
    for title, number in (("Median latency, ms", "p50_us"), ("99th percentile, ms", "p99_us")):
        rows = [
            [names[cell], *_times(compare(some, lambda s, n=number: getattr(s, n) / 1000))]
            for cell, some in chosen.items()
        ]
        parts += [title, table(("", "a", "b", "c", "c-a", "c-b"), rows)]
    rows = [[names[cell], *_cpu(some)] for cell, some in chosen.items()]
    heads = ("", "Envoy a", "Envoy b", "Envoy c", "null b", "workers c", "c-b", "analytics c", "records behind, s")
    parts += ["CPU per request, µs (user and system)", table(heads, rows)]
    parts += _failures(chosen, names)
    return "\n\n".join(parts)


def _failures(chosen: dict[tuple[int, int], list[Any]], names: dict[tuple[int, int], str]) -> list[str]:
    """Return a table of the cells in which requests failed, in per cent, when there are any."""
    rows: list[list[object]] = []
    for cell, some in chosen.items():
        found = compare(some, lambda sample: sample.failed * 100)
        if any((found.a, found.b, found.c)):
            rows.append([names[cell], found.a, found.b, found.c])
    return ["FAILED requests, % (not counted as answered)", table(("", "a", "b", "c"), rows)] if rows else []


def _rates(found: Compared) -> list[float | None]:
    return [found.a, found.b, found.c, found.c_over_b]


def _times(found: Compared) -> list[float | None]:
    return [found.a, found.b, found.c, found.c_minus_a, found.c_minus_b]


def _cpu(samples: Sequence[Any]) -> list[float | None]:
    envoy, processor, analytics = (compare(samples, lambda s, r=role: s.cpu_us.get(r)) for role in _ROLES)
    behind = compare(samples, lambda s: s.settle_s).c
    return [envoy.a, envoy.b, envoy.c, processor.b, processor.c, processor.c_minus_b, analytics.c, behind]


def stream_table(samples: Sequence[Any]) -> str:
    """Return what streams cost. Times to the first event are pooled over rounds; the rest are medians."""
    firsts = {name: [us / 1000 for s in samples if s.contender == name for us in s.first_us] for name in "abc"}
    rows: list[list[object]] = []
    for percent in (50, 99):
        found = {name: percentile(values, percent) for name, values in firsts.items()}
        row = [found["a"], found["b"], found["c"], found["c"] - found["a"], found["c"] - found["b"]]
        rows.append([f"time to first event p{percent}, ms", *row])
    numbers = (
        ("an event's way through p50, ms", lambda s: s.delay_p50_us / 1000),
        ("an event's way through p99, ms", lambda s: s.delay_p99_us / 1000),
        ("whole answer p50, ms", lambda s: s.total_us / 1000),
        ("processor's CPU per chunk, µs", lambda s: s.cpu_us.get("processor")),
        ("Envoy's CPU per chunk, µs", lambda s: s.cpu_us.get("envoy")),
        ("analytics' CPU per chunk, µs", lambda s: s.cpu_us.get("analytics")),
    )
    rows += [[name, *_times(compare(samples, number))] for name, number in numbers]
    title = f"Streams: {samples[0].streams} at once, {samples[0].chunks} chunks each (CPU with the exchange's own start and end)"
    return f"{title}\n\n" + table(("", "a", "b", "c", "c-a", "c-b"), rows)


def record_table(costs: Any) -> str:
    """Return what a record and a body cost in process."""
    rows: list[list[object]] = [[name, us] for name, us in costs.steps_us.items()]
    rows.append(["all of it", sum(costs.steps_us.values())])
    first = table((f"A record ({costs.record_bytes} bytes), in process", "µs"), rows)
    sizes = [
        [f"{size} KB", us, costs.exchange_us[size], us / size if size else None]
        for size, us in costs.pipeline_us.items()
    ]
    heads = ("A body, in process", "pipeline µs", "exchange without record µs", "pipeline µs per KB")
    return f"{first}\n\n{table(heads, sizes)}"


def target_lines(found: Sequence[Target]) -> str:
    """Return the targets, met or missed."""
    return "Targets\n\n" + "\n".join(target.line() for target in found)


def machine_lines(facts: dict[str, Any]) -> str:
    """Return what this was measured on, with a warning when somebody else was at work."""
    lines = [
        f"{facts['cores']} cores ({facts['cpu']}), Linux {facts['kernel']}, Python {facts['python']}, commit {facts['commit']}",
        f"{facts['workers']} workers, as many Envoy threads; wrk, provider and all three gateways share these cores",
        f"load average before the run {facts['load_before']:.2f}",
    ]
    if facts["busy"]:
        lines.append(
            "WARNING: this machine was busy before the run; trust ratios and CPU per request, not rates and times"
        )
    return "\n".join(lines)
