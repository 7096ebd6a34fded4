"""Tables, as Markdown that reads as plain text too, and the page made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .engines import COMPILED, JITTED, OURS, REFERENCE


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns aligned."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def text(line: Sequence[str]) -> str:
        cells = [cell.rjust(w) for cell, w in zip(line, widths, strict=True)]
        return "| " + " | ".join([line[0].ljust(widths[0]), *cells[1:]]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([text(lines[0]), rule, *[text(line) for line in lines[1:]]])


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{digits(seconds * factor)} {unit}"
    raise AssertionError


def digits(x: float) -> str:
    """Enough digits to compare by."""
    return f"{x:.0f}" if x >= 20 else f"{x:.1f}" if x >= 5 else f"{x:.2f}"


def ratio(row: dict[str, Any], bold: bool = False) -> str:
    """The median ratio, with the middle half of the rounds."""
    if "ratio" not in row:
        return "no" if row.get("lacks") else "fails" if "failed" in row else "–"
    r = row["ratio"]
    middle = f"**{digits(r['median'])}**" if bold else digits(r["median"])
    return f"{middle} ({digits(r['low'])}–{digits(r['high'])})"


def one_workload(i: str, result: dict[str, Any], titles: dict[str, str]) -> str:
    """One workload, as it is shown while the benchmarks run."""
    rows = []
    for name, row in result["engines"].items():
        if "ratio" in row:
            rows.append([titles.get(name, name), duration(row["seconds"]["median"]), ratio(row), f"{row['error']:.0e}",
                         f"{row['megabytes']:.1f}" if "megabytes" in row else "–"])
        elif "failed" in row:
            rows.append([f"{titles.get(name, name)} -- {row['failed']}", "", "", "", ""])
    goals = [f"{kind} {result[key]:g}" for kind, key in (("eager", "goal"), ("compiled", "compiled_goal")) if result.get(key)]
    said = f" (goals: {', '.join(goals)})" if goals else ""
    return f"\n{i}  {result['title']}{said}\n\n" + table(["", "step", "ratio", "error", "MB"], rows)


def workloads(results: dict[str, Any], titles: dict[str, str]) -> str:
    """All workloads: a row each, the ratios of the engines side by side, and this one's beside its goals."""
    names = _names(results)
    peers = [n for n in names if n not in (REFERENCE, OURS, COMPILED)]
    mine = [(n, key) for n, key in ((OURS, "goal"), (COMPILED, "compiled_goal")) if n in names]
    with_goals = any(r.get(key) for r in results.values() for _, key in mine)
    rows = []
    for i, result in results.items():
        by = result["engines"]
        cells = []
        for n, key in mine:
            cells.append(ratio(by.get(n, {}), True))
            if with_goals:
                cells.append(f"{result[key]:g}" if result.get(key) else "–")
        rows.append([f"{i} {result['title']}", duration(by[REFERENCE]["seconds"]["median"]), *cells,
                     *[ratio(by.get(n, {})) for n in peers]])
    head = [text for n, _ in mine for text in ([titles.get(n, n), "goal"] if with_goals else [titles.get(n, n)])]
    return table(["", "NumPy by hand", *head, *[titles.get(n, n) for n in peers]], rows)


def speed(results: dict[str, Any], titles: dict[str, str]) -> str:
    """A short table: by hand, this engine in both modes, and the fastest of the others."""
    rows = []
    for result in results.values():
        by = result["engines"]
        peers = {n: row["ratio"]["median"] for n, row in by.items()
                 if n not in (REFERENCE, OURS, COMPILED) and "ratio" in row}
        best = min(peers, key=peers.__getitem__) if peers else None
        mine = [digits(by[n]["ratio"]["median"]) if "ratio" in by.get(n, {}) else "–" for n in (OURS, COMPILED)]
        rows.append([f"{result['title']}", duration(by[REFERENCE]["seconds"]["median"]), mine[0], f"**{mine[1]}**",
                     f"{digits(peers[best])} {titles.get(best, best).partition(',')[0]}" if best else "–"])
    return table(["", "NumPy by hand", "eager", "`jit`", "fastest other"], rows)


