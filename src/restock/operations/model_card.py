"""The model card: what a version is for, how good it is and where it ends, for people; pure."""

from __future__ import annotations

from typing import Any

_FAMILIES = {
    "seasonal_naive": "seasonal naive: the last season repeated, with the spread of its own past errors",
    "statistical": "exponential smoothing, chosen per series by length and intermittence, with pooled past errors",
    "random_forest": "random forest with quantiles from its leaves (scikit-learn)",
    "xgboost": "boosted trees, all quantiles in one model, the mean by a Tweedie objective (XGBoost)",
    "neural": "a mixer-like network over the lookback window with a quantile head (TensorFlow)",
    "ensemble": "average of several families' quantile functions, weighted and calibrated per segment",
}
_COLUMNS = {"pinball": "{:.4f}", "wape": "{:.1%}", "bias": "{:+.1%}", "rmsse": "{:.3f}", "coverage_80": "{:.1%}"}
_ROWS = {"candidate": "this version", "seasonal_naive": "seasonal naive", "replaced": "replaced version's recipe"}


def render_model_card(metadata: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Return the model card as Markdown.

    Args:
        metadata: from `describe_version`.
        metrics: from `compare_metrics`.
    """
    number, family = metadata["version"], metadata["family"]
    sections = [
        f"# demand_forecasting, version {number} ({family})",
        f"Promoted by {metadata['promoted_by']} at {metadata['created_at_utc']}: {metadata['reason']}",
        *_override_notice(metadata),
        "## Intended use",
        (
            f"Forecasts the demand of every sku at every location for up to {metadata['horizon']} "
            f"{metadata['frequency']} periods ahead, as quantiles and a mean, for replenishment and planners. "
            f"Model: {_FAMILIES.get(family, family)}. Not meant for prices, finance or staffing, nor for single "
            "decisions that nobody looks at."
        ),
        "## Data",
        (
            f"Trained on the validated sales, products, locations and calendar up to and with {metadata['cutoff']} "
            f"(data hash `{metadata['data_hash'][:16]}`). Periods cut off by a known stockout count as unknown demand."
        ),
        "## How good it is",
        (
            f"Rolling-origin back-test, cutoffs {', '.join(metrics['windows'])}. Pinball loss is in units, the mean "
            "over the quantiles; WAPE, bias and RMSSE are of the mean forecast. Censored periods are not scored."
        ),
        _overall_table(metrics["overall"]),
        "### Per segment",
        "ABC by revenue, then how regularly it sells. Change of the pinball loss against seasonal naive in brackets.",
        _segment_table(metrics["segments"]),
        "## The gate",
        _gate_list(metadata["gate"]),
        "## Limits",
        _limits(metadata),
        "## Where it came from",
        _origin_list(metadata),
    ]
    return "\n\n".join(sections) + "\n"


def render_policy_card(metadata: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Return the card of a planner's policy as Markdown.

    Args:
        metadata: of its version.
        metrics: what every rule cost in the judged periods.
    """
    first, last = metrics["windows"]
    rows = [
        f"| {'this policy' if rule == 'candidate' else rule} | "
        + " | ".join(f"{values[name]:,.0f}" for name in ("cost", "holding", "shortage", "ordering", "waste"))
        + f" | {values['fill_rate']:.1%} |"
        for rule, values in metrics["overall"].items()
    ]
    sections = [
        f"# optimization, version {metadata['version']} ({metadata['family']})",
        f"Promoted by {metadata['promoted_by']} at {metadata['created_at_utc']}: {metadata['reason']}",
        *_override_notice(metadata),
        "## Intended use",
        (
            "Says by how much the planner multiplies the shortage cost of a group of lines (stores and warehouses, "
            "perishable or not) when it chooses order quantities. Tuned by simulated money, not by service alone."
        ),
        "## How good it is",
        (
            f"Traded again in the past of {first} to {last}, on forecasts that did not know it, after it was tuned on "
            "the windows before. Currency over all judged periods; the rules named `known...` and `unconstrained` "
            "know what no one can."
        ),
        "| rule | cost | holding | shortage | ordering | waste | fill rate |\n|---|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(rows),
        "## The gate",
        _gate_list(metadata["gate"]),
        "## Limits",
        (
            "- Demand that stockouts cut off is drawn once from what the rest of the history says.\n"
            "- Lead times of the simulated market are drawn from past deliveries, as if they did not depend on the "
            "order.\n- A policy for other costs, suppliers or forecasts has to be tuned anew."
        ),
        "## Where it came from",
        _origin_list(metadata),
    ]
    return "\n\n".join(sections) + "\n"


def _override_notice(metadata: dict[str, Any]) -> list[str]:
    if metadata["override"] is None:
        return []
    return [f"> **The gate refused this version; it was promoted all the same: {metadata['override']}**"]


def _overall_table(overall: dict[str, dict[str, float]]) -> str:
    lines = [f"| | {' | '.join(_COLUMNS)} |", "|---|" + "---:|" * len(_COLUMNS)]
    for key, label in _ROWS.items():
        if key in overall:
            cells = [_cell(overall[key].get(column), form) for column, form in _COLUMNS.items()]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _segment_table(segments: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        "| segment | cases | pinball | seasonal naive | WAPE | seasonal naive |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for segment, rows in segments.items():
        own, naive = rows.get("candidate", {}), rows.get("seasonal_naive", {})
        base, value = naive.get("pinball"), own.get("pinball")
        change = f" ({value / base - 1:+.0%})" if base and value is not None else ""
        lines.append(
            f"| {segment} | {own.get('n_scored', 0)} | {_cell(value, '{:.4f}')}{change} | {_cell(base, '{:.4f}')} | "
            f"{_cell(own.get('wape'), '{:.1%}')} | {_cell(naive.get('wape'), '{:.1%}')} |"
        )
    return "\n".join(lines)


def _gate_list(gate: dict[str, Any]) -> str:
    words = {True: "passed", False: "FAILED"}
    return "\n".join(
        f"- {condition['name']}: {words.get(condition['passed'], condition['passed'])}: {condition['detail']}"
        for condition in gate["conditions"]
    )


def _limits(metadata: dict[str, Any]) -> str:
    quantiles = metadata["quantiles"]
    return "\n".join(
        (
            f"- Horizons beyond {metadata['horizon']}, quantiles outside {quantiles[0]:g}-{quantiles[-1]:g}: refused.",
            "- A product without history is forecast from its category and location alone: expect wide errors.",
            "- Stockouts that nobody recorded look like low demand.",
            "- What never happened before (a new competitor, a closed road) is not in it.",
            "- Quantiles don't add up, over periods or over series: sums need sample paths, drawn by dependence.json.",
        )
    )


def _origin_list(metadata: dict[str, Any]) -> str:
    changes = " (with local changes)" if metadata["has_local_changes"] else ""
    mlflow = metadata["mlflow"]
    replaces = metadata["replaces"]
    return "\n".join(
        (
            f"- code: git commit {metadata['git_commit'] or 'not known'}{changes}",
            f"- pipeline: dvc.lock {metadata['dvc_lock_sha256'] or 'not there'}",
            f"- MLflow run: {mlflow['run_id'] or 'not tracked'}",
            f"- MLflow registered version: {mlflow['registered_version'] or 'not yet registered'}",
            f"- replaces: {'nothing' if replaces is None else f'version {replaces}'}",
            "- params: params.yaml; metrics: metrics.json; checksums: metadata.json",
        )
    )


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
