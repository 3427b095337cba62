"""Writes the figures of README.md and docs/*.md from committed tables; a test fails where the two disagree.

    python -m tests.benchmarks.results

A figure stands between `<!-- results: NAME -->` and `<!-- /results -->`, and NAME is a function below. The tables (docs/*.csv,
docs/*.json, data/) are written by the commands that the pages name; this script measures nothing.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.files import read_json
from explorer.study import open_study
from tests.benchmarks import shown
from tests.benchmarks.eight_bits_shown import (
    int8_budgets,
    int8_choice,
    int8_drop,
    int8_files,
    int8_latency,
    int8_memory,
)
from tests.benchmarks.generators_shown import costs, few, strangers, unseen
from tests.benchmarks.shown import ROOT, bench, csv, share, spread, table, training

BLOCK = re.compile(r"(<!-- results: (\w+) -->\n)(.*?)(<!-- /results -->)", re.DOTALL)
PUBLISHED = ("nsga2", "sms-emoa", "spea2")


def pages() -> list[Path]:
    """Every page that may hold figures."""
    return [ROOT / "README.md", *sorted(shown.DOCS.glob("*.md"))]


def rendered(text: str) -> str:
    """A page with every block written again."""
    return BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m[2]]().strip()}\n{m[4]}", text)


# --- studies ------------------------------------------------------------------------------------------------------------


def studies() -> str:
    """Accuracies of the studies' finished networks."""
    rows = []
    for name in ("clothing", "digits", "fashion-mnist", "fashion-mnist-unified", "fashion-mnist-pruned"):
        for reported in open_study(name).manifest.reported:
            rows.append([name, reported.role, f"{reported.val:.2%}", f"{reported.test:.2%}"])
    return table(["study", "network", "validation", "test"], rows)


def budgets() -> str:
    """1,000 random reachable budgets."""
    b = read_json(shown.DOCS / "budgets.json")
    return table(["", ""], [
        ["met", f"{b['met']:.0%}"],
        ["met by the raw one-shot network",
         f"{b['raw_met']:.1%} (one target {b['raw_met_single']:.1%}, three {b['raw_met_joint']:.1%})"],
        ["fallbacks to the cheapest network", f"{b['fallbacks']:.0%}"],
        [f"predicted accuracy under the best of {b['sample']:,} random networks, mean", f"{b['gap_points_mean']:+.2f} points"],
        ["the same, 95th percentile", f"{b['gap_points_p95']:+.2f} points"],
    ])  # fmt: skip


def photographs() -> str:
    """Ways to train networks for photographs, in the same time."""
    names = {"elastic": "the recipe: lite0, sandwich rule", "shrinking": "lite0, progressive shrinking",
             "scratch": "the same space from nothing", "alone": "lite0 fine-tuned alone",
             "usual": "32 x 32 pixels, `mobile-32` from nothing"}  # fmt: skip
    rows, found = [], csv("photographs.csv")
    for arm, words in names.items():
        if (own := found[found.arm == arm]).empty:
            continue
        cells = ["" if own[c].isna().any() else spread(own[c], "{:.1%}") for c in ("largest", "knee", "smallest")]
        rows.append([words, len(own), f"{own.minutes.mean():.0f}", *cells])
    return table(["training", "seeds", "processor minutes", "largest", "knee", "smallest"], rows)


def visitors() -> str:
    """Many visitors at once."""
    asked = {20: "250 ms, 120 MB", 50: "600 ms, 120 MB"}
    rows = [
        [f"{v['visitors']}", f"{v['moves']:,}", f"{v['unanswered']}", f"{v['median_ms']:.0f} ms", f"{v['p95_ms']:.0f} ms",
         f"{v['mb_a_visitor']:.0f} MB", f"{v['opened_s']:.1f} s", asked.get(v["visitors"], "")]
        for v in read_json(shown.DOCS / "visitors.json")
    ]  # fmt: skip
    return table(["visitors", "moves", "unanswered", "median", "p95", "memory a visitor", "opening", "asked"], rows)