def allocation(results: dict[str, Any], titles: dict[str, str]) -> str:
    """MB of arrays at most in steps, and of the objects of a compiled one."""
    names = list(next(iter(results.values()))["engines"]) if results else []

    def cell(row: dict[str, Any], what: str = "megabytes") -> str:
        return digits(row[what]) if what in row else "no" if row.get("lacks") else "fails"

    rows = [[f"{i} {r['title']}", *[cell(r["engines"][n]) for n in names],
             *[cell(r["engines"][n], "objects") for n in names if n == COMPILED]] for i, r in results.items()]
    heads = [*[titles.get(n, n) for n in names], *[f"{titles.get(n, n)}: its code and record" for n in names if n == COMPILED]]
    return table(["MB", *heads], rows) if rows else ""


def compiling(results: dict[str, Any]) -> str:
    """What a first call costs."""
    rows = []
    for i, r in results.items():
        if "failed" in r:
            rows.append([f"{i} {r['title']}", "fails", "", "", "", ""])
        else:
            rows.append([f"{i} {r['title']}", f"{int(r['operations']):,}".replace(",", " "), duration(r["eager"]),
                         duration(r["seconds"]), duration(r["compiling"]), digits(r["per_hundred"] * 1e3)])
    return table(["", "operations", "step, not compiled", "first call", "compiling", "ms per 100 operations"], rows)


def sizes(results: dict[str, Any], titles: dict[str, str]) -> str:
    """One table for each dimension of the network."""
    parts = []
    for kind, networks in results.items():
        names = [n for n in _names({str(k): r for k, r in enumerate(networks)}) if n != REFERENCE]
        fixed = ", ".join(f"{networks[0][k]} {k}" if k != "width" else f"width {networks[0][k]}"
                          for k in ("width", "layers", "examples") if k != kind)
        rows = [[str(r[kind]), duration(r["engines"][REFERENCE]["seconds"]["median"]),
                 *[ratio(r["engines"].get(n, {}), n == COMPILED) for n in names]] for r in networks]
        parts.append(table([f"{kind} ({fixed})", "NumPy by hand", *[titles.get(n, n) for n in names]], rows))
    return "\n\n".join(parts)


def footprints(results: dict[str, Any], titles: dict[str, str]) -> str:
    """Memory of the steps in MB."""
    names = [n for n in _names(results) if n not in JITTED]
    rows = []
    for i, result in results.items():
        cells = [result["engines"].get(n, {}).get("megabytes") for n in names]
        if max(c or 0 for c in cells) >= 5:
            shown = ["–" if c is None else f"{c:.0f}" if c >= 1 else "<1" for c in cells]
            rows.append([f"{i} {result['title']}", *shown])
    return table(["", *[titles.get(n, n) for n in names]], rows) if rows else ""


def _names(results: dict[str, Any]) -> list[str]:
    """Every engine of the results, in their order, without those that could not do anything."""
    found = dict.fromkeys(n for r in results.values() for n in r["engines"])
    return [n for n in found if any("ratio" in r["engines"].get(n, {}) for r in results.values())]


def recording(rows: Sequence[dict[str, Any]]) -> str:
    """The cost of recording an operation, in microseconds."""
    return table(["microseconds", "NumPy", "recorded", "recording adds", "backward()"],
                 [[r["operation"], *[digits(x) for x in (r["numpy"], r["recorded"], max(0.0, r["recorded"] - r["numpy"]),
                                                         r["backward"])]] for r in rows])


def scaling(results: dict[str, Any], titles: dict[str, str]) -> str:
    """Microseconds per node, and MB in all."""
    sizes = sorted({n for rows in results.values() for n in rows}, key=int)

    def cell(rows: dict[Any, Any], n: Any) -> str:
        r = rows.get(n)
        if r is None:
            return "–"
        if "seconds" not in r:
            return str(r.get("failed", "no")).partition(":")[0]
        return f"{digits(r['microseconds_per_node'])} µs, {r['megabytes']:.0f} MB"

    rows = [[titles.get(name, name), *[cell(found, n) for n in sizes]] for name, found in results.items()]
    return table(["time per node, memory", *[f"{int(n):,} nodes".replace(",", " ") for n in sizes]], rows)


def imports(results: dict[str, Any]) -> str:
    """Milliseconds to import; every line but NumPy's is what comes on top of NumPy."""
    rows = [["NumPy alone" if title == "NumPy" else f"{title}, after NumPy", digits(r["median"]),
             f"{digits(r['low'])}–{digits(r['high'])}"] for title, r in results.items()]
    return table(["import", "ms", "middle half"], rows)
