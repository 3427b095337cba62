"""How fast a page without a server opens and answers, in Chromium on this machine.

    python -m tests.benchmarks.published STUDY [STUDY ...]

Five openings a study, from the request to the first answer; 300 moves of a slider, from the event to the drawn chart.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import explorer as ex
from explorer.bench.browser import chromium
from explorer.page.publish import write_report

OPENINGS = 5
MOVES = """async () => {
  const plot = document.querySelector('.js-plotly-plot'), slider = document.querySelector('#rows input[type=range]');
  const times = [];
  for (let i = 0; i < 60; i++) {
    slider.value = String(100 + 12 * i);
    const start = performance.now(), drawn = new Promise(done => plot.once('plotly_afterplot', done));
    slider.dispatchEvent(new Event('input'));
    await drawn;
    times.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 30));
  }
  return times; }"""


def main() -> None:
    """Print one line a study."""
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:]:
            page_file = write_report(ex.open_study(name), Path(folder) / f"{name}.html")
            opened, moved = [], []
            for _ in range(OPENINGS):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                start = time.perf_counter()
                page.goto(page_file.as_uri(), wait_until="commit")
                page.wait_for_selector("html[data-ready=true]")
                opened.append(time.perf_counter() - start)
                moved += page.evaluate(MOVES)
                page.close()
            print(
                f"{name}: {page_file.stat().st_size / 1e6:.1f} MB, opens in {statistics.median(opened):.2f} s (at most "
                f"{max(opened):.2f}), slider to chart {statistics.median(moved):.1f} ms (95 %: "
                f"{sorted(moved)[int(0.95 * len(moved))]:.1f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