def fine_tuned() -> str:
    """Exports of the best and the smallest network with fine-tuning."""
    t = csv("finetune.csv")
    head = ["network", "seed", "epochs", "validation before, after", "test before", "test after", "seconds"]
    return table(head, [
        [r.role, r.seed, r.epochs, f"{r.val_before:.2%}, {r.val_after:.2%}", f"{r.before:.2%}", f"{r.after:.2%}", r.seconds]
        for r in t.itertuples()
    ])  # fmt: skip


def imagenet() -> str:
    """The predictor and the generator of the ImageNet study."""
    found = read_json(shown.DOCS / "imagenet.json")
    p, g = found["predictor"], found["generator"]
    by = g["gap_points_by_target"]
    return table(["", ""], [
        [f"predictor, 5-fold cross-validation on {p['rows']:,} published networks",
         f"Kendall's tau {p['kendall_tau']:.3f}, mean absolute error {p['mae_points']:.3f} points "
         f"(a ridge: {p['ridge_kendall_tau']:.3f}, {p['ridge_mae_points']:.3f})"],
        ["its band, meant to cover 90 %", f"covers {p['coverage']:.1%}, {p['band_width_points']:.2f} points wide on average"],
        ["generator, 100 budgets per target in one pass",
         f"{g['seconds']:.2f} s; {g['met']:.0%} met, raw network {g['raw_met']:.1%}"],
        [f"predicted accuracy under the best of {g['sample']:,} random networks",
         f"{g['gap_points_mean']:+.2f} points: " + ", ".join(f"{n} {v:+.2f}" for n, v in by.items())],
    ])  # fmt: skip


# --- PNAG ---------------------------------------------------------------------------------------------------------------


def rewards() -> str:
    """Dominance against scalar rewards."""
    rows = []
    for name, own in csv("rewards.csv").groupby("reward", sort=False):
        rows.append([name, len(own), spread(own["share"], "{:.4f}"), spread(own["met"], "{:.0%}"), spread(own["cost_off"], "{:.1%}"),
                     spread(own["gap_points"], "{:.2f}"), f"{own['gap_anchors'].mean():.2f} / {own['gap_between'].mean():.2f}"])  # fmt: skip
    head = ["reward", "seeds", "share of the best hypervolume, raw", "budgets met, raw", "cost off its budget",
            "below the search [points]", "the same at / between anchors"]  # fmt: skip
    return table(head, rows)


def generators() -> str:
    """The ImageNet study's generators."""
    found = read_json(shown.DOCS / "fronts.json")
    rows, spent = [], training(found["study"])
    for name, g in found["generators"].items():
        j = found["joint"][name]
        rows.append([name, spent[name], share(g["raw_share"]), share(g["share"]), "yes" if g["above_nsga2"] else "no",
                     f"{j['met']:.0%}", f"{j['raw_met']:.1%}", f"{j['gap_points_mean']:.3f}", f"{j['gap_points_p95']:.3f}"])  # fmt: skip
    head = ["generator", "evaluations of its training", "raw networks", "selected", "above NSGA-II at 100,000", "300 joint budgets: met", "raw met",
            "mean gap [points]", "95th percentile"]  # fmt: skip
    return table(head, rows)


# --- OFA² ---------------------------------------------------------------------------------------------------------------


def fronts() -> str:
    """Searches of the ImageNet study, five seeds."""
    found = read_json(shown.DOCS / "fronts.json")["search"]
    runs = pd.DataFrame(found["runs"]).groupby("algorithm")
    mean, deviation = runs.mean(numeric_only=True), runs["share"].std()
    order = mean.sort_values("share", ascending=False).index
    rows = [[n, f"{mean['share'][n]:.4f} ± {deviation[n]:.4f}", f"{mean['igd_plus'][n]:.5f}", f"{mean['evaluations'][n]:,.0f}",
             f"{mean['seconds'][n]:.1f}"] for n in order]  # fmt: skip
    best = found["best_published"]
    return table(["algorithm", "share of the best hypervolume known", "IGD+", "distinct networks", "seconds"], rows) + (
        f"\n\n`memetic` gains {found['memetic_gain_over_best_published']:.1%} of (best known - random) over the best "
        f"published algorithm ({best})."
    )


