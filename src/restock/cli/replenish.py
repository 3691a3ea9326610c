"""`restock replenish`: what to order, why, what if, and whether it was right."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restock.cli.console import print_json, show_progress
from restock.errors import ConfigurationError
from restock.params import read_params
from restock.settings import read_settings

if TYPE_CHECKING:
    from restock.operations.replenishment.kept_lines import LineChoice
    from restock.operations.replenishment.what_if import Question

replenish_app = typer.Typer(
    help="What to order, why, what if, and whether it was right. Start with `restock replenish plan`.",
    no_args_is_help=True,
)
_DAY = ["%Y-%m-%d"]

AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=_DAY, help="Day of the plan; default: the latest that is kept.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Skus = Annotated[list[str] | None, typer.Option("--sku", help="Only this article; may be given several times.")]
Location = Annotated[str | None, typer.Option("--location", help="Only at this location.")]
Supplier = Annotated[str | None, typer.Option("--supplier", help="Only from this supplier or warehouse.")]
Category = Annotated[str | None, typer.Option("--category", help="Only categories whose path begins so.")]


@replenish_app.command("plan")
def plan(
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=_DAY, help="Orders are placed at the end of this day; default: today, UTC."),
    ] = None,
    draft_orders: Annotated[
        bool,
        typer.Option("--draft-orders", help="Store the plan in the ledger and draft a purchase order per supplier."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Plan a day: what to order of every article for every location, at least expected cost.

    It stands on the day's forecast, which is made first where it is missing. Params: params.yaml, replenishment. The
    plan is kept under data/plans with all it stands on, so that `explain` gives the same numbers later.

    With --draft-orders, orders wait as drafts for a person to send; the same day again drafts none twice. What a
    planner decided otherwise (`POST /api/v1/overrides`) is ordered in place of the plan.

    \b
    Examples:
      restock replenish plan --as-of 2025-05-14
      restock replenish plan --as-of 2025-05-14 --draft-orders
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.cli.replenish_views import print_drafted, print_plan
    from restock.operations.replenishment import plan_day

    settings = read_settings()
    day = datetime.now(UTC).date() if as_of is None else as_of.date()
    with show_progress("forecast") as advance:
        made = plan_day.plan_day(settings, read_params(settings.params_file), as_of=day, on_progress=advance)
    drafted = None
    if draft_orders:
        drafted = plan_day.draft_orders(settings, made, actor=_actor(), now=datetime.now(UTC))
    if as_json:
        print_json(made.to_json() | ({} if drafted is None else {"drafted": drafted.to_json()}))
        return
    print_plan(made)
    if drafted is not None:
        print_drafted(drafted)


@replenish_app.command("explain")
def explain(
    sku: Annotated[str, typer.Argument(help="The article.")],
    location: Annotated[str, typer.Argument(help="Where to.")],
    as_of: AsOf = None,
    lead_time_change: Annotated[
        int, typer.Option(min=1, max=60, help="Periods of lead time, fewer and more, that are tried.")
    ] = 2,
    as_json: Json = False,
) -> None:
    """Say why the plan orders what it orders of one article at one location.

    Stock, demand until the next order is received, lead time, target, what nearby quantities would cost, what binds,
    and what would change it. The numbers are the plan's, now and in a year, while its forecast is kept.

    Example: restock replenish explain SKU-0001 STORE-01 --as-of 2025-05-14
    """
    from restock.cli.replenish_views import print_explained
    from restock.operations.replenishment.explain_plan import explain_plan_line

    explained = explain_plan_line(
        read_settings(), sku=sku, location=location, as_of=_day(as_of), lead_time_change=lead_time_change
    )
    if as_json:
        print_json(explained.to_json())
    else:
        print_explained(explained)


@replenish_app.command("simulate")
def simulate(as_json: Json = False) -> None:
    """Judge rules for ordering by money: each trades again in the past, on forecasts that did not know it.

    The planner is tuned on the earlier windows and judged on the later ones, beside min/max from averages, base stock
    with normal safety stock, and planners that know demand, lead times or no minimums: these say where its cost comes
    from. Nothing is kept; `restock optimize` does the same and leaves a candidate to promote.

    Example: restock replenish simulate
    """
    from restock.adapters.panel_files import load_panel
    from restock.cli.stages import print_rules
    from restock.operations.candidates import choose_family, read_backtest, read_candidate
    from restock.operations.replenishment.cost_evidence import read_replenishment_tables
    from restock.operations.replenishment.judgement import judge_rules
    from restock.operations.replenishment.simulation import build_simulation
    from restock.pipeline.optimize import summarise

    settings = read_settings()
    params = read_params(settings.params_file)
    data_dir = settings.data_dir
    candidate = read_candidate(data_dir, choose_family(data_dir))
    with show_progress("draw the past") as advance:
        simulation = build_simulation(
            read_backtest(candidate),
            load_panel(data_dir / "features"),
            read_replenishment_tables(data_dir),
            params=params,
            on_progress=advance,
        )
    with show_progress("simulate") as advance:
        metrics = summarise(judge_rules(simulation, on_progress=advance))
    if as_json:
        print_json(metrics)
    else:
        print_rules(metrics)


@replenish_app.command("frontier")
def frontier(  # noqa: PLR0917  (Typer's options, all named on the command line)
    as_of: AsOf = None,
    skus: Skus = None,
    location: Location = None,
    supplier: Supplier = None,
    category: Category = None,
    points: Annotated[int, typer.Option(min=2, max=500, help="Points that are shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what more service costs: for any articles, the least cost of every fill rate until the next order.

    No other orders serve as much for less. The diamond is where the plan stands.

    Example: restock replenish frontier --category Food --location STORE-01
    """
    from restock.cli.replenish_views import print_frontier
    from restock.operations.replenishment.frontier import draw_frontier
    from restock.operations.replenishment.kept_lines import read_kept_lines

    choice = _choice(skus, location=location, supplier=supplier, category=category)
    kept = read_kept_lines(read_settings(), choice, as_of=_day(as_of))
    drawn = draw_frontier(kept, most_points=points)
    if as_json:
        print_json(drawn.to_json())
    else:
        print_frontier(drawn)


