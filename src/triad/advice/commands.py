"""`triad advise`: how demand moves with price in each category, and which price of each product is best."""

from __future__ import annotations

from typing import Any

import click

from triad.advice.wish import Wish


@click.command(help="Advise a price of each product, within bounds, from how demand moved with price in the log.")
@click.option("--lowest", default=Wish.lowest, show_default=True, help="lowest price, as a share of the present one")
@click.option("--highest", default=Wish.highest, show_default=True, help="highest price, likewise")
@click.option("--aim", type=click.Choice(("revenue", "margin")), default=Wish.aim, show_default=True)
@click.option("--cost", default=Wish.cost, help="what a unit costs, as a share of its price; for the aim margin")
@click.option("--level", default=Wish.level, show_default=True, help="how often intervals hold the truth")
def advise(**chosen: Any) -> None:
    import pyarrow as pa
    import pyarrow.csv

    from triad.advice.elasticity import WHOLE
    from triad.advice.sheet import Advisor
    from triad.artifacts import ARTIFACTS, ORACLE, TABLES, need, replacing
    from triad.evaluation.elasticities import true_elasticities
    from triad.locking import held
    from triad.tables import connect

    wish = Wish(**chosen)
    with connect(need(TABLES)) as session:
        advisor = Advisor.of(session)
    truth, output = true_elasticities(ORACLE, TABLES), ARTIFACTS / "advise"
    told = advisor.rows(advisor.panel.item_id, wish)
    rows = [
        {"category": name, "elasticity": each.mean, "low": low, "high": high, "products": each.products}
        | ({"truth": truth.get(name)} if truth else {})
        for name, each in sorted(advisor.known.items())
        for low, high in (each.interval(wish.level),)
    ]
    with held(output), replacing(output) as folder:
        pyarrow.csv.write_csv(pa.Table.from_pylist(told), folder / "prices.csv")
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), folder / "elasticities.csv")
    for each in rows:
        beside = f" · true {each['truth']:+.2f}" if each.get("truth") is not None else ""
        name = "the whole shop" if each["category"] == WHOLE else each["category"]
        click.echo(f"{name}: {each['elasticity']:+.2f} [{each['low']:+.2f}, {each['high']:+.2f}]{beside}")
    for verdict in ("raise", "lower", "keep", "not enough evidence"):
        click.echo(f"{verdict}: {sum(row['verdict'] == verdict for row in told):,} products")
    click.echo(f"{output / 'prices.csv'}")
