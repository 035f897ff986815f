"""What the serving benchmark found, as tables: the servers beside each other, what was promised of ours, what parts cost."""

import msgspec
from rich.console import Console
from rich.table import Table

from serving import models, ours
from serving.load import Load

# What is promised for ours: requests/s and p99 ms of one row over 64 connections, and how many times the best
# peer's rows/s it is by JSON and by binary forms.
TARGETS: dict[str, dict[str, float]] = {
    "logistic": {"requests_per_s": 15_000, "p99_ms": 8, "rows_json": 3, "rows_binary": 10},
    "xgboost": {"requests_per_s": 12_000, "p99_ms": 10, "rows_json": 3, "rows_binary": 10},
    "forest": {"requests_per_s": 8_000, "p99_ms": 15, "rows_json": 2, "rows_binary": 10},
    "python": {"requests_per_s": 3_000},
}
P50_OF_ONE_MS, START_S, MEMORY_MB = 0.3, 0.8, 110.0
MANY = 1000
"""Rows of a large request."""
BINARY = ("binary", "arrow")
console = Console(width=150)


class Found(msgspec.Struct):
    """What one server did with one model; ``problem`` says why there is nothing."""

    who: str
    title: str
    kind: str
    limit: bool = False
    start_s: float = 0.0
    memory_mb: float = 0.0
    beside_mb: float = 0.0
    worst: float = 0.0
    full: Load | None = None
    single: Load | None = None
    many: dict[str, Load] = {}
    note: str = ""
    problem: str = ""


def show(kind: str, found: list[Found], limits: dict[str, dict[int, Load]]) -> None:
    """Print one model's table, what became of the promises, and which share of the limits is reached."""
    table = Table(
        title=f"{models.TITLES[kind]}: one row a request at 64 connections and at 1; {MANY:,} rows at 4"
    )
    for name in (
        "",
        "req/s",
        "p50 ms",
        "p99 ms",
        "CPU us",
        "1: p50 ms",
        "p99 ms",
        "rows/s",
        "MB",
        "start s",
        "off by",
    ):
        table.add_column(name, justify="left" if not name else "right")
    table.add_column("others")
    for one in found:
        if one.full is None or one.single is None:
            table.add_row(one.title, *[""] * 10, one.problem.partition(":\n")[0][:40])
            continue
        table.add_row(
            f"{one.title}{f' ({one.note})' if one.note else ''}",
            *load_cells(one.full),
            f"{one.full.cpu_us:,.0f}",
            f"{one.single.p50_ms:.2f}",
            f"{one.single.p99_ms:.2f}",
            "\n".join(f"{load.rows_per_s:,.0f} {name}" for name, load in one.many.items()),
            f"{one.memory_mb:,.0f}" + (f" + {one.beside_mb:,.0f}" if one.beside_mb else ""),
            f"{one.start_s:.2f}",
            f"{one.worst:.0e}",
            f"{one.full.others:.0%}",
        )
    for title, load in limits.items():
        full, single = load[64], load[1]
        table.add_row(
            f"{title} (limit)",
            *load_cells(full),
            f"{full.cpu_us:,.0f}",
            f"{single.p50_ms:.2f}",
            f"{single.p99_ms:.2f}",
            *[""] * 4,
            f"{full.others:.0%}",
        )
    console.print(table)
    failed = {one.title: one.full.failed for one in found if one.full and one.full.failed}
    if failed:
        console.print(f"[red]requests that failed: {failed}")
    _verdict(kind, found, limits)