@replenish_app.command("what-if")
def what_if(  # noqa: PLR0917  (Typer's options, all named on the command line)
    service_target: Annotated[
        list[float] | None, typer.Option("--service-target", help="Share of demand to serve, such as 0.98; several.")
    ] = None,
    lead_time_days: Annotated[
        list[int] | None,
        typer.Option("--lead-time-days", help="Days that orders take longer (below 0: less); several."),
    ] = None,
    price_of_money: Annotated[
        list[float] | None, typer.Option("--price-of-money", help="Share of the stock's value a year; several.")
    ] = None,
    budget: Annotated[list[float] | None, typer.Option(help="Most that orders now may cost together; several.")] = None,
    demand_factor: Annotated[
        float | None, typer.Option(help="Multiplies demand, as a promotion does: 1.5 is half as much again.")
    ] = None,
    first_day: Annotated[datetime | None, typer.Option(formats=_DAY, help="First day of that demand.")] = None,
    last_day: Annotated[datetime | None, typer.Option(formats=_DAY, help="Its last day.")] = None,
    outage_days: Annotated[
        int | None, typer.Option(min=1, max=365, help="Nothing is delivered for so many days.")
    ] = None,
    outage_supplier: Annotated[str | None, typer.Option(help="By this supplier; default: by all.")] = None,
    as_of: AsOf = None,
    skus: Skus = None,
    location: Location = None,
    supplier: Supplier = None,
    category: Category = None,
    as_json: Json = False,
) -> None:
    """Ask what if: the same lines under another target, lead time, price of money, demand, outage or budget.

    Each scenario is planned anew and run forward on the plan's own sample paths, so its difference from "as planned" is
    its own. Shown are stock value, lost sales and cash over the horizon.

    \b
    Examples:
      restock replenish what-if --service-target 0.95 --service-target 0.99 --category Food
      restock replenish what-if --demand-factor 2 --first-day 2025-05-20 --last-day 2025-05-26 --sku SKU-0001
      restock replenish what-if --outage-days 7 --outage-supplier SUP-01
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.cli.replenish_views import print_what_if
    from restock.operations.replenishment.kept_lines import LineChoice, read_kept_lines
    from restock.operations.replenishment.what_if import Question, ask_what_if

    questions: list[Question] = [
        *(Question(name=f"serve {target:.1%}", service_target=target) for target in service_target or ()),
        *(Question(name=f"lead time {days:+d} days", lead_time_days=days) for days in lead_time_days or ()),
        *(Question(name=f"money at {share:.1%} a year", price_of_money=share) for share in price_of_money or ()),
        *(Question(name=f"budget {most:,.2f}", budget=most) for most in budget or ()),
    ]
    if demand_factor is not None:
        questions.append(
            Question(
                name=f"{demand_factor:g} times the demand",
                demand_factor=demand_factor,
                first_day=_day(first_day),
                last_day=_day(last_day),
            )
        )
    if outage_days is not None:
        lines = None if outage_supplier is None else LineChoice(supplier=outage_supplier)
        who = outage_supplier or "all suppliers"
        questions.append(Question(name=f"{who} out for {outage_days} days", outage_days=outage_days, lines=lines))
    if not questions:
        raise ConfigurationError("nothing differs from the plan: give --service-target, --lead-time-days or another.")
    choice = _choice(skus, location=location, supplier=supplier, category=category)
    kept = read_kept_lines(read_settings(), choice, as_of=_day(as_of))
    with show_progress("scenarios") as advance:
        asked = ask_what_if(kept, questions, on_progress=advance)
    if as_json:
        print_json(asked.to_json())
    else:
        print_what_if(asked)


@replenish_app.command("overrides")
def overrides(
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=_DAY, help="Judge the plan and decisions of this day only.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge plans and planners' decisions against what came since.

    Planned and decided quantities, and those of a rule of averages, are priced on the same real demand, from the same
    stock. Plan value added: what the rule of averages would have cost more. A decision's: what the plan would have cost
    more. Forecast value added: by how many units the forecast was nearer than the average of the last 56 periods.

    Example: restock replenish overrides --as-of 2025-05-01
    """
    from restock.adapters.database.engine import open_database, read_transaction
    from restock.adapters.database.migrate import require_migrated
    from restock.cli.replenish_views import print_judged
    from restock.operations.replenishment.daily_plan import list_plans
    from restock.operations.replenishment.judge_overrides import judge_decisions, judge_plan, summarise_judged
    from restock.operations.stock.overrides import read_decisions

    settings = read_settings()
    day = _day(as_of)
    engine = require_migrated(open_database(settings.ledger_url))
    with read_transaction(engine) as connection:
        decisions = read_decisions(connection, as_of=day)
    days = [day] if day is not None else list_plans(settings.data_dir)
    plans = {}
    with show_progress("judge plans") as advance:
        for done, one in enumerate(days, start=1):
            plans[one] = _judged_plan(one, lambda one: summarise_judged(judge_plan(settings, as_of=one)))
            advance(done, len(days))
    judged = judge_decisions(settings, decisions)
    if as_json:
        print_json(
            {
                "plans": [{"as_of": one.isoformat(), **figures} for one, figures in plans.items()],
                "overrides": [each.to_json() for each in judged],
            }
        )
    else:
        print_judged(plans, judged)


def _judged_plan(day: date, judge: Any) -> dict[str, Any]:
    """Return what became of the plan of a day, or why that can't be said: its forecast may have been replaced."""
    from restock.errors import DataError, NotFoundError

    try:
        figures: dict[str, Any] = judge(day)
    except (DataError, NotFoundError) as error:
        return {"lines": 0, "problem": str(error)}
    return figures


def _choice(skus: list[str] | None, *, location: str | None, supplier: str | None, category: str | None) -> LineChoice:
    from restock.operations.replenishment.kept_lines import LineChoice

    return LineChoice(skus=tuple(skus or ()), location=location, supplier=supplier, category=category)


def _day(instant: datetime | None) -> date | None:
    return None if instant is None else instant.date()


def _actor() -> str:
    """Return who runs the command, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(replenish_app, name="replenish")