def tiny() -> str:
    """The enumerable space."""
    found = {k: v for k, v in read_json(shown.DOCS / "tiny.json").items() if k != "architectures"}
    names = dict.fromkeys(name for shares in found.values() for name in shares)
    spent = {f"generator {name}": value for name, value in training("digits").items()}
    return table(
        ["", "evaluations", *found],
        [[name, spent.get(name, "176"), *(share(found[t][name]) for t in found)] for name in names],
    )


def peers() -> str:
    """Equal evaluations of the same predictor."""
    t = csv("peers.csv")
    rows = [[name, len(own), f"{own['evaluations'].iloc[0]:,}", spread(own["share"], "{:.3f}"), f"{own['seconds'].median():.3g}"]
            for name, own in t.groupby("what")]  # fmt: skip
    rows.sort(key=lambda row: row[3], reverse=True)
    return table(["", "seeds", "evaluations", "share of the best hypervolume known", "seconds"], rows)


# --- SGNAS --------------------------------------------------------------------------------------------------------------


IMITATED = 4 * 60_000  # of the recipe of `fashion-mnist-unified`: three targets, and all of them


def sgnas() -> str:
    """Generators of the unified study."""
    found = read_json(shown.DOCS / "sgnas.json")
    rows, time = [], found.pop("time")
    for name, f in found.items():
        rows.append([name, ", ".join(f"{v:.1%}" for v in f["raw_error"].values()), ", ".join(f"{v:.3f}" for v in f["tau"].values()),
                     f"{f['gap_points']['mean']:.2f} / {f['gap_points']['worst']:.2f}",
                     f"{f['predicted']['generated']:.2%}"])  # fmt: skip
    recipe = [f for name, f in found.items() if name.startswith("recipe")]
    tau = np.mean([v for f in recipe for v in f["tau"].values()])
    gap, worst = np.mean([f["gap_points"]["mean"] for f in recipe]), max(f["gap_points"]["worst"] for f in recipe)
    nsga2 = np.mean([f["predicted"]["nsga2"] for f in recipe])
    head = ["", "cost off its target: mobile, cpu, gpu, MACs", "tau", "below NSGA-II, mean / worst [points]",
            f"predicted accuracy (NSGA-II {nsga2:.2%})"]  # fmt: skip
    return table(head, rows) + (
        f"\n\nOver seeds and devices of the recipe tau is {tau:.3f}, the mean gap {gap:.2f} points, the worst {worst:.2f}. "
        f"100 budgets in one pass take {time['generator']['ms']:.0f} ms; a search per budget that is as accurate (`constrained`, "
        f"{time['constrained']['evaluations_each']} evaluations of the same predictor each) takes "
        f"{time['constrained']['seconds']:.1f} s for all. The pass has a training behind it, which imitated fronts of "
        f"{IMITATED:,} evaluations and is not in its time; what generators cost as a whole stands above."
    )


def unified() -> str:
    """Sampling and norms."""
    return table(
        ["sampling, norms of the projection", "epochs", "mean of 30", "smallest", "8th", "16th", "23rd", "largest"],
        [[run, own["epochs"].iloc[0], f"{own['val'].mean():.1%}", *(f"{v:.1%}" for v in own["val"].iloc[[0, 7, 15, 22, 29]])]
         for run, own in csv("unified.csv").groupby("run", sort=False)],
    )  # fmt: skip


def memory() -> str:
    """Unified blocks against separate ones."""
    times, ratios = bench("memory")["times"], bench("memory")["ratios"]
    rows = [["weights [M]", *(f"{times[f'million weights, {kind}']:.3f}" for kind in ("unified", "separate")),
             f"{ratios['weights: unified over separate']:.2f}"]]  # fmt: skip
    for how in ("all choices at once", "a sampled path"):
        rows.append([f"{how}, peak [MB]", *(f"{times[f'MB of a step, {how}, {kind}']:.0f}" for kind in ("unified", "separate")),
                     f"{ratios[f'{how}: unified over separate']:.2f}"])  # fmt: skip
    return table(["", "unified", "separate blocks", "ratio"], rows)


