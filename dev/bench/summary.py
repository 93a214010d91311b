"""What do the samples say? Quantiles, throughput, and ratios to stock with their spread."""

from statistics import fmean, median

from .variants import STOCK


def quantile(values, share):
    """The value below which `share` of the values lie, interpolated.

    >>> quantile([4, 1, 3, 2], 0.5), quantile([1, 2, 3], 0), quantile([7], 0.99)
    (2.5, 1, 7)
    """
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def describe(samples, costs):
    """Each variant's numbers, by name. `costs`: what `servers.used` says of each."""
    stock = samples.get(STOCK)
    return {
        name: {**_distribution(of), **costs[name], **(_ratios(of, stock) if stock and name != STOCK else {})}
        for name, of in samples.items()
    }


def _distribution(samples):
    times = samples.milliseconds
    return {
        "calls": len(times),
        "p50_ms": quantile(times, 0.5),
        "p95_ms": quantile(times, 0.95),
        "p99_ms": quantile(times, 0.99),
        "mean_ms": fmean(times),
        "calls_per_s": len(times) / sum(samples.walls),
        "connections_reused": samples.reused / len(times),
    }


def _ratios(samples, stock):
    """`ratio_p50`: of the medians of all calls. The others: of the ratios within each round, which no drift touches."""
    pairs = [median(times) / median(stock.rounds[n]) for n, times in samples.rounds.items()]
    return {
        "ratio_p50": quantile(samples.milliseconds, 0.5) / quantile(stock.milliseconds, 0.5),
        "ratio_paired": quantile(pairs, 0.5),
        "ratio_paired_p10": quantile(pairs, 0.1),
        "ratio_paired_p90": quantile(pairs, 0.9),
    }