def _verdict(kind: str, found: list[Found], limits: dict[str, dict[int, Load]]) -> None:
    us = next((one for one in found if one.who == "ours" and one.full), None)
    if us is None or us.full is None or us.single is None:
        return
    rivals = [
        one for one in found if one.who != "ours" and not one.limit and one.full and "fastapi" not in one.who
    ]
    table = Table("", "ours", "best peer", "times", "target", "", title=f"{models.TITLES[kind]}: promises")
    goal = TARGETS[kind]
    best = max(rivals, key=lambda one: one.full.requests_per_s, default=None)
    _line(
        table,
        "req/s, 64 connections",
        us.full.requests_per_s,
        (best.full.requests_per_s, best.title) if best else None,
        goal["requests_per_s"],
    )
    if "p99_ms" in goal:
        against = (best.full.p99_ms, best.title) if best else None
        _line(table, "p99 ms, 64 connections", us.full.p99_ms, against, goal["p99_ms"], least=False)
    quickest = min(rivals, key=lambda one: one.single.p50_ms, default=None)
    against = (quickest.single.p50_ms, quickest.title) if quickest else None
    _line(table, "p50 ms, 1 connection", us.single.p50_ms, against, P50_OF_ONE_MS, least=False)
    widest = max(rivals, key=lambda one: one.many["JSON"].rows_per_s, default=None)
    against = (widest.many["JSON"].rows_per_s, widest.title) if widest else None
    for name, load in us.many.items():
        factor = goal.get("rows_binary" if name in BINARY else "rows_json")
        wanted = factor * against[0] if factor and against else None
        _line(table, f"rows/s, {name}", load.rows_per_s, against, wanted)
    soonest = min(rivals, key=lambda one: one.start_s, default=None)
    _line(
        table,
        "start s",
        us.start_s,
        (soonest.start_s, soonest.title) if soonest else None,
        START_S,
        least=False,
    )
    smallest = min(rivals, key=lambda one: one.memory_mb, default=None)
    against = (smallest.memory_mb, smallest.title) if smallest else None
    _line(table, "MB", us.memory_mb, against, MEMORY_MB, least=False)
    console.print(table)
    shares = [
        f"{us.full.requests_per_s / load[64].requests_per_s:.0%} of the requests of {title}"
        f" (at {us.full.cpu_us / max(load[64].cpu_us, 1e-9):.1f} times the processor time)"
        for title, load in limits.items()
    ]
    for one in found:
        if one.limit and one.full:
            of_requests = us.full.requests_per_s / one.full.requests_per_s
            of_rows = us.many["JSON"].rows_per_s / one.many["JSON"].rows_per_s
            shares.append(f"{of_requests:.0%} of the requests and {of_rows:.0%} of the rows of {one.title}")
    console.print(f"{models.TITLES[kind]}: ours reaches {'; '.join(shares)}\n")


def _line(
    table: Table,
    name: str,
    us: float,
    best: tuple[float, str] | None,
    goal: float | None,
    *,
    least: bool = True,
) -> None:
    """Add a promise: at ``least`` the goal, or else at most."""
    digits = 0 if us >= 100 else 2
    high, low = (us, best[0] if best else 0.0) if least else (best[0] if best else 0.0, us)
    times = "" if best is None else f"{high / low:.1f}" if low else "inf"
    kept = "" if goal is None else "kept" if (us >= goal if least else us <= goal) else "[red]not yet"
    sign = "at least" if least else "at most"
    table.add_row(
        name,
        f"{us:,.{digits}f}",
        f"{best[0]:,.{digits}f} {best[1]}" if best else "",
        times,
        f"{sign} {goal:,.{0 if goal >= 100 else 2}f}" if goal is not None else "",
        kept,
    )


def show_costs(kind: str, found: dict[str, Load]) -> None:
    """Print what each part costs the processes that answer: the processor time of a request, less that without it."""
    if "nothing" not in found:
        return
    table = Table(title=f"{models.TITLES[kind]}: what a request costs, us of processor time (64 connections)")
    columns = ("switched off", "req/s", "p50 ms", "p99 ms", *ours.SERVED, "both", "costs", "beside", "others")
    for name in columns:
        table.add_column(name, justify="left" if name == "switched off" else "right")
    whole = _path_us(found["nothing"])
    for name, load in found.items():
        path = _path_us(load)
        table.add_row(
            name,
            *load_cells(load),
            *(f"{load.cpu_of.get(role, 0.0):,.1f}" for role in ours.SERVED),
            f"{path:,.1f}",
            "" if name == "nothing" else f"{whole - path:,.1f}",
            f"{load.cpu_us - path:,.1f}",
            f"{load.others:.0%}",
        )
    console.print(table)
    console.print(
        "beside: the server and its workers, which take the prediction log in meanwhile, as far as they get\n"
    )


def show_costs_of_many(kind: str, found: dict[str, dict[str, Load]]) -> None:
    """Print how many rows a second there are with each part switched off, many of them in a request."""
    titles = list(found.get("nothing", {}))
    table = Table(title=f"{models.TITLES[kind]}: {MANY:,} rows a request, rows/s (4 connections)")
    table.add_column("switched off")
    for title in titles:
        table.add_column(title, justify="right")
    for name, loads in found.items():
        table.add_row(name, *(f"{loads[title].requests_per_s * MANY:,.0f}" for title in titles))
    console.print(table)


def _path_us(load: Load) -> float:
    return sum(load.cpu_of.get(role, 0.0) for role in ours.SERVED)


def load_cells(load: Load) -> tuple[str, str, str]:
    return f"{load.requests_per_s:,.0f}", f"{load.p50_ms:.2f}", f"{load.p99_ms:.2f}"