def standalone() -> str:
    """Inherited against stand-alone accuracy."""
    from explorer.core.front import kendall_tau

    rows = []
    for name, study, epochs in (("standalone.csv", "fashion-mnist", 4), ("standalone-1.csv", "fashion-mnist", 1),
                                ("standalone-unified.csv", "fashion-mnist-unified", 1)):  # fmt: skip
        t = csv(name)
        inherited, macs = (kendall_tau(t[c].to_numpy(), t["alone"].to_numpy()) for c in ("inherited", "macs_m"))
        rows.append([study, f"[{len(t)}]({name})", epochs, f"{inherited:.2f}", f"{macs:.2f}"])
    return table(["study", "networks", "epochs alone", "Kendall's tau, inherited", "the same of MACs"], rows)


def rules() -> str:
    """Three sampling rules in the same time."""
    return table(["rule", "epochs", "mean of 50", "smallest", "13th", "26th", "38th", "largest"], [
        [rule, own["epochs"].iloc[0], f"{own['val'].mean():.2%}", *(f"{v:.2%}" for v in own["val"].iloc[[0, 12, 25, 37, 49]])]
        for rule, own in csv("rules.csv").groupby("rule", sort=False)
    ])  # fmt: skip


# --- RWE ----------------------------------------------------------------------------------------------------------------


def _tau(row: dict[str, float]) -> str:
    return f"{row['tau']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"


def ladder() -> str:
    """Scores against trainings alone."""
    from explorer.evaluators import ladder as of
    from tests.benchmarks.ladder import rows_of

    folder = ROOT / "data" / "ladder"
    spaces = list(dict.fromkeys(row["space"] for row in rows_of(folder / "scores.csv")))
    found = {name: of(name, folder).to_dict("index") for name in spaces}
    rungs = dict.fromkeys(rung for rows in found.values() for rung in rows)
    rows = []
    for rung in rungs:
        own = [found[name].get(rung) for name in spaces]
        seconds = ", ".join(f"{r['seconds']:.2f}" if r else "–" for r in own)
        rows.append([rung, seconds, *(f"{_tau(r)}, {r['inside']:.2f}" if r else "–" for r in own)])
    return table(["score", "seconds: " + ", ".join(spaces), *spaces], rows)


def transfer() -> str:
    """Scores against accuracies published for other images."""
    from tests.benchmarks.transfer import report

    found = report(shown.DOCS / "transfer.csv")
    rungs = dict.fromkeys(rung for rows in found.values() for rung in rows)
    return table(
        ["score", *found],
        [[rung, *(_tau(rows[rung]) if rung in rows else "–" for rows in found.values())] for rung in rungs],
    )


def random_search() -> str:
    """Searched cells against random ones of the same MACs."""
    from tests.benchmarks.random_search import differences

    return differences(shown.DOCS / "random_search.csv") + "."


# --- MGAS ---------------------------------------------------------------------------------------------------------------


def pruning() -> str:
    """Sizes and methods."""
    from tests.benchmarks.pruning import METHODS, SIZES

    t = csv("pruning.csv")
    of = lambda method, size: t[(t["method"] == method) & (t["size"] == size)].set_index("seed")["test"]  # noqa: E731
    rows = [[f"{method} ({len(of(method, SIZES[0]))} seed{'s' * (len(of(method, SIZES[0])) > 1)})", *(spread(of(method, size)) for size in SIZES)]
            for method in METHODS if len(of(method, SIZES[0]))]  # fmt: skip
    said = [
        f"{other} at {size:.0%} " + ", ".join(f"{100 * v:+.2f}" for v in of("all three", size) - of(other, size))
        for other in ("operations", "width") for size in SIZES[1:]
    ]  # fmt: skip
    return table(["", *(f"{size:.0%}" for size in SIZES)], rows) + (
        f"\n\nPoints that the three together are ahead, seed by seed: against {'; '.join(said)}. A search took "
        f"{t['search_seconds'].min():.0f} to {t['search_seconds'].max():.0f} s, a training {t['seconds'].min():.0f} to "
        f"{t['seconds'].max():.0f} s, on one core each and beside other work."
    )


