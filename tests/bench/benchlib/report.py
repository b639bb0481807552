"""The tables of docs/performance.md, each between its markers."""

ORDER = ["venvfs", "ext4", "overlayfs", "fuse-overlayfs", "uv", "uv, compiling", "venv + pip", "virtualenv + pip"]


def number(value, unit):
    if value is None:
        return ""
    if unit == "s":
        return f"{value:.2f} s"
    if unit == "ms" and value < 100:
        return f"{value:.1f} ms"
    return f"{value:,.0f} {unit}"


def ratio(row):
    """Each other contender's figure by venvfs', e.g. "uv × 12"."""
    ours = row.values.get("venvfs")
    if not ours or ours < 0:
        return ""
    return ", ".join(f"{name} × {value / ours:.3g}" for name, value in row.values.items()
                     if name != "venvfs")


def table(rows):
    columns = [name for name in ORDER if any(name in row.values for row in rows)]
    lines = ["| what | " + " | ".join(columns) + " | peers by venvfs | aim | |",
             "|---|" + "---:|" * len(columns) + "---|---|---|"]
    for row in rows:
        cells = [number(row.values.get(name), row.unit) for name in columns]
        verdict = "" if row.reached is None else "reached" if row.reached else "**missed**"
        lines.append(f"| {row.what} | " + " | ".join(cells) + f" | {ratio(row)} | {row.target or ''} | {verdict} |")
    return "\n".join(lines)


def section(description, rows, rounds, slow_rounds):
    lines = [f"- {label}: {text}" for label, text in description.items()]
    lines.append(f"- medians of {rounds} interleaved rounds; of {slow_rounds} where one takes a minute")
    return "\n".join([*lines, "", table(rows)])


def insert(document, name, text):
    """@document with what stands between the markers of @name replaced."""
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    begin, end = document.index(first) + len(first), document.index(last)
    return f"{document[:begin]}\n\n{text}\n\n{document[end:]}"


def plain(rows):
    """The same for a terminal."""
    lines = []
    for row in rows:
        verdict = "" if row.reached is None else "  reached" if row.reached else "  MISSED"
        values = ", ".join(f"{name} {number(value, row.unit)}" for name, value in row.values.items())
        lines.append(f"{row.what}\n    {values}" + (f"  (to reach: {row.target}){verdict}" if row.target else ""))
    return "\n".join(lines)
