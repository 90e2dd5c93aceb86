"""docs/metrics.md names each metric that the controller can serve. That types, labels and words are right, an integration test compares."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_metric_is_on_its_page():
    served = set()
    for source in (ROOT / "controller/serve").rglob("*.c"):
        served |= set(re.findall(r'"(atoll_\w+)["{ ]', source.read_text()))
    page = set(re.findall(r"^\| `(atoll_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
    hint = "run: ATOLL_REWRITE_GOLDEN=1 make test-integration TESTS='-k page_of_metrics'"
    assert served == page, f"not on the page: {sorted(served - page)}; no longer served: {sorted(page - served)}; {hint}"