def pruning_costs() -> str:
    """Memory of a search, and what the pruned networks take to run."""
    m, times = read_json(shown.DOCS / "pruning-memory.json"), read_json(shown.DOCS / "pruning-latency.json")
    first, *_, last = times
    faster = ", ".join(f"{name} {t['speed-up']:.2f}" for name, t in times.items() if name != first)
    return (
        f"Memory of a search in three stages and of one at once: {m['staged']:.0f} and {m['at once']:.0f} MB, {m['reduction']:.0%} less. "
        f"Networks of the digits family in onnxruntime: {times[first]['ms']:.2f} ms for {first}, {times[last]['ms']:.2f} for {last}; "
        f"times as fast: {faster}."
    )


# --- all of them --------------------------------------------------------------------------------------------------------


def five() -> str:
    """All five on one task, by budget."""
    t = csv("five.csv")
    systems = [s for s in dict.fromkeys(t["system"]) if s != "MGAS"]
    budgets = list(dict.fromkeys(t[t["system"] == systems[0]]["budget"]))
    cell = lambda s, b: t[(t["system"] == s) & (t["budget"] == b)].iloc[0]  # noqa: E731
    rows = [[f"{b:.2f}", *(f"{cell(s, b)['test']:.2%} ({cell(s, b)['macs_m']:.2f})" for s in systems)] for b in budgets]
    mean = ["mean", *(f"{t[t['system'] == s]['test'].mean():.2%}" for s in systems)]
    pruned = t[t["system"] == "MGAS"]
    family = ", ".join(f"{r.network} {r.test:.2%} ({r.macs_m:.2f})" for r in pruned.itertuples())
    return (
        table(["budget [M MACs]", *systems], [*rows, mean])
        + f"\n\nMGAS, share of the parameters of its start: {family}."
    )


def speed() -> str:
    """Training, from the committed run."""
    found = read_json(shown.DOCS / "bench.json")
    m = found["machine"]
    lines = []
    for part, tables in found["parts"].items():
        for name, value in tables["ratios"].items():
            lines.append([part, name, f"{value:.3g}"])
        for name, value in tables["slopes"].items():
            lines.append([part, f"slope {name}", f"{value:.2f}"])
    said = f"{m['processor']}, {m['cores']} cores, Python {m['python']}, " + ", ".join(
        f"{k} {v}" for k, v in m["versions"].items()
    )
    return f"Machine: {said}; {m['day']}.\n\n" + table(["part", "ratio", "value"], lines)


def page() -> str:
    """The served page against a bare one."""
    ratios, times = bench("page")["ratios"], bench("page")["times"]
    start = "seconds to the first moved star, "
    return table(["", "figure", "asked"], [
        ["cold start to the first moved star, over the bare page",
         f"{ratios['cold start over bare']:.2f} ({times[start + 'page']:.1f} s against {times[start + 'bare']:.1f} s)", "1.7"],
        ["the same with a preheated kernel", f"{ratios['preheated start over bare']:.2f}", "0.8"],
        ["slider to chart, over the bare page", f"{ratios['slider to chart over bare']:.2f}", "1.3"],
        ["10,000 networks in the cloud over 500, slider to chart",
         f"{ratios['cloud of 10,000 over 500, slider to chart']:.2f}", "1.2"],
        ["memory of a kernel", "{:.0f} MB".format(times["MB of a page's kernel"]), ""],
    ])  # fmt: skip


def scaling() -> str:
    """See `tests.benchmarks.scaling`."""
    from tests.benchmarks.scaling import table as of

    return of(shown.DOCS / "scaling.json")


