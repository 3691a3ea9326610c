"""`restock benchmark`: public yardsticks; forecasts are back-tested and written as files that others can score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from restock.cli.console import messages, print_json, show_progress
from restock.errors import ConfigurationError
from restock.params import FamilyName, Params, read_params
from restock.settings import Settings, read_settings

if TYPE_CHECKING:
    from restock.benchmarks.family_race import Contender
    from restock.benchmarks.result import BenchmarkResult

# The cross-section model sees a whole panel at once, which a benchmark has. On 50,000 series xgboost and the neural
# family take minutes more and a random forest six: `--families` adds them.
_FRESHRETAILNET_FAMILIES = ["cross_section"]
_M5_FAMILIES = ["shrunken_levels"]
_FAMILIES = (*get_args(FamilyName), "cross_section", "shrunken_levels")

_Data = Annotated[Path, typer.Option("--data", help="Folder with the data set in its compact layout.")]
_Families = Annotated[
    list[str] | None,
    typer.Option(
        "--families",
        help=f"Families to choose from, separated by commas or given again: {', '.join(_FAMILIES)}. "
        f"One alone is taken as it is. Default: {_FRESHRETAILNET_FAMILIES[0]} for freshretailnet, {_M5_FAMILIES[0]} "
        "for m5.",
    ),
]
_Seed = Annotated[int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="Default: the seed of params.yaml.")]

group = typer.Typer(
    name="benchmark",
    help="Public yardsticks: forecasts with a back-test and files that others can score; policies beside optima.",
    no_args_is_help=True,
)


@group.command("freshretailnet")
def freshretailnet(
    data: _Data,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the next 14 days; without it only the back-test.")
    ] = None,
    planned: Annotated[
        Path | None, typer.Option("--planned", help="Discounts and activities of the next 14 days, parquet or CSV.")
    ] = None,
    families: _Families = None,
    seed: _Seed = None,
) -> None:
    """Fresh food with hourly stockouts: sales and uncensored demand of the next 14 days.

    Example: restock benchmark freshretailnet --data freshretailnet --out predictions.parquet
    """
    from restock.adapters.sources.freshretailnet import FILES
    from restock.benchmarks.freshretailnet import run_freshretailnet

    settings, params = read_settings(), _read_params(seed)
    chosen = parse_families(families, default=_FRESHRETAILNET_FAMILIES)
    _check_writable(out)
    result = run_freshretailnet(data, params, families=chosen, planned=planned, out=out, progress=show_progress)
    read = [data / name for name in FILES] + ([planned] if planned is not None else [])
    _report(result, settings, params, files=read, written=[out])


@group.command("m5")
def m5(
    data: _Data,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file for the means of the next 28 days.")] = None,
    quantiles: Annotated[Path | None, typer.Option("--quantiles", help="Parquet file for their quantiles.")] = None,
    families: _Families = None,
    seed: _Seed = None,
) -> None:
    """Walmart's items and stores: the next 28 days, scored as WRMSSE at level 12. Without a file only the back-test.

    Example: restock benchmark m5 --data m5_walmart_last8weeks --out means.parquet --quantiles quantiles.parquet
    """
    from restock.adapters.sources.m5 import FILES
    from restock.benchmarks.m5 import run_m5

    settings, params = read_settings(), _read_params(seed)
    chosen = parse_families(families, default=_M5_FAMILIES)
    _check_writable(out, quantiles)
    result = run_m5(data, params, families=chosen, out=out, quantiles_out=quantiles, progress=show_progress)
    _report(result, settings, params, files=[data / name for name in FILES], written=[out, quantiles])


@group.command("vn2")
def vn2(
    data: _Data,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file for the orders of this round; without it only the replay.")
    ] = None,
    seed: _Seed = None,
) -> None:
    """The VN2 inventory challenge: weekly orders at least holding and shortage cost, replayed over the last 52 weeks.

    The folder holds the state at the end of a week; `state.json` says of which, {"week": 2}; absent, week 0.

    Example: restock benchmark vn2 --data vn2 --out orders.csv
    """
    from restock.benchmarks.vn2 import run_vn2
    from restock.benchmarks.vn2_state import read_state

    settings, params = read_settings(), _read_params(seed)
    _check_writable(out)
    state = read_state(data)
    result = run_vn2(state, seed=params.seed, out=out, progress=show_progress)
    _report(result, settings, params, files=list(state.files), written=[out])


@group.command("lost-sales")
def lost_sales(
    *,
    penalty: Annotated[
        list[float] | None, typer.Option(min=0.01, help="Cost of a unit lost; again for more. Default: 4, 9, 19, 39.")
    ] = None,
    lead_time: Annotated[int, typer.Option(min=1, max=5, help="Lead time whose costs are exact, periods.")] = 4,
    long_lead_time: Annotated[
        int, typer.Option(min=2, max=60, help="Lead time without an exact optimum, periods.")
    ] = 10,
    bound_lead_time: Annotated[
        int, typer.Option(min=1, max=6, help="Lead time whose exact optimum bounds the cost there, periods.")
    ] = 5,
    runs: Annotated[int, typer.Option(min=30, help="Simulated runs at the long lead time.")] = 600,
    run_periods: Annotated[int, typer.Option(min=50, help="Periods of each run.")] = 400,
    seed: _Seed = None,
) -> None:
    """Lost sales with a lead time: how far policies are above the exact optimum. Needs no data.

    Example: restock benchmark lost-sales
    """
    from restock.benchmarks.lost_sales import PENALTIES, run_lost_sales

    settings, params = read_settings(), _read_params(seed)
    result = run_lost_sales(
        seed=params.seed,
        penalties=penalty or PENALTIES,
        lead_time=lead_time,
        long_lead_time=long_lead_time,
        bound_lead_time=bound_lead_time,
        runs=runs,
        run_periods=run_periods,
        progress=show_progress,
    )
    _report(result, settings, params, files=[], written=[])


@group.command("scms")
def scms(
    data: Annotated[Path, typer.Option("--data", help="Folder or CSV file of delivered order lines.")],
    *,
    lines: Annotated[Path | None, typer.Option("--lines", help="CSV file of new lines, in the same columns.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file for the new lines' delays; without it only the back-test.")
    ] = None,
    shipping_notices: Annotated[
        bool,
        typer.Option("--shipping-notices", help="Read the numbers of shipping notices: for lines that have left."),
    ] = False,
    seed: _Seed = None,
) -> None:
    """USAID's SCMS order lines: delay against the scheduled day, lead time and chance of lateness of new lines.

    Example: restock benchmark scms --data scms_delivery_history --lines new.csv --out predictions.csv
    """
    from restock.adapters.sources.scms import find_scms_file
    from restock.benchmarks.scms import run_scms

    settings, params = read_settings(), _read_params(seed)
    if (lines is None) != (out is None):
        raise ConfigurationError("--lines and --out belong together: name both, or neither for the back-test alone.")
    _check_writable(out)
    result = run_scms(
        data, lines=lines, out=out, has_shipments=shipping_notices, seed=params.seed, progress=show_progress
    )
    files = [find_scms_file(data)] + ([lines] if lines is not None else [])
    _report(result, settings, params, files=files, written=[out])


@group.command("recovery")
def recovery(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder in FreshRetailNet's layout, hourly sample included; default: the demo company."
        ),
    ] = None,
    seed: _Seed = None,
) -> None:
    """Demand behind stockouts: what is recovered beside the truth, and sales as they are.

    Of FreshRetailNet, days in stock are cut off by the stock of other days; of the demo company (params.yaml:
    simulation), the truth is simulated, and silences are judged too.

    Example: restock benchmark recovery --data freshretailnet
    """
    from restock.adapters.sources.freshretailnet import FILES, HOURLY_FILE
    from restock.benchmarks.demo_recovery import run_demo_recovery
    from restock.benchmarks.recovery import run_fresh_recovery

    settings, params = read_settings(), _read_params(seed)
    if data is None:
        result, read = run_demo_recovery(params, progress=show_progress), []
    else:
        result = run_fresh_recovery(data, params, progress=show_progress)
        read = [data / name for name in (*FILES, HOURLY_FILE)]
    _report(result, settings, params, files=read, written=[])


@group.command("demo")
def demo(
    seeds: Annotated[
        str, typer.Option("--seeds", help="Seeds of the companies, separated by commas; take such as were never seen.")
    ] = "901,902,903,904,905",
    profile: Annotated[str, typer.Option(help="Profile of params.yaml, `none` for the values without one.")] = "demo",
) -> None:
    """Demo companies of other seeds: pinball loss of families and ensemble beside seasonal naive, by segment.

    Example: restock benchmark demo --seeds 1,2,3
    """
    from restock.benchmarks.demo_company import run_demo

    settings = read_settings()
    params = read_params(settings.params_file, profile=None if profile == "none" else profile)
    result = run_demo(params, seeds=parse_seeds(seeds), progress=show_progress)
    _report(result, settings, params, files=[], written=[])


def parse_seeds(given: str) -> list[int]:
    """Return the seeds that an option names, each once, in its order.

    Raises:
        ConfigurationError: one of them is not a whole number >= 0, or there is none.
    """
    names = given.replace(",", " ").split()
    if not names or not all(name.isdecimal() and int(name) < 2**32 for name in names):
        raise ConfigurationError(f"seeds must be whole numbers from 0 to {2**32 - 1}, got {given!r}.")
    return list(dict.fromkeys(int(name) for name in names))


def parse_families(given: list[str] | None, *, default: list[str]) -> list[Contender]:
    """Return the families that an option names, in its order.

    Raises:
        ConfigurationError: one of them is not a family.
    """
    names = [name for part in given or default for name in part.replace(",", " ").split()]
    unknown = [name for name in names if name not in _FAMILIES]
    if unknown or not names:
        raise ConfigurationError(f"families must be of {', '.join(_FAMILIES)}, got {', '.join(unknown) or 'none'}.")
    return names  # type: ignore[return-value]  # checked above


def _check_writable(*paths: Path | None) -> None:
    """Refuse an output file before minutes of work.

    Raises:
        ConfigurationError: a path is a folder, or lies in none.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ConfigurationError(f"{path} can't be written: name a file in an existing folder.")


def _read_params(seed: int | None) -> Params:
    params = read_params(read_settings().params_file)
    return params if seed is None else params.model_copy(update={"seed": seed})


def _report(
    result: BenchmarkResult, settings: Settings, params: Params, *, files: list[Path], written: list[Path | None]
) -> None:
    """Track the result and print it, as one line of JSON for machines."""
    from restock.benchmarks.result import track_result

    for path in written:
        if path is not None:
            messages.print(f"wrote {path}", highlight=False)
    track_result(settings, result, files=files, params=params.model_dump(mode="json"))
    print_json(result.as_json())


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    app.add_typer(group)
