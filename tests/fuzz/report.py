"""The counts of campaigns as Markdown: python -m fuzz.report FILE.json ... (as campaign --report wrote them)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path


def main() -> None:
    totals, functions, checked, skipped = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for name in sys.argv[1:]:
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            part = json.loads(line)
            totals.update({key: part[key] for key in ("programs", "lines", "seconds")} | {"findings": len(part["findings"])})
            functions.update(part["functions"])
            checked.update(part["checked"])
            skipped.update(part["skipped"])
    print(f"{totals['programs']} programs of {totals['lines']} lines in {totals['seconds']:.0f} s, "
          f"{totals['findings']} findings\n")
    for title, counts in (("checked", checked), ("skipped", skipped)):
        print(f"| {title} | programs |\n|---|---|")
        for key, n in counts.most_common():
            print(f"| {key} | {n} |")
        print()
    print(f"{len(functions)} ways of writing a line: " + ", ".join(f"{key} {n}" for key, n in sorted(functions.items())) + ".")


if __name__ == "__main__":
    main()