def readme() -> str:
    """The strongest figures, with where each is made."""
    reported = {r.role: r for r in open_study("fashion-mnist").manifest.reported}
    best, smallest = reported["best on validation"], reported["smallest"]
    clothes = {r.role: r for r in open_study("clothing").manifest.reported}
    quality = open_study("fashion-mnist").predictor.quality
    about = read_json(shown.DOCS / "imagenet.json")["predictor"]
    b, front, t = (
        read_json(shown.DOCS / "budgets.json"),
        read_json(shown.DOCS / "fronts.json"),
        bench("generator")["times"],
    )
    truth = {k: v for k, v in read_json(shown.DOCS / "tiny.json").items() if k != "architectures"}
    least = {g: min(v[f"generator {g}"] for v in truth.values()) for g in ("pnag", "expert")}
    peer = csv("peers.csv").groupby("what")["share"].mean()
    them = peer[[n for n in peer.index if n.startswith("Optuna") or n == "pymoo alone"]]
    steps, shares = bench("training")["ratios"], bench("page")["ratios"]
    joint = front["joint"]["expert"]
    tuned = csv("finetune.csv").groupby("role")["after"].mean()
    rows = [
        ["test accuracy on 340 photographs of clothes, ten classes, from EfficientNet-Lite0: best / smallest network",
         f"{clothes['best on validation'].test:.1%} / {clothes['smallest'].test:.1%}", "studies"],
        ["test accuracy on Fashion-MNIST, inherited weights: best / smallest network", f"{best.test:.1%} / {smallest.test:.1%}", "studies"],
        ["the best one after fine-tuning at export", f"{tuned['best on validation']:.1%}", "studies"],
        ["1,000 random budgets, one target or all three: met", f"{b['met']:.0%} ({b['raw_met']:.1%} by the raw network, no fallback)", "budgets"],
        ["generators against the exhaustive truth of a small space, share of the hypervolume",
         f"{least['pnag']:.1%} (PNAG), {least['expert']:.1%} (ours) on the worst of three devices", "search"],
        ["our generator on ImageNet, 100 budgets in one pass",
         f"{front['generators']['expert']['share']:.1%} of the best hypervolume known, above NSGA-II with 100,000 evaluations "
         f"(its training, once: {training(front['study'])['expert']}); "
         f"300 joint budgets within {joint['gap_points_mean']:.3f} points of a long search", "generators"],
        ["our search against the best published algorithm there, 100,000 evaluations, five seeds",
         f"it gains {front['search']['memetic_gain_over_best_published']:.1%} of (best known - random)", "search"],
        ["1,000 evaluations: ours / the best of pymoo alone and three Optuna samplers",
         f"{peer['ours, memetic']:.3f} / {them.max():.3f} ({them.idxmax()}) of the best hypervolume known", "peers"],
        ["one budget / 10,000 budgets in one pass, no torch",
         f"{1e3 * t['seconds for 1 budgets']:.1g} ms / {t['seconds for 10,000 budgets']:.1f} s", "speed"],
        ["a supernet's training step over its subnets built alone: uniform / sandwich",
         f"{steps['uniform step over static networks']:.2f} / {steps['sandwich step over static networks']:.2f}", "speed"],
        ["images/s of training over plain slicing with channels_last", f"{1 / steps['ours over plain']:.2f} times", "speed"],
        ["the page over a bare one with one chart: slider to chart / cold start / preheated",
         f"{shares['slider to chart over bare']:.2f} / {shares['cold start over bare']:.2f} / {shares['preheated start over bare']:.2f}", "speed"],
        ["predictor of Fashion-MNIST / ImageNet, held-out networks", f"Kendall's tau {quality['kendall_tau']:.2f} / {about['kendall_tau']:.2f}", "the-imagenet-study"],
    ]  # fmt: skip
    return table(["what", "figure", "how"], [[a, f, f"[{h}](docs/results.md#{h})"] for a, f, h in rows])


BLOCKS: dict[str, Callable[[], str]] = {
    f.__name__: f for f in (
        studies, budgets, photographs, visitors, fine_tuned, imagenet, rewards, generators, costs, unseen, few, strangers, fronts, tiny, peers, sgnas, unified, memory,
        standalone, rules, ladder, transfer, random_search, pruning, pruning_costs, five, speed, page, scaling, readme,
        int8_memory, int8_drop, int8_budgets, int8_choice, int8_files, int8_latency,
    )
}  # fmt: skip


if __name__ == "__main__":
    for path in pages():
        before = path.read_text()
        after = rendered(before)
        if after != before:
            path.write_text(after)
            print(path.relative_to(ROOT), "written")
