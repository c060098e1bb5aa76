"""`python -m tests.helm.render`: write the golden files anew, after a change to the chart that is meant.

In: helm/douane. Out: tests/helm/golden/<way>.yaml and <way>.notes.txt; their difference is what the commit is reviewed by.
"""

from tests.helm.chart import GOLDEN, manifests, notes, ways


def golden() -> dict[str, str]:
    """Return the golden files: text by name."""
    files = {f"{way}.yaml": manifests(way) for way in ways()}
    return files | {f"{way}.notes.txt": notes(way) for way in ways()}


def main() -> None:
    """Write every golden file, and remove those of ways that are gone."""
    files = golden()
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {GOLDEN}")


if __name__ == "__main__":
    main()
